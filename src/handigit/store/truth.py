"""A person's answer, and when two answers are the same number."""

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from handigit.records import Number, Outcome, parse_value, value_to_json
from handigit.store.errors import BadTruth

MAX_TEXT_LENGTH: Final = 64
"""Maximum length of a corrected number."""
NUMBER_AS_WRITTEN: Final = r"^(?![=@ ])(?=.*[0-9])[0-9 .,:/'+\-$€£%x=]*[0-9.,:/'+\-$€£%x=]$"
"""Digits with signs, separators and units; of what begins a spreadsheet formula, only a sign."""
_AS_WRITTEN: Final = re.compile(NUMBER_AS_WRITTEN)


def canonical(text: str, value: Decimal | date | None) -> str:
    """A form in which equal numbers are equal text: `12.50`, `12,5` and `$12.50` become `12.5`.

    Digits alone stay as they are, because the leading zeros of a postal code count; so does text without a value.
    """
    if isinstance(value, Decimal) and not (text.isascii() and text.isdigit()):
        return f"{value.normalize() + 0:f}"  # + 0 turns -0 into 0
    return value.isoformat() if isinstance(value, date) else text.replace(" ", "")


def canonical_of(number: Number) -> str:
    """The reader's result in the form that is compared; empty where there is no number."""
    if number.outcome not in (Outcome.READ, Outcome.DOUBT):
        return ""
    return canonical(number.raw or number.text, number.value)


@dataclass(frozen=True, slots=True)
class Truth:
    """A person's answer: a number as it is written (`12.50`, `-3`, `0715`), or `blank` or `not_a_number`.

    Raises:
        BadTruth: text that is not a number of 1 to 64 characters, or text where there is no number.
    """

    text: str = ""
    outcome: Outcome = Outcome.READ

    def __post_init__(self) -> None:
        if self.outcome is Outcome.DOUBT:
            raise BadTruth("a correction cannot be a doubt; type what is written, or skip it")
        if self.outcome is not Outcome.READ and self.text:
            raise BadTruth(f"with the outcome {self.outcome} there is no number, so the text must be empty")
        fits = len(self.text) <= MAX_TEXT_LENGTH and _AS_WRITTEN.fullmatch(self.text)
        if self.outcome is Outcome.READ and not fits:
            shown = self.text[:MAX_TEXT_LENGTH]
            raise BadTruth(
                f"{shown!r} is not a number of 1 to {MAX_TEXT_LENGTH} characters; type it as it is written, such as "
                "0715, 12.50 or -3"
            )

    @property
    def digits(self) -> str:
        """The digits alone, leading zeros included."""
        return "".join(character for character in self.text if character.isdigit())

    @property
    def value(self) -> Decimal | date | None:
        """The value where the text decides it."""
        return parse_value(self.text)

    @property
    def canonical(self) -> str:
        """The text in the form that is compared."""
        return canonical(self.text, self.value)

    def to_json(self) -> dict[str, Any]:
        """Text, value and outcome as JSON types."""
        return {"text": self.text, "value": value_to_json(self.value), "outcome": self.outcome.value}
