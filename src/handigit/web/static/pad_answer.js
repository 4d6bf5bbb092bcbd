// The answer to a drawing: the value, a sentence, probability bars, alternatives and the model's input.

import { byId, make } from "./dom.js";
import { showBars, tenBars } from "./probability_bars.js";
import { outcomeWord, percent } from "./wording.js";

const EMPTY = { says: byId("words").textContent, outcome: "", text: "", digits: [], alternatives: [], probabilities: [] };

/** `answer` as POST /pad returns it, null for an empty pad. `isFinal`: the pen is up, so it is announced. */
export function showAnswer(answer, { kind, isFinal }) {
  const shown = answer ?? EMPTY;
  for (const element of document.querySelectorAll(".answer-value")) {
    element.textContent = shown.text || "–";
    element.classList.toggle("none", !shown.text);
    element.classList.toggle("doubt", shown.outcome === "doubt");
  }
  byId("words").textContent = shown.says;
  if (isFinal) byId("announcement").textContent = answer ? shown.says : "";
  const chip = byId("outcome");
  chip.textContent = outcomeWord(shown.outcome);
  chip.className = `outcome ${shown.outcome}`;
  chip.hidden = !answer;
  showBars(kind === "digit" ? tenBars(shown) : digitBars(shown));
  showAlternatives(shown);
  showModelInput(shown.seen, kind);
}

/** An error in place of an answer. */
export function showProblem({ message }) {
  byId("words").textContent = byId("announcement").textContent = message;
}

const digitBars = ({ digits }) => digits.map(({ value, confidence }) => ({ digit: value, probability: confidence, isBest: true }));

function showAlternatives({ alternatives }) {
  const items = alternatives.map(([text, confidence]) => make("li", {}, make("b.figures", {}, text), ` ${percent(confidence)}`));
  byId("alternatives").replaceChildren(...items);
  byId("alternatives-row").hidden = !items.length;
}

function showModelInput(address, kind) {
  const image = byId("model-input");
  byId("model-input-row").hidden = !address;
  if (address) image.src = address;
  image.className = `pixels ${kind}`;
}
