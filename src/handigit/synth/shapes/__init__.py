"""The shapes of digits, letters and signs as pen strokes, loaded from the tables in this folder.

A shape is a string in the notation of `handigit.synth.strokes`. The tables are data: `digits.toml`, `letters.toml`,
`signs.toml`.
"""

import tomllib
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any, Final

Shapes = dict[str, tuple[str, ...]]
"""One or more shapes per character."""


@dataclass(frozen=True)
class Allograph:
    """One way to write one digit: its strokes, and its share among the writers of that digit."""

    name: str
    strokes: str
    share: float


def _load(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files(__name__).joinpath(name).read_text(encoding="utf-8"))


def _allographs(table: dict[str, Any]) -> dict[int, tuple[Allograph, ...]]:
    return {
        int(digit): tuple(Allograph(name, row["strokes"], float(row["share"])) for name, row in rows.items())
        for digit, rows in table.items()
    }


def _shapes(table: dict[str, list[str]]) -> Shapes:
    return {character: tuple(strokes) for character, strokes in table.items()}


_digits, _letters, _signs = _load("digits.toml"), _load("letters.toml"), _load("signs.toml")

DIGITS: Final = _allographs(_digits["digits"])
"""The shapes of isolated digits."""

_IN_NUMBERS_WEIGHT: Final = 2.0
"""Shapes seen only within numbers are drawn twice as often as their shares: they are misread most."""
_only_in_numbers: Final = _allographs(_digits["in_numbers"])
IN_NUMBERS: Final = {
    digit: allographs + tuple(replace(a, share=_IN_NUMBERS_WEIGHT * a.share) for a in _only_in_numbers.get(digit, ()))
    for digit, allographs in DIGITS.items()
}
"""The shapes of digits within numbers."""

UPPER: Final = _shapes(_letters["upper"])
LOWER: Final = _shapes(_letters["lower"])
ACCENTS: Final = tuple(_letters["accents"])
MARKS: Final = _shapes(_signs["marks"])
GREEK: Final = _shapes(_signs["greek"])
OTHERS: Final = _shapes(_signs["others"])

SIGNS: Final = {**UPPER, **LOWER, **MARKS, **GREEK, **OTHERS}
"""The shapes of every letter and sign."""
LOOK_ALIKES: Final = frozenset(_signs["look_alikes"])
"""The characters of `SIGNS` that a person could read as a digit."""
RECORDED_LOOK_ALIKES: Final = frozenset(_signs["recorded_look_alikes"])
"""The names of recorded signs that a person could read as a digit."""
NEAR_DIGITS: Final = tuple(_signs["near_digits"])
"""The characters that differ from a digit in one detail, repeated as often as they are drawn."""
_NEARLY: Final = _shapes(_signs["nearly"])
NEAR_SHAPES: Final = {sign: SIGNS.get(sign, ()) + _NEARLY.get(sign, ()) for sign in NEAR_DIGITS}
"""The shapes of these characters."""


@cache
def join_letter(notation: str, *, entry: bool, leave: bool) -> str:
    """A letter of joined handwriting: with a stroke leading in from the base line, out to the next letter, or both."""
    words = notation.split()
    x, y = (float(value) for value in words[0].rstrip("!").split(","))
    if entry:
        low = min(y + 60, 100)
        notation = f"{x - 40:g},{low:g} {x - 20:g},{(low + y) / 2 + 8:g} {notation}"
    x, y = (float(value) for value in words[-1].rstrip("!").split(","))
    if leave and y > 60:
        notation = f"{notation} {x + 18:g},{y:g} {x + 40:g},{y - 26:g}"
    return notation
