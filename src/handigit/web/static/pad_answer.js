// The answer to a drawing: the value, a sentence, probability bars, alternatives and the model's input.

import { byId, make } from "./dom.js";
import { showBars, tenBars } from "./probability_bars.js";
import { outcomeWord, percent, withSeparators, written } from "./wording.js";

const EMPTY = { says: byId("words").textContent, outcome: "", raw: "", text: "", kind: "", digits: [], alternatives: [], probabilities: [] };

/** `answer` as POST /pad returns it, null for an empty pad. `isFinal`: the pen is up, so it is announced. */
export function showAnswer(answer, { isFinal }) {
  const shown = answer ?? EMPTY;
  const value = written(shown);
  for (const element of document.querySelectorAll(".answer-value")) {
    element.textContent = value || "–";
    element.classList.toggle("none", !value);
    element.classList.toggle("doubt", shown.outcome === "doubt");
    element.classList.toggle("long", value.length > 5);
  }
  byId("words").textContent = shown.says;
  byId("digits-only").hidden = !value || value === shown.text;
  byId("digits-only").lastElementChild.textContent = shown.text;
  if (isFinal) byId("announcement").textContent = answer ? shown.says : "";
  const chip = byId("outcome");
  chip.textContent = outcomeWord(shown.outcome);
  chip.className = `outcome ${shown.outcome}`;
  chip.hidden = byId("answer-actions").hidden = !answer;
  byId("copy-answer").hidden = !value;
  showBars(shown.kind === "digit" ? tenBars(shown) : digitBars(shown));
  showAlternatives(shown);
  showModelInput(shown.seen, shown.kind);
}

/** An error in place of an answer. */
export function showProblem({ message }) {
  byId("words").textContent = byId("announcement").textContent = message;
}

const digitBars = ({ digits }) => digits.map(({ value, confidence }) => ({ digit: value, probability: confidence, isBest: true }));

function showAlternatives({ alternatives, raw }) {
  const items = alternatives.map(([text, confidence]) =>
    make("li", {}, make("b.figures", {}, withSeparators(text, raw)), ` ${percent(confidence)}`));
  byId("alternatives").replaceChildren(...items);
  byId("alternatives-row").hidden = !items.length;
}

function showModelInput(address, kind) {
  const image = byId("model-input");
  byId("model-input-row").hidden = !address;
  if (address) image.src = address;
  image.className = `pixels ${kind}`;
}
