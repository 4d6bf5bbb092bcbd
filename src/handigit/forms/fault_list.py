"""Collecting the faults of a template while it is parsed: types, unknown keys, lines."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from handigit.forms.errors import Fault
from handigit.forms.specs import Area
from handigit.forms.toml_lines import Path

Keys = Mapping[str, type]
_NAMES = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}


class FaultList(list[Fault]):
    """Faults, each with the line of the key that it is about."""

    def __init__(self, lines: Mapping[Path, int]) -> None:
        super().__init__()
        self._lines = lines

    def add(self, path: Sequence[str | int], message: str) -> None:
        """Add a fault at the nearest enclosing key whose line is known."""
        place = tuple(path)
        while place and place not in self._lines:
            place = place[:-1]
        self.append(Fault(self._lines.get(place, 0), message))

    @staticmethod
    def is_a(value: object, kind: type) -> bool:
        """Whether a value has a type of TOML; a whole number is a number too, true is no number."""
        if kind is float:
            return isinstance(value, int | float) and not isinstance(value, bool)
        return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))

    def check_keys(
        self, raw: Mapping[str, Any], known: Keys, path: Sequence[str | int], what: str, *, required: Iterable[str] = ()
    ) -> dict[str, Any]:
        """Report unknown keys, wrong types and missing keys; return the entries that are sound."""
        sound = {}
        for key, value in raw.items():
            if key not in known:
                self.add((*path, key), f"unknown key {key!r} in {what}{self.nearest(key, known)}")
            elif not self.is_a(value, known[key]):
                self.add((*path, key), f"{key} is {value!r}, which is not {_NAMES[known[key]]}")
            else:
                sound[key] = value
        for key in required:
            if key not in raw:
                self.add(path, f"{what} has no {key}")
        return sound

    def tables(self, raw: Mapping[str, Any], key: str, path: Sequence[str | int] = ()) -> list[Mapping[str, Any]]:
        """The tables of a list; an element of another type is a fault and becomes an empty table."""
        values = raw.get(key, [])
        if not isinstance(values, list):
            return []
        for index, value in enumerate(values):
            if not isinstance(value, dict):
                self.add((*path, key, index), f"{key} {index + 1} is {value!r}, which is not a table")
        return [value if isinstance(value, dict) else {} for value in values]

    def numbers(
        self, raw: Mapping[str, Any], key: str, path: Sequence[str | int], count: int | None = None
    ) -> tuple[float, ...] | None:
        """A list of numbers, `count` of them; None where it is missing or has a fault."""
        values = raw.get(key)
        if not isinstance(values, list):
            return None
        if not all(self.is_a(value, float) for value in values) or (count is not None and len(values) != count):
            self.add((*path, key), f"{key} is {values!r}; it takes {count or 'only'} numbers")
            return None
        return tuple(float(value) for value in values)

    def area(self, raw: Mapping[str, Any], key: str, path: Sequence[str | int]) -> Area | None:
        """A rectangle [left, top, right, bottom]; None where it is missing or has a fault."""
        sides = self.numbers(raw, key, path, 4)
        if sides is None:
            return None
        area = Area(*sides)
        if area.width <= 0 or area.height <= 0:
            self.add(
                (*path, key), f"{key} is {list(sides)}: left, top, right, bottom, with right > left and bottom > top"
            )
            return None
        return area

    @staticmethod
    def nearest(key: str, known: Iterable[str]) -> str:
        """A hint that names the nearest known word, empty where none is near."""
        close = difflib.get_close_matches(key, list(known), n=1)
        return f"; the nearest is {close[0]!r}" if close else ""
