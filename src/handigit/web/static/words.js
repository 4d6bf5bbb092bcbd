// What outcomes and shares are called, for people.

const SAYS = {
  read: "read",
  doubt: "not sure",
  blank: "blank",
  not_a_number: "not a number",
};

/** The outcome in one or two words. */
export const outcomeWord = (outcome) => SAYS[outcome] ?? outcome;

/** "1 reading", "2 readings". */
export const several = (count, thing) => `${count} ${thing}${count === 1 ? "" : "s"}`;

/** A share as per cent; never "100%", because nothing is. As the command line has it. */
export const percent = (share) => (share > 0.999 ? ">99.9%" : `${(100 * share).toFixed(1)}%`);
