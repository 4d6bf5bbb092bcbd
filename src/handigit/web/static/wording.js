// Outcome words, plurals and percentages, as Python's `handigit.records` has them; and readings as people write them.

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

/** The number as written, a person's before the reader's: "3.50"; an empty string where there is none. */
export const written = ({ truth, raw, text }) => (truth ? truth.text : text && (raw || text));

/** The on-screen keypad for a number like this; the decimal keypad has no slash or minus. */
export const keypadFor = (raw) => (/[^\d.,]/.test(raw) ? "text" : "decimal");

/** Digits with the separators of `raw` ("850" like "3.50" is "8.50"), where there are as many digits. */
export function withSeparators(digits, raw) {
  if (/\D/.test(digits) || digits.length !== raw.replace(/\D/g, "").length) return digits;
  let index = 0;
  return raw.replace(/\d/g, () => digits[index++]);
}
