// The review page: decide uncertain readings by keyboard or by thumb.

import { request } from "./api.js";
import { contextView, crop, cropOf } from "./crop.js";
import { attempt, byId, make, on, onSubmit, toast } from "./dom.js";
import { Outbox } from "./review_outbox.js";
import { ReviewQueue } from "./review_queue.js";
import { keypadFor, outcomeWord, percent, withSeparators, written } from "./wording.js";

const REASONS = { doubt: "was unsure", control: "spot check", second: "second opinion", third: "third opinion" };
const MAX_RECENT = 6;
const COUNT_INTERVAL_MS = 4000;
const SETTLE_MS = 300; // the second tap of a double tap must not decide the next item
const isTouch = matchMedia("(pointer: coarse)").matches;
const input = byId("text");
const queue = new ReviewQueue(new Outbox({ onRejected: (error) => toast(`Not saved: ${error.message}`), onRetry: showUnsent }));
let shown = null; // the item on screen: only that can be decided
let isBusy = false;
let countedAt = 0;

/** Run one action at a time, then show the current item. */
async function step(work = () => {}) {
  if (isBusy) return;
  isBusy = true;
  byId("item").ariaBusy = true;
  await attempt(async () => {
    await work();
    await showNext();
  });
  if (isTouch) await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  isBusy = false;
  byId("item").ariaBusy = false;
}

async function showNext() {
  shown = null;
  const item = await queue.open();
  byId("item").hidden = !item;
  byId("empty").hidden = Boolean(item);
  if (item) await show(item);
  shown = item;
  showDecisions();
  updateCount(!item);
  queue.prefetch().catch(() => {});
}

async function show({ reading, purpose, typed, page }) {
  byId("third").hidden = purpose !== "third";
  byId("source").textContent = `${reading.source || "a picture"}, page ${reading.page + 1}`;
  const alternatives = reading.alternatives.map(([digits, confidence]) => [withSeparators(digits, reading.raw), confidence]);
  const candidates = [[written(reading), reading.confidence], ...alternatives].filter(([text]) => text);
  byId("candidates").replaceChildren(...candidates.slice(0, 5).map(candidateButton));
  input.inputMode = keypadFor(reading.raw);
  setText(typed ?? written(reading), typed === undefined);
  showPicture(reading, await page);
  byId("item").dataset.reading = reading.id;
  byId("announcement").textContent = `Next: ${written(reading) || "no text"}.`;
}

function showPicture({ box, ...reading }, page) {
  const view = page && contextView(box, page);
  byId("crop").replaceChildren(cropOf(page, box, `The handwriting, read as ${written(reading) || "nothing"}`));
  byId("context").replaceChildren(view ? crop(page, view, "Its place on the page", box) : "");
}

function candidateButton([text, confidence], index) {
  const attributes = { type: "button", "data-text": text, title: `Alt+${index + 1}`, onclick: () => decide("read", text) };
  return make("button.button.candidate", attributes, make("b.figures", {}, text), make("span.hint", {}, percent(confidence)));
}

/** `isSuggestion` until the reviewer types. */
function setText(text, isSuggestion) {
  input.value = text;
  input.dataset.suggestion = isSuggestion;
  // On a phone, focus would open the keyboard.
  if (matchMedia("(pointer: fine)").matches) input.focus();
  input.select();
  markCandidate();
}

function markCandidate() {
  for (const button of byId("candidates").children) button.setAttribute("aria-pressed", button.dataset.text === input.value);
}

function decide(outcome, text = "") {
  if (!shown || isBusy) return;
  if (outcome === "read" && !text) return toast("Type the number, or choose Blank or Not a number.");
  step(() => {
    const decision = queue.decide({ outcome, text });
    decision.stored.then((correction) => {
      if (correction) return;
      queue.forget(decision);
      showDecisions();
    });
  });
}

const accept = () => decide("read", input.value.trim());

const move = (by) => step(async () => {
  const before = shown;
  if (!before) return;
  before.typed = input.value === written(before.reading) ? undefined : input.value;
  await queue.move(by);
  if (queue.item === before) toast("This is the only item.");
});

const undo = () => step(async () => {
  if (!queue.decisions.length) return toast("Nothing to undo.");
  toast((await queue.undo()) ? "Undone. Decide again." : "Undone. Another reviewer has this item now.");
});

/** Select the candidate above or below the current text. */
function selectCandidate(by) {
  const texts = [...byId("candidates").children].map((button) => button.dataset.text);
  const index = texts.indexOf(input.value);
  if (texts.length) setText(texts[index < 0 ? 0 : (index + by + texts.length) % texts.length], true);
}

function showDecisions() {
  byId("done").textContent = queue.decisions.length;
  byId("recent-section").hidden = !queue.decisions.length;
  byId("recent").replaceChildren(...queue.decisions.slice(-MAX_RECENT).reverse().map(decisionRow));
}

/** The reason is shown only after the decision, because it would bias the reviewer. */
function decisionRow({ item: { reading, purpose }, text, outcome }) {
  const decided = text || outcomeWord(outcome);
  const change = text && text === written(reading) ? `${decided} confirmed` : `${written(reading) || "nothing"} → ${decided}`;
  const link = make("a.figures", { href: `/readings/${reading.id}`, target: "_blank" }, change);
  return make("li", {}, link, make("span.hint", {}, ` (${REASONS[purpose]})`));
}

async function updateCount(isForced) {
  if (!isForced && Date.now() - countedAt < COUNT_INTERVAL_MS) return;
  countedAt = Date.now();
  const { held, ...queued } = await request("/v1/review").catch(() => ({}));
  const remaining = Object.values(queued).reduce((sum, count) => sum + count, 0);
  byId("remaining").textContent = remaining;
  byId("others").hidden = !remaining;
}

function showUnsent(count) {
  byId("unsent").hidden = !count;
  byId("unsent-count").textContent = count;
  if (!count && !shown) step(); // the server is reachable again
}

const actions = {
  arrowleft: () => move(-1),
  arrowright: () => move(1),
  arrowup: () => selectCandidate(-1),
  arrowdown: () => selectCandidate(1),
  x: () => decide("not_a_number"),
  b: () => decide("blank"),
  u: undo,
  "?": () => byId("help").showModal(),
  escape: () => shown && setText(written(shown.reading), true),
};

function actionFor({ key, code, altKey, target }) {
  if (altKey) {
    const button = byId("candidates").children[code.replace("Digit", "") - 1];
    return button && (() => button.click());
  }
  if (key === "Enter") return [input, document.body].includes(target) && accept;
  // While the reviewer types, left and right move the cursor.
  if (target === input && input.dataset.suggestion !== "true" && /^Arrow(Left|Right)$/.test(key)) return null;
  if (target !== input && /^[-+0-9.,]$/.test(key)) input.focus();
  return actions[key.toLowerCase()];
}

document.addEventListener("keydown", (event) => {
  if (byId("help").open || event.ctrlKey || event.metaKey || event.isComposing) return;
  const action = actionFor(event);
  if (!action) return;
  event.preventDefault();
  if (!event.repeat) action();
});
on("focus", "#text", () => input.dataset.suggestion === "true" && input.select());
on("input", "#text", () => {
  input.value = input.value.replace(/[^0-9 .,:/'+\-$€£%]/g, "");
  input.dataset.suggestion = false;
  markCandidate();
});
onSubmit(byId("decision"), accept);
on("click", "[data-key]", ({ dataset }) => actions[dataset.key]());
on("click", "#refresh", () => step());
addEventListener("pagehide", () => queue.releaseAll());
addEventListener("pageshow", (event) => event.persisted && location.reload());
addEventListener("beforeunload", (event) => queue.outbox.unsent.length && event.preventDefault());
step();
