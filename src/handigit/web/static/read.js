// The first page put together: the pad and its answer, files and what was read from them.

import { askLines, post } from "./api.js";
import { attempt, byId, make, on } from "./dom.js";
import { areKept, save } from "./export.js";
import { takeFiles } from "./intake.js";
import { Latest } from "./latest.js";
import { Pad } from "./pad.js";
import { showAnswer, showProblem } from "./read_answer.js";
import { Results } from "./results.js";
import { several } from "./words.js";

const HEIGHT_PX = { digit: 140, number: 160 };
const SHAPE = { digit: 1, number: 2 };
const chosen = (name) => document.querySelector(`input[name=${name}]:checked`).value;

// The pad
let isSettled = true;
const kind = () => chosen("as");
const latest = new Latest(
  (signal) => post(`/pad?as=${kind()}`, { body: pad.picture(HEIGHT_PX[kind()]), signal }),
  { onAnswer: (answer) => showAnswer(answer, { kind: kind(), isSettled }), onRefusal: showProblem },
);
const pad = new Pad(byId("pad"), { onDraw: drawn, onLift: lifted });

function drawn() {
  isSettled = false;
  byId("invite").hidden = true;
  latest.soon();
}

function lifted() {
  isSettled = true;
  byId("invite").hidden = !pad.isEmpty;
  for (const id of ["undo", "clear"]) byId(id).disabled = pad.isEmpty;
  if (!pad.isEmpty) return latest.now();
  latest.stop();
  return showAnswer(null, { kind: kind(), isSettled });
}

function prepare() {
  byId("draw").textContent = byId("invite").textContent = `Draw a ${kind()}`;
  pad.shape = SHAPE[kind()];
}

on("click", "#undo, #clear", ({ id }) => pad[id]());
on("input", "#pen", ({ value }) => (pad.pen = value / 100));
on("change", "input[name=as]", prepare);
document.addEventListener("keydown", (event) => {
  if (event.key !== "z" || !(event.ctrlKey || event.metaKey) || event.target.matches("input, textarea")) return;
  event.preventDefault();
  pad.undo();
});
prepare();

// Files
const results = new Results();
const waiting = [];
let stopping = null;
let count = 0;
let done = 0;

async function read(files, as = chosen("holds")) {
  waiting.push(...files.map((content) => ({ content, as, name: content.name, type: content.type, number: count++ })));
  byId("results").hidden = false;
  if (stopping) return;
  stopping = new AbortController();
  byId("results").focus({ preventScroll: true });
  byId("results").scrollIntoView({ block: "start" });
  byId("work").hidden = false;
  while (waiting.length) await readOne(waiting.shift());
  [stopping, done] = [null, 0];
  byId("work").hidden = true;
  tell(`${several(results.readings.length, "answer")}.`);
}

async function readOne(file) {
  const before = results.readings.length;
  progress(file);
  const onLine = (line) => {
    if (line.problem) return refuse(file, line.problem.detail);
    results.add(line, file);
    return progress(file);
  };
  try {
    const query = new URLSearchParams({ name: file.name.slice(0, 200) });
    await askLines(`/v1/${file.as}?${query}`, { method: "POST", body: file.content, signal: stopping.signal, onLine });
    if (results.readings.length === before) refuse(file, "no number was found on it.");
  } catch (problem) {
    refuse(file, problem.name === "AbortError" ? "cancelled; what was read before stands." : problem.message);
  }
  done += 1;
}

function progress({ name }) {
  const bar = byId("progress");
  const all = done + waiting.length + 1;
  if (all > 1) bar.value = done / all;
  else bar.removeAttribute("value");
  tell(`Reading ${name}: ${results.readings.length} so far.`);
  byId("csv").disabled = byId("jsonl").disabled = !results.readings.length;
  byId("csv").hidden = !areKept(results.readings);
}

const tell = (words) => (byId("told").textContent = words);

function refuse({ name }, reason) {
  byId("refusals").append(make("p.refusal", {}, make("b", {}, name), `: ${reason.replace(/^the \w+ given as [^:]+: /, "")}`));
}

on("click", "#csv, #jsonl", ({ id }) => attempt(() => save(results.readings, id)));
on("click", "#cancel", () => {
  waiting.length = 0;
  stopping?.abort();
});
on("click", "#forget", () => {
  byId("cancel").click();
  results.clear();
  byId("refusals").replaceChildren();
  byId("results").hidden = true;
});
on("click", "[data-sample]", async ({ dataset: { sample, kind: as } }) => {
  const content = await (await fetch(sample)).blob();
  read([new File([content], sample.split("/").at(-1), { type: content.type })], as);
});
takeFiles(read);
