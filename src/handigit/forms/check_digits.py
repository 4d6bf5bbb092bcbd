"""Check digits: whether the last digits of a number agree with the others.

Each scheme is a function from a string of decimal digits (for `mod11` and `iso7064-11-2` the last character may be X)
to whether it is valid. Test vectors from the published definitions are in `tests/test_forms_checks.py`.
"""

from collections.abc import Callable
from typing import Final

_DAMM: Final = (
    "0317598642", "7092154863", "4206871359", "1750983426", "6123045978",
    "3674209581", "5869720134", "8945362017", "9438617205", "2581436790",
)  # fmt: skip
"""The quasigroup of Damm (2004), dissertation, Marburg, page 111."""
_VERHOEFF_D: Final = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
"""Multiplication in the dihedral group of order ten."""
_VERHOEFF_P: Final = (
    "0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip
"""The permutations of Verhoeff (1969)."""


def luhn(text: str) -> bool:
    """ISO/IEC 7812-1: payment cards, many membership numbers."""
    total = sum(int(digit) for digit in text[-1::-2])
    return (total + sum(sum(divmod(2 * int(digit), 10)) for digit in text[-2::-2])) % 10 == 0


def mod11(text: str) -> bool:
    """Weights 1, 2, 3 ... from the right, sum divisible by 11, X for ten: ISBN-10 and its kin."""
    return sum(weight * _value(character) for weight, character in enumerate(reversed(text), start=1)) % 11 == 0


def mod97(text: str) -> bool:
    """ISO 7064 MOD 97-10: the number modulo 97 is 1, with two check digits at the end, as in an IBAN."""
    return int(text) % 97 == 1


def iso7064_11_2(text: str) -> bool:
    """ISO 7064 MOD 11-2, X for ten: ORCID, ISNI, Chinese identity numbers."""
    total = 0
    for character in text[:-1]:
        total = (total + int(character)) * 2 % 11
    return (total + _value(text[-1])) % 11 == 1


def ean(text: str) -> bool:
    """GS1 (EAN-8, EAN-13, UPC, SSCC): weights 1 and 3 by turns from the right, sum divisible by 10."""
    return (sum(map(int, text[-1::-2])) + 3 * sum(map(int, text[-2::-2]))) % 10 == 0


def verhoeff(text: str) -> bool:
    """Verhoeff (1969), which finds all single errors and transpositions."""
    state = 0
    for place, character in enumerate(reversed(text)):
        state = int(_VERHOEFF_D[state][int(_VERHOEFF_P[place % 8][int(character)])])
    return state == 0


def damm(text: str) -> bool:
    """Damm (2004), which finds all single errors and transpositions with one table."""
    state = 0
    for character in text:
        state = int(_DAMM[state][int(character)])
    return state == 0


SCHEMES: Final[dict[str, Callable[[str], bool]]] = {
    "luhn": luhn,
    "mod11": mod11,
    "mod97": mod97,
    "iso7064-11-2": iso7064_11_2,
    "ean": ean,
    "verhoeff": verhoeff,
    "damm": damm,
}
CHANCE: Final[dict[str, float]] = dict.fromkeys(SCHEMES, 0.1) | {
    "mod11": 1 / 11,
    "iso7064-11-2": 1 / 11,
    "mod97": 1 / 97,
}
"""Probability that a random number passes each scheme."""


def passes(scheme: str, text: str) -> bool:
    """Whether a text of two characters or more is valid by the scheme; one with other characters is not."""
    body = text[:-1] if text[-1:] in {"X", "x"} and scheme in {"mod11", "iso7064-11-2"} else text
    return len(text) > 1 and body.isascii() and body.isdecimal() and SCHEMES[scheme](text.upper())


def complete(scheme: str, body: str) -> str:
    """Append the check digits that make the number valid.

    Raises:
        ValueError: no check digit of decimal digits does, as where mod 11 needs an X.
    """
    width = 2 if scheme == "mod97" else 1
    for value in range(10**width):
        text = f"{body}{value:0{width}d}"
        if passes(scheme, text):
            return text
    raise ValueError(f"no decimal check digit makes {body} valid by {scheme}; choose another number")


def _value(character: str) -> int:
    return 10 if character == "X" else int(character)
