// The pad on the first page: reading while drawing, correcting the answer, keeping the drawing.

import { post } from "./api.js";
import { attempt, byId, checkedValue, copyText, on, onSubmit, toast } from "./dom.js";
import { LatestRequest } from "./latest_request.js";
import { withoutNetwork } from "./offline/network.js";
import { Pad } from "./pad.js";
import { showAnswer, showProblem } from "./pad_answer.js";
import { written } from "./wording.js";

const HEIGHT_PX = 160;
const isPhone = matchMedia("(max-width: 30rem)").matches;
const ASPECT = { auto: isPhone ? 1.25 : 1.6, digit: 1, number: 2 };
const NAMES = { auto: "a number", digit: "a digit", number: "a number" };

const mode = () => checkedValue("as");
const form = byId("pad-correction");
let answer = null;
let isFinal = true;
const latest = new LatestRequest(
  (signal) => withoutNetwork(
    () => post(`/pad?as=${mode()}`, { body: pad.picture(HEIGHT_PX), signal }),
    ({ read }) => read(pad.picture(HEIGHT_PX), mode()),
  ),
  { onAnswer: show, onError: refuse },
);
const pad = new Pad(byId("pad"), { onDraw: drawing, onChange: padChanged });

const setBusy = (isBusy) => byId("answer-card").setAttribute("aria-busy", isBusy);

function refuse(problem) {
  setBusy(false);
  showProblem(problem);
}

function show(next) {
  answer = next;
  setBusy(!isFinal);
  showAnswer(answer, { isFinal });
  if (isFinal) showCorrection(false);
}

function drawing() {
  isFinal = false;
  setBusy(true);
  byId("placeholder").hidden = true;
  latest.soon();
}

function padChanged() {
  isFinal = true;
  byId("placeholder").hidden = !pad.isEmpty;
  for (const id of ["undo", "clear"]) byId(id).disabled = pad.isEmpty;
  setBusy(!pad.isEmpty);
  if (!pad.isEmpty) return latest.now();
  latest.stop();
  return show(null);
}

/** The strokes stay; they are read again in the new mode. */
function applyMode() {
  byId("draw").textContent = byId("placeholder").textContent = `Draw ${NAMES[mode()]}`;
  pad.aspect = ASPECT[mode()];
}

function usePen({ value }) {
  pad.pen = value / 100;
}

function showCorrection(isOpen) {
  if (!form) return;
  form.hidden = !isOpen;
  byId("wrong").setAttribute("aria-expanded", isOpen);
  if (!isOpen) return;
  form.elements.text.value = answer ? written(answer) : "";
  form.elements.text.focus();
  form.elements.text.select();
}

/** Store the drawing as a reading, with a correction if there is one. */
const keep = (correction) => attempt(async () => {
  const { keepDrawing } = await import("./offline/keep.js");
  toast(await keepDrawing({ kind: answer.kind, picture: pad.picture(HEIGHT_PX), correction }));
  showCorrection(false);
});

on("click", "#undo, #clear", ({ id }) => pad[id]());
on("input", "#pen", usePen);
on("change", "input[name=as]", applyMode);
on("click", "#copy-answer", () => copyText(written(answer)));
on("click", "#wrong", () => showCorrection(form.hidden));
on("click", "#keep", () => keep(null));
if (form) onSubmit(form, ({ value }) => keep(value ? { outcome: value } : { text: form.elements.text.value.trim() }));
document.addEventListener("keydown", (event) => {
  if (event.key !== "z" || !(event.ctrlKey || event.metaKey) || event.target.matches("input, textarea")) return;
  event.preventDefault();
  pad.undo();
});
usePen(byId("pen"));
applyMode();
if (isSecureContext) import("./offline/row.js");
