// Outcome words, plurals and percentages, as Python's `handigit.records` has them.

const OUTCOME_WORDS = JSON.parse(document.body.dataset.outcomeWords);

/** The outcome as people read it. */
export const outcomeWord = (outcome) => OUTCOME_WORDS[outcome] ?? outcome;

/** "1 reading", "2 readings". */
export const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

/** A fraction such as "95.2%"; never rounded to 100% or to 0%. */
export function percent(fraction) {
  if (fraction >= 0.9995) return ">99.9%";
  return fraction < 0.0005 ? "<0.1%" : `${(100 * fraction).toFixed(1)}%`;
}
