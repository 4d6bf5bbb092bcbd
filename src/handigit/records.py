"""The results that every room shares: which number, where, and how sure the reader is. Frozen, without I/O."""

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from html import escape
from io import BytesIO
from typing import Any, Final, Literal

import numpy as np
from jaxtyping import Float32

Kind = Literal["digit", "number", "page"]
"""Content of a picture: one digit, one number, or any count of numbers."""
ReadAs = Literal["auto", "digit", "number", "page"]
"""How to read a picture: as one of the kinds, or as the reader finds out by itself."""


class Outcome(StrEnum):
    """The result of reading one input. A doubt is data, not an error."""

    READ = "read"
    DOUBT = "doubt"
    BLANK = "blank"
    NOT_A_NUMBER = "not_a_number"

    @property
    def label(self) -> str:
        """The outcome in plain words, such as "not a number"."""
        return OUTCOME_WORDS[self]


OUTCOME_WORDS: Final = {
    Outcome.READ: "read",
    Outcome.DOUBT: "not sure",
    Outcome.BLANK: "blank",
    Outcome.NOT_A_NUMBER: "not a number",
}
"""Outcomes as people read them: pages, the command line and annotated pictures share these words."""


def percent(fraction: float) -> str:
    """A fraction as people read it, such as "95.2%"; never rounded to 100% or to 0%.

    `static/wording.js` has the same rule, and a test compares them.
    """
    if fraction >= 0.9995:
        return ">99.9%"
    return "<0.1%" if fraction < 0.0005 else f"{fraction:.1%}"


def _describe(outcome: Outcome, confidence: float, box: "Box | None") -> str:
    """One line about a result: "read 99.3% at (22, 36, 339, 97)"."""
    sure = f" {percent(confidence)}" if outcome in (Outcome.READ, Outcome.DOUBT) else ""
    return outcome.value + sure + (f" at {tuple(box.as_list())}" if box else "")


def _glyph_png(glyph: Float32[np.ndarray, "28 28"]) -> str:
    """The glyph as Base64 of a PNG, ink dark on white."""
    from PIL import Image  # only notebooks need it

    stream = BytesIO()
    Image.fromarray(np.rint(255 * (1 - glyph)).astype(np.uint8)).save(stream, "PNG")
    return b64encode(stream.getvalue()).decode()


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the picture as given, after EXIF rotation; `right` and `bottom` are exclusive."""

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
        """`[left, top, right, bottom]`, the form used in JSON."""
        return [self.left, self.top, self.right, self.bottom]

    @classmethod
    def from_list(cls, sides: Sequence[int] | None) -> "Box | None":
        """The inverse of `as_list`; None for None."""
        return cls(*sides) if sides else None

    @classmethod
    def around(cls, boxes: Iterable["Box"]) -> "Box":
        """The smallest box that contains all of them.

        Raises:
            ValueError: no boxes.
        """
        lefts, tops, rights, bottoms = zip(*(box.as_list() for box in boxes), strict=True)
        return cls(min(lefts), min(tops), max(rights), max(bottoms))

    def moved(self, right_px: int, down_px: int) -> "Box":
        """The box shifted to the right and down."""
        return Box(self.left + right_px, self.top + down_px, self.right + right_px, self.bottom + down_px)


@dataclass(frozen=True, slots=True, repr=False)
class Digit:
    """The result for one glyph.

    `value` is the most probable digit, also when the outcome is `doubt`; None for `blank` and `not_a_number`.
    `confidence` is the calibrated probability that `value` is right, 0..1. `probabilities` has one entry per digit,
    0 to 9. `glyph` is the model's input, ink bright on 0; None for a blank; it is not compared.
    """

    outcome: Outcome
    value: int | None
    confidence: float
    probabilities: tuple[float, ...]
    box: Box | None
    glyph: Float32[np.ndarray, "28 28"] | None = field(default=None, compare=False)

    def __str__(self) -> str:
        """The digit, or an empty string."""
        return "" if self.value is None else str(self.value)

    def __repr__(self) -> str:
        return f"Digit({str(self)!r}, {_describe(self.outcome, self.confidence, self.box)})"

    def _repr_html_(self) -> str:
        """For notebooks: the result beside the model's input."""
        text = f"<b>{self}</b> {_describe(self.outcome, self.confidence, None)}"
        if self.glyph is None:
            return text
        return f'<img alt="what the model saw" width="56" src="data:image/png;base64,{_glyph_png(self.glyph)}"> {text}'

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON types, with all probabilities."""
        return self.to_json(full=True)

    def to_json(self, *, full: bool = False) -> dict[str, Any]:
        """Value, confidence and box; `full` adds the outcome and all probabilities. The glyph is left out."""
        short = {
            "value": self.value,
            "confidence": round(self.confidence, 6),
            "box": self.box.as_list() if self.box else None,
        }
        if not full:
            return short
        return short | {
            "outcome": self.outcome.value,
            "probabilities": [round(probability, 6) for probability in self.probabilities],
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any], *, glyph: Float32[np.ndarray, "28 28"] | None = None) -> "Digit":
        """The inverse of `to_json(full=True)`."""
        return cls(
            outcome=Outcome(fields["outcome"]),
            value=fields["value"],
            confidence=fields["confidence"],
            probabilities=tuple(fields["probabilities"]),
            box=Box.from_list(fields["box"]),
            glyph=glyph,
        )

    def as_number(self, page: int = 0) -> "Number":
        """The same result as a one-digit number, with the runners-up as alternatives."""
        text = "" if self.value is None else str(self.value)
        ranked = sorted(enumerate(self.probabilities), key=lambda pair: -pair[1])
        others = tuple((str(value), p) for value, p in ranked if str(value) != text and p >= 0.001)[:3]
        return Number(
            outcome=self.outcome,
            text=text,
            confidence=self.confidence,
            digits=(self,) if text else (),
            alternatives=others if text else (),
            raw=text,
            box=self.box,
            page=page,
            value=parse_value(text),
        )


@dataclass(frozen=True, slots=True, repr=False)
class Number:
    """The result for one line: `text` is a string of digits with leading zeros kept.

    `raw` includes the separators that `text` leaves out ("15.728"). `page` counts from 0. `value` is the number or date
    that `raw` means; None where that is not decidable (see `parse_value`).
    """

    outcome: Outcome
    text: str
    confidence: float
    digits: tuple[Digit, ...] = ()
    alternatives: tuple[tuple[str, float], ...] = ()
    raw: str = ""
    box: Box | None = None
    page: int = 0
    value: Decimal | date | None = None

    def __str__(self) -> str:
        """The number as written, such as "15.728"."""
        return self.raw

    def __repr__(self) -> str:
        return f"Number({self.raw!r}, {_describe(self.outcome, self.confidence, self.box)})"

    def _repr_html_(self) -> str:
        """For notebooks: the number, and its runners-up where it is not certain."""
        others = ", ".join(f"{text} {percent(confidence)}" for text, confidence in self.alternatives)
        doubt = f" <small>or {escape(others)}</small>" if others and self.outcome is Outcome.DOUBT else ""
        return f"<b>{escape(self.raw)}</b> {_describe(self.outcome, self.confidence, None)}{doubt}"

    def to_dict(self) -> dict[str, Any]:
        """The number as JSON types."""
        return self.to_json()

    def map_boxes(self, transform: Callable[[Box], Box]) -> "Number":
        """The same number with `transform` applied to its box and its digits' boxes."""
        digits = tuple(replace(digit, box=transform(digit.box) if digit.box else None) for digit in self.digits)
        return replace(self, digits=digits, box=transform(self.box) if self.box else None)

    def to_json(self, *, full: bool = False) -> dict[str, Any]:
        """The number as JSON types; `full` adds what `Digit.to_json(full=True)` adds, and gives `value` as text.

        Probabilities have six decimals; only the full form keeps the number's own confidence exact.
        """
        fields = {
            "page": self.page,
            "outcome": self.outcome.value,
            "raw": self.raw,
            "text": self.text,
            "value": value_to_json(self.value),
            "confidence": self.confidence if full else round(self.confidence, 6),
            "box": self.box.as_list() if self.box else None,
            "digits": [digit.to_json(full=full) for digit in self.digits],
            "alternatives": [[text, round(confidence, 6)] for text, confidence in self.alternatives],
        }
        # A float would lose digits of a long decimal number.
        return fields | {"value": None if self.value is None else str(self.value)} if full else fields

    @classmethod
    def from_json(
        cls, fields: Mapping[str, Any], *, glyphs: Sequence[Float32[np.ndarray, "28 28"] | None] = ()
    ) -> "Number":
        """The inverse of `to_json(full=True)`; `glyphs`: one per digit, or none at all."""
        seen = glyphs or [None] * len(fields["digits"])
        return cls(
            outcome=Outcome(fields["outcome"]),
            text=fields["text"],
            confidence=fields["confidence"],
            digits=tuple(
                Digit.from_json(digit, glyph=glyph) for digit, glyph in zip(fields["digits"], seen, strict=True)
            ),
            alternatives=tuple((text, confidence) for text, confidence in fields["alternatives"]),
            raw=fields["raw"],
            box=Box.from_list(fields["box"]),
            page=fields["page"],
            value=value_from_json(fields["value"]),
        )

    def as_dict(self, *, source: str, model: str) -> dict[str, Any]:
        """The JSON object that the command line and the HTTP API return for a number."""
        return {"source": source, **self.to_json(), "model": model}


_ISO_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_PLAIN: Final = re.compile(r"-?[0-9]+")
_ONE_SEPARATOR: Final = re.compile(r"(-?[0-9]*)[.,]([0-9]+)")
_MAYBE_GROUPED: Final = re.compile(r"-?[1-9][0-9]{0,2}[.,][0-9]{3}")
_GROUPED: Final = re.compile(r"(-?[0-9]{1,3}(?:,[0-9]{3})+)\.([0-9]+)|(-?[0-9]{1,3}(?:\.[0-9]{3})+),([0-9]+)")


def parse_value(raw: str, *, dates: str | None = None) -> Decimal | date | None:
    """The number, or with `dates` the date, that `raw` means; None where it could mean more than one.

    Digits alone are a number, whatever zeros they begin with. One separator decides unless it could also separate
    thousands: 3.50, 12,5 and 0.125 do, 1.250 does not. Groups of three with another decimal separator do: 1,250.00.

    Args:
        raw: A number as it is written; a currency sign is ignored.
        dates: The order of a date's digits as letters, such as DDMMYYYY or YYYYMMDD.
    """
    if dates:
        return _parse_date("".join(character for character in raw if "0" <= character <= "9"), dates)
    text = re.sub("[$€£ ]", "", raw)
    if _PLAIN.fullmatch(text):
        return Decimal(text)
    if (match := _ONE_SEPARATOR.fullmatch(text)) and not _MAYBE_GROUPED.fullmatch(text):
        return Decimal(f"{match[1]}.{match[2]}")
    if match := _GROUPED.fullmatch(text):
        whole, fraction = (match[1], match[2]) if match[1] else (match[3], match[4])
        return Decimal(f"{re.sub('[.,]', '', whole)}.{fraction}")
    return None


def _parse_date(digits: str, order: str) -> date | None:
    """The date whose digits are ordered as the letters of `order`; None if there is no such day."""
    if len(digits) != len(order):
        return None
    parts = {letter: "".join(d for d, o in zip(digits, order, strict=True) if o == letter) for letter in "YMD"}
    try:
        return date(int(parts["Y"]), int(parts["M"]), int(parts["D"]))
    except ValueError:
        return None


def value_to_json(value: Decimal | date | None) -> int | float | str | None:
    """A value as JSON has it: a number, an ISO date, or null."""
    if not isinstance(value, Decimal):
        return value.isoformat() if value else None
    return int(value) if value == value.to_integral_value() else float(value)


def value_from_json(value: int | float | str | None) -> Decimal | date | None:
    """The inverse of `value_to_json`; a decimal number may also be given as text."""
    if value is None:
        return None
    text = str(value)
    return date.fromisoformat(text) if _ISO_DATE.fullmatch(text) else Decimal(text)


@dataclass(frozen=True, slots=True)
class Expected:
    r"""Constraints on a number, known before it is read.

    Attributes:
        pattern: Format of its digits: a regular expression such as \d{5}, or a template such as YYYY.
        alphabet: Characters that may occur; None allows all that the model knows.
    """

    pattern: str | None = None
    alphabet: str | None = None


ANYTHING = Expected()
