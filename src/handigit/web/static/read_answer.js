// The pad's answer: a large one, in words, with bars, with what else it may be and what the model saw.

import { byId, make } from "./dom.js";
import { outcomeWord, percent, sentence } from "./words.js";

const DIGITS = [..."0123456789"];

/** `answer` as POST /pad gives it; null while nothing is drawn. `isSettled`: the pen is up, so it is worth hearing. */
export function showAnswer(answer, { kind, isSettled }) {
  const words = answer ? sentence(answer, kind) : "Nothing is written here yet; what you draw is read at once.";
  for (const place of document.querySelectorAll(".glance")) {
    place.textContent = answer?.text || "–";
    place.classList.toggle("none", !answer?.text);
    place.classList.toggle("doubt", answer?.outcome === "doubt");
  }
  byId("words").textContent = words;
  if (isSettled) byId("heard").textContent = answer ? words : "";
  byId("outcome").textContent = answer ? outcomeWord(answer.outcome) : "";
  byId("outcome").className = `outcome ${answer?.outcome ?? ""}`;
  byId("outcome").hidden = !answer;
  showBars(kind === "digit" ? ofTen(answer) : ofEach(answer));
  showOthers(answer?.alternatives ?? []);
  showSeen(answer?.seen, kind);
}

/** Something else than an answer: why there is none. */
export function showRefusal(refusal) {
  byId("words").textContent = refusal.message;
  byId("heard").textContent = refusal.message;
}

function ofTen(answer) {
  const shares = answer?.probabilities ?? [];
  const best = answer?.outcome === "not_a_number" ? null : Math.max(...shares);
  return DIGITS.map((digit, value) => ({ digit, share: shares[value], isBest: shares[value] === best }));
}

function ofEach(answer) {
  return (answer?.digits ?? []).map(({ value, confidence }) => ({ digit: value, share: confidence, isBest: true }));
}

/** The rows stay the same elements while they can, so that bars grow and shrink. */
function showBars(shown) {
  const bars = byId("bars");
  while (bars.children.length > shown.length) bars.lastChild.remove();
  while (bars.children.length < shown.length) bars.append(bar());
  shown.forEach(({ digit, share = 0, isBest }, place) => {
    const [name, track, words] = bars.children[place].children;
    bars.children[place].className = isBest ? "best" : "";
    name.textContent = digit;
    track.firstChild.style.width = `${100 * share}%`;
    words.textContent = share ? percent(share) : "";
  });
}

const part = (className, ...children) => make("div", { className }, ...children);
const bar = () => make("li", {}, part("figures"), part("track", part("fill")), part("share"));

function showOthers(alternatives) {
  const shown = alternatives.map(([text, share]) => make("li", {}, make("b", { className: "figures" }, text), ` ${percent(share)}`));
  byId("others").replaceChildren(...shown);
  byId("others-row").hidden = !shown.length;
}

function showSeen(address, kind) {
  byId("seen-row").hidden = !address;
  if (address) byId("seen").src = address;
  byId("seen").className = `pixels ${kind}`;
}
