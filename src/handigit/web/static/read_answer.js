// The pad's answer: a large one, in words, with bars, with what else it may be and what the model saw.

import { ofTen, showBars } from "./bars.js";
import { byId, make } from "./dom.js";
import { outcomeWord, percent } from "./words.js";

const NONE = { says: byId("words").textContent, outcome: "", text: "", digits: [], alternatives: [], probabilities: [] };

/** `given` as POST /pad gives it; null while nothing is drawn. `isSettled`: the pen is up, so it is worth hearing. */
export function showAnswer(given, { kind, isSettled }) {
  const answer = given ?? NONE;
  for (const place of document.querySelectorAll(".glance")) {
    place.textContent = answer.text || "–";
    place.classList.toggle("none", !answer.text);
    place.classList.toggle("doubt", answer.outcome === "doubt");
  }
  byId("words").textContent = answer.says;
  if (isSettled) byId("heard").textContent = given ? answer.says : "";
  const outcome = byId("outcome");
  outcome.textContent = outcomeWord(answer.outcome);
  outcome.className = `outcome ${answer.outcome}`;
  outcome.hidden = !given;
  showBars(kind === "digit" ? ofTen(answer) : ofEach(answer));
  showOthers(answer);
  showSeen(answer.seen, kind);
}

/** Something else than an answer: why there is none. */
export function showProblem({ message }) {
  byId("words").textContent = byId("heard").textContent = message;
}

const ofEach = ({ digits }) => digits.map(({ value, confidence }) => ({ digit: value, share: confidence, isBest: true }));

function showOthers({ alternatives }) {
  const shown = alternatives.map(([text, share]) => make("li", {}, make("b.figures", {}, text), ` ${percent(share)}`));
  byId("others").replaceChildren(...shown);
  byId("others-row").hidden = !shown.length;
}

function showSeen(address, kind) {
  byId("seen-row").hidden = !address;
  if (address) byId("seen").src = address;
  byId("seen").className = `pixels ${kind}`;
}
