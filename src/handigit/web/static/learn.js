// How a digit is read: what is drawn goes to the server, and every step of its reading is shown, in the server's words.

import { post, send } from "./api.js";
import { ofTen, showBars } from "./bars.js";
import { areaOf, byId, draw, make, on } from "./dom.js";
import { Latest } from "./latest.js";
import { Pad } from "./pad.js";

const PICTURE_PX = 280;
const SAMPLES = 100;

let picture;
const latest = new Latest((signal) => post("/learn/steps", { body: picture, signal }), { onAnswer: show, onRefusal: refuse });
const pad = new Pad(byId("pad"), { onDraw: () => (byId("invite").hidden = true), onLift: lifted });

function lifted() {
  byId("invite").hidden = !pad.isEmpty;
  for (const id of ["undo", "clear"]) byId(id).disabled = pad.isEmpty;
  if (!pad.isEmpty) follow(pad.picture(PICTURE_PX));
}

let number = 2 + Math.floor(Math.random() * 10); // all of these are read surely; later ones may be hard
const takeSample = () =>
  send(`/learn/sample?number=${number++ % SAMPLES}`)
    .then((answer) => answer.blob())
    .then(follow, refuse);

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
  byId("steps").hidden = false;
  for (const [id, words] of Object.entries(told.says)) byId(id).textContent = words;
  for (const name of ["ink", "glyph", "evidence"]) if (told[name]) byId(name).src = told[name].image;
  byId("ink-shown").hidden = !told.ink;
  if (told.ink) byId("box").replaceWith(draw("rect", { id: "box", ...areaOf(told.ink.box) }));
  byId("step-blank").hidden = told.glyph !== null;
  for (const step of document.querySelectorAll(".step.inner")) step.hidden = told.glyph === null;
  if (told.glyph) showInner(told);
}

function showInner({ glyph, layers, nearest, answer }) {
  const [x, y] = glyph.centre;
  byId("centre").setAttribute("d", `M${x - 1} ${y + 0.5}h3M${x + 0.5} ${y - 1}v3`);
  byId("layers").replaceChildren(...layers.map(layer));
  byId("nearest").replaceChildren(...nearest.map(neighbour));
  byId("outcome").className = `outcome ${answer.outcome}`;
  showBars(ofTen(answer));
}

function layer({ says, images }) {
  const maps = images.map((src, place) => make("img.pixels", { src, alt: `Map ${place + 1}` }));
  return make("div.layer", {}, make("p.hint", {}, says), make("div.maps", {}, ...maps));
}

function neighbour({ image, value, distance }) {
  return make("li", {}, make("img.pixels", { src: image, alt: "" }), make("b.figures", {}, value), make("span.hint", {}, distance.toFixed(2)));
}

on("click", "#undo, #clear", ({ id }) => pad[id]());
on("click", "#another", () => {
  pad.clear();
  takeSample();
});
takeSample();
