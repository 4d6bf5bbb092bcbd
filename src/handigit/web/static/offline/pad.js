// The pad without a server: reads drawings on this device.

import { Reader } from "../handigit/handigit.js";
import { percent, written } from "../wording.js";

const { models } = JSON.parse(localStorage.getItem("handigit-offline"));
const reader = new Reader({ models });

/** The answer to a drawing as POST /pad returns it. `mode`: "auto", "digit" or "number". */
export async function read(picture, mode) {
  const answer = await reader[mode === "auto" ? "read" : mode](picture);
  const says = `${sentence(answer)} Read on this device.`;
  return { digits: [], alternatives: [], probabilities: [], ...answer, says, seen: answer.seen && toDataUrl(answer.seen) };
}

/** As `handigit.web.wording.answer_sentence`. */
function sentence(answer) {
  const { kind, outcome, confidence } = answer;
  if (outcome === "read") return `${written(answer)} (${percent(confidence)} sure).`;
  const likely = confidence >= 0.5 ? "Probably" : "Perhaps";
  if (outcome === "doubt") return `${likely} ${written(answer)} (${percent(confidence)}). Please check.`;
  return outcome === "blank" ? "Nothing is written here." : `This is not a ${kind}.`;
}

/** What the model saw, as a picture: ink bright on black. */
function toDataUrl({ width, height, data }) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const pixels = new ImageData(width, height);
  data.forEach((value, i) => {
    const grey = 255 * value;
    pixels.data.set([grey, grey, grey, 255], 4 * i);
  });
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas.toDataURL();
}
