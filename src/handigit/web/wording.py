"""What outcomes are called on the pages, and an answer as a sentence.

It knows words, not where an answer comes from.
"""

from typing import Final

from handigit.records import Outcome, percent

WORDS: Final = {
    Outcome.READ: "read",
    Outcome.DOUBT: "not sure",
    Outcome.BLANK: "blank",
    Outcome.NOT_A_NUMBER: "not a number",
}


def sentence(outcome: Outcome, text: str, confidence: float, *, what: str) -> str:
    """An answer for people; `what` was expected is "digit" or "number"."""
    match outcome:
        case Outcome.READ:
            return f"This is {text}, {percent(confidence)} sure."
        case Outcome.DOUBT if text:
            return f"Perhaps {text}, but only {percent(confidence)} sure: look at it."
        case Outcome.DOUBT:
            return "Too unsure to say."
        case Outcome.BLANK:
            return "Nothing is written here."
    return f"This is not a {what}."
