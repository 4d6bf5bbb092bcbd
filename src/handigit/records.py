"""The nouns that travel between rooms: what was read, where, and how sure we are.

Frozen, without I/O. They know nothing of pictures' formats, of models, or of how a confidence came about.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

import numpy as np
from jaxtyping import Float32


class Outcome(StrEnum):
    """What became of an input. A doubt is data, not an error."""

    READ = "read"
    DOUBT = "doubt"
    BLANK = "blank"
    NOT_A_NUMBER = "not_a_number"


OUTCOME_WORDS: Final = {
    Outcome.READ: "read",
    Outcome.DOUBT: "not sure",
    Outcome.BLANK: "blank",
    Outcome.NOT_A_NUMBER: "not a number",
}
"""Outcomes as people read them: pages, the command line and annotated pictures share these words."""


def percent(fraction: float) -> str:
    """A fraction as people read it, such as "95.2%"; never rounded to 100% or to 0%.

    `static/words.js` has the same rule, and a test compares them.
    """
    if fraction >= 0.9995:
        return ">99.9%"
    return "<0.1%" if fraction < 0.0005 else f"{fraction:.1%}"


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the picture as given, after EXIF rotation; right and bottom lie just outside it."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return self.bottom - self.top

    def as_list(self) -> list[int]:
        """`[left, top, right, bottom]`, as every JSON answer has it."""
        return [self.left, self.top, self.right, self.bottom]

    @classmethod
    def of(cls, sides: Sequence[int] | None) -> "Box | None":
        """The box from what `as_list` gave; None where there was none."""
        return cls(*sides) if sides else None


@dataclass(frozen=True, slots=True, eq=False)
class Digit:
    """What was read from one glyph.

    `value` is the most probable digit, also where the outcome is `doubt`; it is None where there is no digit to speak
    of (`blank`, `not_a_number`). `confidence` is the calibrated probability that `value` is right, 0..1.
    `glyph` is what the model saw, ink bright on 0; None for a blank.
    """

    outcome: Outcome
    value: int | None
    confidence: float
    probabilities: tuple[float, ...]
    box: Box | None
    glyph: Float32[np.ndarray, "28 28"] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, told: Mapping[str, Any], *, glyph: Float32[np.ndarray, "28 28"] | None = None) -> "Digit":
        """The digit from its fields as JSON has them, its box as a list, and what the model saw."""
        return cls(
            outcome=Outcome(told["outcome"]),
            value=told["value"],
            confidence=told["confidence"],
            probabilities=tuple(told["probabilities"]),
            box=Box.of(told["box"]),
            glyph=glyph,
        )

    def as_number(self, page: int = 0) -> "Number":
        """The same answer as a number of one digit, with the runners-up as alternatives."""
        text = "" if self.value is None else str(self.value)
        ranked = sorted(enumerate(self.probabilities), key=lambda pair: -pair[1])
        others = tuple((str(v), p) for v, p in ranked if str(v) != text and p >= 0.001)[:3]
        return Number(
            outcome=self.outcome,
            text=text,
            confidence=self.confidence,
            digits=(self,) if text else (),
            alternatives=others if text else (),
            raw=text,
            box=self.box,
            page=page,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Number:
    """What was read from one line: a string of digits, leading zeros kept.

    `raw` has the separators that `text` leaves out ("15.728"). `page` counts from 0.
    """

    outcome: Outcome
    text: str
    confidence: float
    digits: tuple[Digit, ...] = ()
    alternatives: tuple[tuple[str, float], ...] = ()
    raw: str = ""
    box: Box | None = None
    page: int = 0

    def placed(self, where: Callable[[Box], Box]) -> "Number":
        """The same number with each of its boxes where `where` puts it: a crop's places as places on its page."""
        digits = tuple(replace(digit, box=where(digit.box) if digit.box else None) for digit in self.digits)
        return replace(self, digits=digits, box=where(self.box) if self.box else None)

    def as_dict(self, *, source: str, model: str) -> dict[str, Any]:
        """The one JSON shape of an answer, on the command line and over HTTP."""
        return {
            "source": source,
            "page": self.page,
            "outcome": self.outcome.value,
            "text": self.text,
            "confidence": round(self.confidence, 6),
            "box": self.box.as_list() if self.box else None,
            "digits": [
                {"value": d.value, "confidence": round(d.confidence, 6), "box": d.box.as_list() if d.box else None}
                for d in self.digits
            ],
            "alternatives": [[text, round(confidence, 6)] for text, confidence in self.alternatives],
            "model": model,
        }


@dataclass(frozen=True, slots=True)
class Expected:
    r"""What is known of a number before it is read.

    Attributes:
        pattern: What its digits may be: a regular expression such as \d{5}, or a template such as YYYY.
        alphabet: The characters that may be written there; none: all that the model knows.
    """

    pattern: str | None = None
    alphabet: str | None = None


ANYTHING = Expected()
