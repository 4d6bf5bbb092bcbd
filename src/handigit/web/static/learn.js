// How a digit is read: what is drawn goes to the server, and every step of its reading is shown.

import { ask } from "./api.js";
import { byId, make } from "./dom.js";
import { Latest } from "./latest.js";
import { Pad } from "./pad.js";
import { outcomeWord, percent, sentence } from "./words.js";

const PICTURE_PX = 280;
const SAMPLES = 100;
const INNER = ["glyph", "layers", "nearest", "evidence", "answer"];
const part = (className, ...children) => make("div", { className }, ...children);

let picture;
const latest = new Latest((signal) => ask("/learn/steps", { method: "POST", body: picture, signal }), { onAnswer: show, onRefusal: refuse });
const pad = new Pad(byId("pad"), { onDraw: () => (byId("invite").hidden = true), onLift: lifted });

async function lifted() {
  byId("invite").hidden = !pad.isEmpty;
  for (const id of ["undo", "clear"]) byId(id).disabled = pad.isEmpty;
  if (!pad.isEmpty) follow(await pad.picture(PICTURE_PX));
}

let number = 2 + Math.floor(Math.random() * 10); // all of these are read surely; later ones may be hard
async function takeSample() {
  try {
    const answer = await fetch(`/learn/sample?number=${number++ % SAMPLES}`);
    follow(await answer.blob());
  } catch {
    refuse({ message: "The server does not answer; is it still running?" });
  }
}

function follow(blob) {
  URL.revokeObjectURL(byId("picture").src);
  picture = blob;
  byId("picture").src = URL.createObjectURL(blob);
  latest.now();
}

function refuse({ message }) {
  byId("words").textContent = message;
}

function show(told) {
  const { answer } = told;
  byId("steps").hidden = false;
  byId("text").textContent = answer.text || "–";
  byId("words").textContent = sentence(answer, "digit");
  showPicture(told.picture);
  showInk(told.ink, told.picture);
  byId("step-blank").hidden = told.glyph !== null;
  for (const name of INNER) byId(`step-${name}`).hidden = told.glyph === null;
  if (told.glyph === null) return;
  showGlyph(told.glyph);
  showLayers(told.layers);
  showNearest(told.nearest);
  showEvidence(told.evidence);
  showAnswer(answer);
}

function showPicture({ width, height }) {
  byId("picture-says").textContent = `This is what the reader is given: ${width} by ${height} pixels.`;
}

function showInk(ink, { reversed }) {
  byId("ink-says").textContent = reversed
    ? "The ink is the lighter of the two shades here, as on a blackboard, so light and dark are exchanged first."
    : "First the reader asks which shade is paper; here the ink is darker than it, as usual.";
  byId("ink-shown").hidden = !ink;
  if (!ink) return;
  const [left, top, right, bottom] = ink.box;
  byId("ink").src = ink.image;
  const place = { x: left, y: top, width: right - left, height: bottom - top };
  for (const [name, value] of Object.entries(place)) byId("box").setAttribute(name, value);
}

function showGlyph({ image, centre: [x, y] }) {
  byId("glyph").src = image;
  byId("glyph-says").textContent = `The cross marks its centre of mass. Large or small, left or right: from here on nobody can tell any more.`;
  byId("centre").setAttribute("d", `M${x - 1} ${y + 0.5}h3M${x + 0.5} ${y - 1}v3`);
}

function showLayers(layers) {
  const rows = layers.map(({ size, count, images }, place) =>
    part(
      "layer",
      make("p", { className: "hint" }, `Layer ${place + 1}: ${images.length} of ${count} maps, ${size} by ${size} pixels each`),
      part("maps", ...images.map((src, index) => make("img", { className: "pixels", src, alt: `Map ${index + 1} of layer ${place + 1}` }))),
    ),
  );
  const none = make("p", { className: "hint" }, "The model that reads now has no layers of pictures to show; it sees the digit as one long row of numbers.");
  byId("layers").replaceChildren(...(rows.length ? rows : [none]));
}

function showNearest(nearest) {
  const shown = nearest.map(({ image, value, distance }) =>
    make("li", {}, make("img", { className: "pixels", src: image, alt: "" }), make("b", { className: "figures" }, value), make("span", { className: "hint" }, distance.toFixed(2))),
  );
  byId("nearest").replaceChildren(...shown);
}

function showEvidence({ image, value, most, least }) {
  byId("evidence").src = image;
  byId("evidence").alt = `Heat map over the digit: amber where the ink speaks for a ${value}, blue where it speaks against it`;
  const times = Math.exp(most);
  const told = times > 1000 ? "more than a thousand" : times.toFixed(times < 10 ? 1 : 0);
  const against = least < -0.1 * most ? "Where it is blue, the net would be surer without that ink." : "Hardly anything speaks against it.";
  byId("evidence-says").textContent = `Without its brightest spot the odds of a ${value} would be ${told} times worse. ${against}`;
}

function showAnswer({ outcome, text, confidence, probabilities, temperature, threshold, floor, target_error: wanted }) {
  byId("temperature-says").textContent =
    `The net’s ten scores become probabilities that sum to 1. They are divided by a temperature of ${temperature} first, so that “90 % sure” is right nine times in ten.`;
  byId("threshold-says").textContent =
    `To be wrong at most once in ${Math.round(1 / wanted)} answers, it must be ${percent(threshold)} sure; below that it asks a person. ` +
    (floor > 0 ? `Under ${percent(floor)} it is no digit at all.` : "");
  byId("bars").replaceChildren(...probabilities.map((share, digit) => bar(share, digit, share === Math.max(...probabilities))));
  byId("outcome").className = `outcome ${outcome}`;
  byId("outcome").textContent = outcomeWord(outcome);
  byId("answer-says").textContent = sentence({ outcome, text, confidence }, "digit");
}

function bar(share, digit, isBest) {
  const fill = part("fill");
  fill.style.width = `${100 * share}%`;
  return make("li", { className: isBest ? "best" : "" }, part("figures", digit), part("track", fill), part("share", percent(share)));
}

byId("undo").addEventListener("click", () => pad.undo());
byId("clear").addEventListener("click", () => pad.clear());
byId("another").addEventListener("click", () => {
  pad.clear();
  takeSample();
});
takeSample();
