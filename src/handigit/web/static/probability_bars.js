// Horizontal bars for the probability of each digit.

import { byId, make } from "./dom.js";
import { percent } from "./wording.js";

/** One bar per digit 0 to 9; the most likely is highlighted unless the answer is "not a number". */
export function tenBars({ probabilities, outcome }) {
  const highest = outcome === "not_a_number" ? null : Math.max(...probabilities);
  return [..."0123456789"].map((digit, value) => ({ digit, probability: probabilities[value], isBest: probabilities[value] === highest }));
}

/** Elements are reused, so that the bars animate. */
export function showBars(bars) {
  const list = byId("bars");
  while (list.children.length > bars.length) list.lastChild.remove();
  while (list.children.length < bars.length) list.append(make("li", {}, make("div.figures"), make("div.track", {}, make("div.fill")), make("div.share")));
  bars.forEach(({ digit, probability = 0, isBest }, index) => {
    const [name, track, label] = list.children[index].children;
    list.children[index].className = isBest ? "best" : "";
    name.textContent = digit;
    track.firstChild.style.width = `${100 * probability}%`;
    label.textContent = probability ? percent(probability) : "";
  });
}
