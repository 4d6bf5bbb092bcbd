"""Lookup lists: a CSV file with a column of allowed values, and other columns that a record takes over."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from handigit.forms.errors import RosterError


@dataclass(frozen=True, slots=True)
class Lookup:
    """The rows of a list by the digits of their key; keys as written in `keys`."""

    rows: Mapping[str, Mapping[str, str]]

    def __contains__(self, text: str) -> bool:
        return text in self.rows

    def __len__(self) -> int:
        return len(self.rows)

    def chance(self, length: int) -> float:
        """How often a random number of this many digits is in the list."""
        same = sum(len(key) == length for key in self.rows)
        return min(max(same, 1) * float(0.1 ** max(length, 1)), 0.5)

    def nearest(self, text: str, count: int = 3) -> list[str]:
        """The keys with the fewest edits from a text."""
        return sorted(self.rows, key=lambda key: (_edits(text, key), key))[:count]


def load_lookup(path: Path, column: str, copied: tuple[str, ...] = ()) -> Lookup:
    """Read a list.

    Raises:
        RosterError: it cannot be read, has no such column, or has a key twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as problem:
        raise RosterError(f"{path}: cannot be read ({problem}); give a CSV file in UTF-8") from None
    columns = list(rows[0]) if rows else []
    for wanted in (column, *copied):
        if wanted not in columns:
            raise RosterError(f"{path}: has no column {wanted!r}; it has {', '.join(map(repr, columns)) or 'no rows'}")
    found: dict[str, Mapping[str, str]] = {}
    for line, row in enumerate(rows, start=2):
        key = "".join(character for character in row[column] or "" if character.isdecimal())
        if key in found:
            raise RosterError(f"{path}, line {line}: {column} {row[column]!r} occurs twice; keys must differ")
        if key:
            found[key] = {name: value or "" for name, value in row.items() if name}
    return Lookup(found)


def _edits(first: str, second: str) -> int:
    """Insertions, deletions and substitutions between two texts (Levenshtein 1966)."""
    row = list(range(len(second) + 1))
    for index, character in enumerate(first, start=1):
        above, row[0] = row[0], index
        for column, other in enumerate(second, start=1):
            above, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, above + (character != other))
    return row[-1]
