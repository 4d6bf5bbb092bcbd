// The first page: the pad with its answer, and files with their results.

import { post, requestLines } from "./api.js";
import { attempt, byId, make, on } from "./dom.js";
import { areStored, download } from "./export.js";
import { acceptFiles } from "./file_input.js";
import { LatestRequest } from "./latest_request.js";
import { Pad } from "./pad.js";
import { showAnswer, showProblem } from "./pad_answer.js";
import { Results } from "./results.js";
import { plural } from "./wording.js";

const HEIGHT_PX = { digit: 140, number: 160 };
const ASPECT = { digit: 1, number: 2 };
const checked = (name) => document.querySelector(`input[name=${name}]:checked`).value;

// The pad
let isFinal = true;
const kind = () => checked("as");
const latest = new LatestRequest(
  (signal) => post(`/pad?as=${kind()}`, { body: pad.picture(HEIGHT_PX[kind()]), signal }),
  { onAnswer: (answer) => showAnswer(answer, { kind: kind(), isFinal }), onError: showProblem },
);
const pad = new Pad(byId("pad"), { onDraw: drawing, onChange: padChanged });

function drawing() {
  isFinal = false;
  byId("placeholder").hidden = true;
  latest.soon();
}

function padChanged() {
  isFinal = true;
  byId("placeholder").hidden = !pad.isEmpty;
  for (const id of ["undo", "clear"]) byId(id).disabled = pad.isEmpty;
  if (!pad.isEmpty) return latest.now();
  latest.stop();
  return showAnswer(null, { kind: kind(), isFinal });
}

function applyKind() {
  byId("draw").textContent = byId("placeholder").textContent = `Draw a ${kind()}`;
  pad.aspect = ASPECT[kind()];
}

on("click", "#undo, #clear", ({ id }) => pad[id]());
on("input", "#pen", ({ value }) => (pad.pen = value / 100));
on("change", "input[name=as]", applyKind);
document.addEventListener("keydown", (event) => {
  if (event.key !== "z" || !(event.ctrlKey || event.metaKey) || event.target.matches("input, textarea")) return;
  event.preventDefault();
  pad.undo();
});
applyKind();

// Files
const results = new Results();
const waiting = [];
let stopping = null;
let count = 0;
let done = 0;

async function read(files, as = checked("contents")) {
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
  showStatus(`${plural(results.readings.length, "number")} found`);
}

async function readOne(file) {
  const before = results.readings.length;
  showProgress(file);
  const onLine = (line) => {
    if (line.problem) return showError(file, line.problem.detail);
    results.add(line, file);
    return showProgress(file);
  };
  try {
    const query = new URLSearchParams({ name: file.name.slice(0, 200) });
    await requestLines(`/v1/${file.as}?${query}`, { method: "POST", body: file.content, signal: stopping.signal, onLine });
    if (results.readings.length === before) showError(file, "No number found. Is the whole page in view and well lit?");
  } catch (problem) {
    showError(file, problem.name === "AbortError" ? "cancelled; results so far are kept." : problem.message);
  }
  done += 1;
}

function showProgress({ name }) {
  const bar = byId("progress");
  const all = done + waiting.length + 1;
  if (all > 1) bar.value = done / all;
  else bar.removeAttribute("value");
  showStatus(`Reading ${name}: ${results.readings.length} so far`);
  byId("csv").disabled = byId("jsonl").disabled = !results.readings.length;
  byId("csv").hidden = !areStored(results.readings);
}

const showStatus = (text) => (byId("status").textContent = text);

function showError({ name }, reason) {
  byId("errors").append(make("p.error", {}, make("b", {}, name), `: ${reason.replace(/^the \w+ given as [^:]+: /, "")}`));
}

on("click", "#csv, #jsonl", ({ id }) => attempt(() => download(results.readings, id)));
on("click", "#cancel", () => {
  waiting.length = 0;
  stopping?.abort();
});
on("click", "#clear-results", () => {
  byId("cancel").click();
  results.clear();
  byId("errors").replaceChildren();
  byId("results").hidden = true;
});
on("click", "[data-sample]", async ({ dataset: { sample, kind: as } }) => {
  const content = await (await fetch(sample)).blob();
  read([new File([content], sample.split("/").at(-1), { type: content.type })], as);
});
acceptFiles(read);
