// The live demo: a pad and a file input, read by handigit.js.

import { Reader } from "../assets/handigit/handigit.js";
import { Pad } from "../assets/app/pad.js";

const HEIGHT_PX = 160;
const byId = (id) => document.getElementById(id);
const reader = new Reader({ models: new URL("../assets/models/", import.meta.url).href });
let newest = 0;

const pad = new Pad(byId("pad"), { onDraw() {}, onChange: readPad });

function readPad() {
  for (const id of ["undo", "clear"]) byId(id).disabled = pad.isEmpty;
  if (pad.isEmpty) return say("Draw a digit or a number.", "");
  return read(pad.picture(HEIGHT_PX), "read");
}

async function read(picture, kind) {
  const mine = ++newest;
  const start = performance.now();
  try {
    const answer = await reader[kind](picture);
    if (mine === newest) show(answer, performance.now() - start);
  } catch (problem) {
    if (mine === newest) say("This picture cannot be read.", problem.message);
  }
}

function show({ kind, outcome, raw, text, confidence, alternatives = [] }, milliseconds) {
  const percent = (fraction) => (fraction >= 0.9995 ? ">99.9%" : `${(100 * fraction).toFixed(1)}%`);
  const sentences = {
    read: `${raw || text} (${percent(confidence)} sure)`,
    doubt: `${confidence >= 0.5 ? "Probably" : "Perhaps"} ${raw || text} (${percent(confidence)})`,
    blank: "Nothing is written here.",
    not_a_number: `This is not a ${kind}.`,
  };
  const others = alternatives.slice(0, 3).map(([other, chance]) => `${other} ${percent(chance)}`).join(", ");
  say(sentences[outcome], `${others ? `Or ${others}. ` : ""}Read in ${milliseconds.toFixed(0)} ms.`);
}

function say(answer, about) {
  byId("answer").textContent = answer;
  byId("about").textContent = about;
}

byId("undo").addEventListener("click", () => pad.undo());
byId("clear").addEventListener("click", () => pad.clear());
byId("picture").addEventListener("change", ({ target }) => target.files.length && read(target.files[0], byId("kind").value));
pad.aspect = 1.6;
reader.prepare().then(() => pad.isEmpty && say("Draw a digit or a number.", "The models are loaded."), (problem) => say("The models cannot be loaded.", problem.message));
