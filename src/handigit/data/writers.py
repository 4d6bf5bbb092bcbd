"""Sets of real strings divided by writer into parts to train, to choose by and to test on.

The division is fixed: no writer is in two parts, and it does not change when strings are added.
"""

import hashlib
from typing import Final, Literal

Part = Literal["train", "validation", "test"]

STRING_SETS: Final = ("copiste", "lectaurep", "french_misc")
"""Sets under strings/ that weights may learn from."""
_CLERKS: Final = {
    "0073": "0073-0080", "0080": "0073-0080",
    "0149": "0149-0316", "0183": "0149-0316", "0227": "0149-0316", "0293": "0149-0316", "0316": "0149-0316",
    "0422": "0422-0434", "0434": "0422-0434",
    "1333": "1333-1350", "1350": "1333-1350",
    "1443": "1443-1444", "1444": "1443-1444",
}  # fmt: skip
"""Openings of the lectaurep registers that were probably written by one clerk."""
_FIXED: Final[dict[str, Part]] = {
    "lectaurep/dufour": "train",
    "lectaurep/0073-0080": "train",
    "lectaurep/0149-0316": "train",
    "lectaurep/0934": "train",
    "lectaurep/0989": "train",
    "lectaurep/1333-1350": "train",
    "lectaurep/2745": "train",
    "lectaurep/0422-0434": "validation",
    "lectaurep/2674": "validation",
    "lectaurep/1443-1444": "test",
    "lectaurep/2863": "test",
    "french_misc/peraire": "train",
}
"""Hands that are too few, or too large, for chance."""

WRONG_LABELS: Final[dict[str, dict[int, str]]] = {"copiste": {2064: "8008"}, "lectaurep": {4085: "6."}}
"""Texts of validation strings whose labels are wrong, found by eye, by row of labels.csv counted from 0. A confident
reading that such a label contradicts would move the thresholds of all strict target errors."""


def hand(set_name: str, writer: str) -> str:
    """The person, as far as is known, behind a writer's name in one of `STRING_SETS`."""
    if set_name != "lectaurep":
        return f"{set_name}/{writer}"
    opening = writer.split("/")[0].removeprefix("FRAN_0025_")
    return f"{set_name}/{_CLERKS.get(opening, opening)}"


def part_of(set_name: str, writer: str) -> Part:
    """The part that all strings of a writer belong to: about 70, 15 and 15 % of the hands."""
    person = hand(set_name, writer)
    if person in _FIXED:
        return _FIXED[person]
    share = int.from_bytes(hashlib.sha256(person.encode()).digest()[:4], "big") / 2**32
    return "train" if share < 0.7 else "validation" if share < 0.85 else "test"
