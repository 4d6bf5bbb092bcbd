// The first page: the pad, and files with their results.

import { requestLines } from "./api.js";
import { attempt, byId, checkedValue, copyText, make, on } from "./dom.js";
import { areStored, download } from "./export.js";
import { acceptFiles } from "./file_input.js";
import "./read_pad.js";
import { Results } from "./results.js";
import { plural, written } from "./wording.js";

const NOTHING_FOUND = "No number found. Is the whole page in view and well lit? You can rotate it, crop it, or read an area.";
const results = new Results({ onReadAgain: (file) => read([file]), onChange: showTotals });
const waiting = [];
let stopping = null;
let count = 0;
let done = 0;

async function read(files, kind = checkedValue("contents")) {
  waiting.push(...files.map((content) => ({ content, kind, name: content.name, type: content.type, number: count++ })));
  byId("results").hidden = false;
  if (stopping) return;
  stopping = new AbortController();
  byId("results").focus({ preventScroll: true });
  byId("results").scrollIntoView({ block: "start" });
  byId("work").hidden = false;
  while (waiting.length) await readOne(waiting.shift());
  [stopping, done] = [null, 0];
  byId("work").hidden = true;
  showTotals();
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
    await requestLines(`/v1/${file.kind}?${query}`, { method: "POST", body: file.content, signal: stopping.signal, onLine });
    if (results.readings.length === before) {
      results.addEmptyPage(file);
      showError(file, NOTHING_FOUND);
    }
  } catch (problem) {
    showError(file, problem.name === "AbortError" ? "cancelled; results so far are kept." : problem.message);
  }
  done += 1;
}

function showProgress({ name }) {
  const bar = byId("progress");
  const total = done + waiting.length + 1;
  if (total > 1) bar.value = done / total;
  else bar.removeAttribute("value");
  byId("status").textContent = `Reading ${name}: ${results.readings.length} so far`;
  showActions();
}

function showTotals() {
  if (stopping) return;
  const unsure = results.readings.filter(({ outcome, truth }) => outcome === "doubt" && !truth).length;
  byId("status").textContent = `${plural(results.readings.length, "number")} found${unsure ? `, ${unsure} to check` : ""}`;
  showActions();
}

function showActions() {
  for (const id of ["copy", "xlsx", "csv", "jsonl"]) byId(id).disabled = !results.readings.length;
  byId("csv").hidden = byId("xlsx").hidden = !areStored(results.readings);
}

function showError({ name }, reason) {
  byId("errors").append(make("p.error", {}, make("b", {}, name), `: ${reason.replace(/^the \w+ given as [^:]+: /, "")}`));
}

on("click", "#xlsx, #csv, #jsonl", ({ id }) => attempt(() => download(results.readings, id)));
on("click", "#copy", () => copyText(results.readings.map(written).join("\n")));
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
on("click", "[data-sample]", async ({ dataset: { sample, kind } }) => {
  const content = await (await fetch(sample)).blob();
  read([new File([content], sample.split("/").at(-1), { type: content.type })], kind);
});
acceptFiles(read);
if (results.restore()) {
  byId("results").hidden = false;
  showTotals();
}
