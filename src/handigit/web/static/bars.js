// Bars for how probable each digit is.

import { byId, make } from "./dom.js";
import { percent } from "./words.js";

/** A bar for each of the ten digits; the likeliest stands out, unless the answer is that it is none. */
export function ofTen({ probabilities, outcome }) {
  const best = outcome === "not_a_number" ? null : Math.max(...probabilities);
  return [..."0123456789"].map((digit, value) => ({ digit, share: probabilities[value], isBest: probabilities[value] === best }));
}

/** The rows stay the same elements while they can, so that bars grow and shrink. */
export function showBars(shown) {
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

const bar = () => make("li", {}, make("div.figures"), make("div.track", {}, make("div.fill")), make("div.share"));
