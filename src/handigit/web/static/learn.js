// How a digit is read: the drawing goes to the server, and each step of its reading is shown.

import { post, send } from "./api.js";
import { byId, make, makeSvg, on, rectOf } from "./dom.js";
import { LatestRequest } from "./latest_request.js";
import { Pad } from "./pad.js";
import { showBars, tenBars } from "./probability_bars.js";

const PICTURE_PX = 280;
const SAMPLES = 100;

let picture;
const latest = new LatestRequest((signal) => post("/learn/steps", { body: picture, signal }), { onAnswer: show, onError: showProblem });
const pad = new Pad(byId("pad"), { onDraw: () => (byId("placeholder").hidden = true), onChange: padChanged });

function padChanged() {
  byId("placeholder").hidden = !pad.isEmpty;
  if (pad.isEmpty && !byId("steps").hidden) clearAnswer();
  for (const id of ["undo", "clear"]) byId(id).disabled = pad.isEmpty;
  if (!pad.isEmpty) showSteps(pad.picture(PICTURE_PX));
}

/** After Clear, no old answer remains. */
function clearAnswer() {
  latest.stop();
  byId("steps").hidden = true;
  byId("text").textContent = "–";
  byId("words").textContent = "Draw a digit, or use a sample photo.";
}
let sample = 2 + Math.floor(Math.random() * 10); // these are read with high confidence; later ones may be hard
const loadSample = () =>
  send(`/learn/sample?number=${sample++ % SAMPLES}`)
    .then((response) => response.blob())
    .then(showSteps, showProblem);

function showSteps(blob) {
  URL.revokeObjectURL(byId("picture").src);
  picture = blob;
  byId("picture").src = URL.createObjectURL(blob);
  latest.now();
}

function showProblem({ message }) {
  byId("words").textContent = message;
}

function show(result) {
  byId("steps").hidden = false;
  for (const [id, text] of Object.entries(result.says)) byId(id).textContent = text;
  for (const name of ["ink", "glyph", "evidence"]) if (result[name]) byId(name).src = result[name].image;
  byId("ink-shown").hidden = !result.ink;
  if (result.ink) byId("box").replaceWith(makeSvg("rect", { id: "box", ...rectOf(result.ink.box) }));
  byId("step-blank").hidden = result.glyph !== null;
  for (const step of document.querySelectorAll(".step.inner")) step.hidden = result.glyph === null;
  if (result.glyph) showNetwork(result);
}

function showNetwork({ glyph, layers, nearest, answer }) {
  const [x, y] = glyph.centre;
  byId("centre").setAttribute("d", `M${x - 1} ${y + 0.5}h3M${x + 0.5} ${y - 1}v3`);
  byId("layers").replaceChildren(...layers.map(layerRow));
  byId("nearest").replaceChildren(...nearest.map(neighbour));
  byId("outcome").className = `outcome ${answer.outcome}`;
  showBars(tenBars(answer));
}

function layerRow({ says, images }) {
  const maps = images.map((src, index) => make("img.pixels", { src, alt: `Map ${index + 1}` }));
  return make("div.layer", {}, make("p.hint", {}, says), make("div.maps", {}, ...maps));
}

function neighbour({ image, value, distance }) {
  return make("li", {}, make("img.pixels", { src: image, alt: "" }), make("b.figures", {}, value), make("span.hint", {}, distance.toFixed(2)));
}

on("click", "#undo, #clear", ({ id }) => pad[id]());
pad.aspect = 1;
on("click", "#sample", () => {
  pad.clear();
  loadSample();
});
loadSample();
