// What outcomes and shares are called, for people.

const SAYS = {
  read: "read",
  doubt: "not sure",
  blank: "blank",
  not_a_number: "not a number",
};

/** The outcome in one or two words. */
export const outcomeWord = (outcome) => SAYS[outcome] ?? outcome;

/** The answer as a sentence; `what` is "digit" or "number". */
export function sentence({ outcome, text, confidence }, what = "number") {
  if (outcome === "read") return `This is ${text}, ${percent(confidence)} sure.`;
  if (outcome === "doubt") return text ? `Perhaps ${text}, but only ${percent(confidence)} sure: look at it.` : "Too unsure to say.";
  if (outcome === "blank") return "Nothing is written here.";
  return `This is not a ${what}.`;
}

/** A share as per cent; never "100%", because nothing is. As the command line has it. */
export const percent = (share) => (share > 0.999 ? ">99.9%" : `${(100 * share).toFixed(1)}%`);
