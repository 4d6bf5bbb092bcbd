// The page on which people decide what the reader doubts, by keyboard or by thumb.

import { ask } from "./api.js";
import { closeCut, cut, wideView } from "./crop.js";
import { attempt, byId, make, on, onSubmit, say } from "./dom.js";
import { Desk } from "./review_desk.js";
import { Outbox } from "./review_outbox.js";
import { outcomeWord, percent } from "./words.js";

const WHY = { doubt: "a doubt", control: "of the control sample", second: "a second look", third: "a third look" };
const RECENT = 6;
const COUNT_EVERY_MS = 4000;
const input = byId("text");
const desk = new Desk(new Outbox({ onLost: (refusal) => say(`Not taken: ${refusal.message}`), onWait: showUnsent }));
let shown = null; // the item whose crop is on the screen: only that can be decided
let busy = false;
let counted = 0;

/** One thing at a time, then what is to be looked at; what goes wrong is said. */
async function step(work = () => {}) {
  if (busy) return;
  busy = true;
  await attempt(async () => {
    await work();
    await next();
  });
  busy = false;
}

async function next() {
  shown = null;
  const item = await desk.open();
  byId("item").hidden = !item;
  byId("empty").hidden = Boolean(item);
  if (item) await show(item);
  shown = item;
  showDone();
  count(!item);
  desk.prepare().catch(() => {});
}

async function show({ reading, purpose, typed, page }) {
  byId("third").hidden = purpose !== "third";
  byId("source").textContent = `${reading.source || "a picture"}, page ${reading.page + 1}`;
  const candidates = [[reading.text, reading.confidence], ...reading.alternatives].filter(([text]) => text);
  byId("candidates").replaceChildren(...candidates.slice(0, 5).map(candidate));
  setText(typed ?? reading.text, typed === undefined);
  showPicture(reading, await page);
  byId("item").dataset.reading = reading.id;
  byId("heard").textContent = `Next: ${reading.text || "nothing was read"}.`;
}

function showPicture({ box, text }, page) {
  const wide = page && wideView(box, page);
  byId("crop").replaceChildren(closeCut(page, box, `What is written; it was read as ${text || "nothing"}`));
  byId("context").replaceChildren(wide ? cut(page, wide, "The place on its page", box) : "");
}

function candidate([text, share], place) {
  const settings = { type: "button", "data-text": text, title: `Alt+${place + 1}`, onclick: () => decide("read", text) };
  return make("button.button.candidate", settings, make("b.figures", {}, text), make("span.hint", {}, percent(share)));
}

/** What stands in the field; `fresh` where nobody has written in it. */
function setText(text, fresh) {
  input.value = text;
  input.dataset.fresh = fresh;
  // On a phone the keyboard comes only when somebody wants to write.
  if (matchMedia("(pointer: fine)").matches) input.focus();
  input.select();
  markCandidate();
}

function markCandidate() {
  for (const button of byId("candidates").children) button.setAttribute("aria-pressed", button.dataset.text === input.value);
}

function decide(outcome, text = "") {
  if (!shown || busy) return;
  if (outcome === "read" && !text) return say("Type the digits, or say that it is blank or not a number.");
  step(() => {
    const made = desk.decide({ outcome, text });
    made.landed.then((correction) => {
      if (correction) return;
      desk.forget(made);
      showDone();
    });
  });
}

const accept = () => decide("read", input.value);

const move = (by) => step(async () => {
  const before = shown;
  if (!before) return;
  before.typed = input.value === before.reading.text ? undefined : input.value;
  await desk.move(by);
  if (desk.item === before) say("Nothing else waits.");
});

const undo = () => step(async () => {
  if (!desk.done.length) return say("Nothing was decided here yet.");
  say((await desk.undo()) ? "Undone: decide it anew." : "Undone; another reviewer has it now.");
});

/** The candidate above or below what stands in the field. */
function choose(by) {
  const texts = [...byId("candidates").children].map((button) => button.dataset.text);
  const now = texts.indexOf(input.value);
  if (texts.length) setText(texts[now < 0 ? 0 : (now + by + texts.length) % texts.length], true);
}

function showDone() {
  byId("done").textContent = desk.done.length;
  byId("lately").hidden = !desk.done.length;
  byId("recent").replaceChildren(...desk.done.slice(-RECENT).reverse().map(told));
}

/** Only now, after the decision, why it was shown: it would have swayed whoever decides. */
function told({ item: { reading, purpose }, text, outcome }) {
  const link = make("a.figures", { href: `/readings/${reading.id}`, target: "_blank" }, text || outcomeWord(outcome));
  const was = text === reading.text ? "as read" : `read as ${reading.text || "nothing"}`;
  return make("li", {}, link, make("span.hint", {}, ` ${was}, ${WHY[purpose]}`));
}

async function count(now) {
  if (!now && Date.now() - counted < COUNT_EVERY_MS) return;
  counted = Date.now();
  const { held, ...queued } = await ask("/v1/review").catch(() => ({}));
  const waiting = Object.values(queued).reduce((sum, one) => sum + one, 0);
  byId("waiting").textContent = waiting;
  byId("others").hidden = !waiting;
}

function showUnsent(unsent) {
  byId("unsent").hidden = !unsent;
  byId("unsent-count").textContent = unsent;
  if (!unsent && !shown) step(); // it answers again
}

const keys = {
  arrowleft: () => move(-1),
  arrowright: () => move(1),
  arrowup: () => choose(-1),
  arrowdown: () => choose(1),
  x: () => decide("not_a_number"),
  b: () => decide("blank"),
  u: undo,
  "?": () => byId("help").showModal(),
  escape: () => shown && setText(shown.reading.text, true),
};

function actOf({ key, code, altKey, target }) {
  if (altKey) {
    const button = byId("candidates").children[code.replace("Digit", "") - 1];
    return button && (() => button.click());
  }
  if (key === "Enter") return [input, document.body].includes(target) && accept;
  // Arrows move within what somebody is writing, and between items else.
  if (target === input && input.dataset.fresh !== "true" && /^Arrow(Left|Right)$/.test(key)) return null;
  if (target !== input && /^[0-9]$/.test(key)) input.focus();
  return keys[key.toLowerCase()];
}

document.addEventListener("keydown", (event) => {
  if (byId("help").open || event.ctrlKey || event.metaKey || event.isComposing) return;
  const act = actOf(event);
  if (!act) return;
  event.preventDefault();
  if (!event.repeat) act();
});
on("focus", "#text", () => input.dataset.fresh === "true" && input.select());
on("input", "#text", () => {
  input.value = input.value.replace(/[^0-9]/g, "");
  input.dataset.fresh = false;
  markCandidate();
});
onSubmit(byId("decision"), accept);
on("click", "[data-key]", ({ dataset }) => keys[dataset.key]());
on("click", "#again", () => step());
addEventListener("pagehide", () => desk.leave());
addEventListener("pageshow", (event) => event.persisted && location.reload());
addEventListener("beforeunload", (event) => desk.outbox.unsent.length && event.preventDefault());
step();
