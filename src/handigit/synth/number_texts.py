"""Random texts of numbers as people write them: amounts, years, codes, counts, telephone numbers.

The alphabet is that of number models: the ten digits, separators, and signs that occur beside numbers.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

ALPHABET: Final = "0123456789.,-/=$x? "
"""Classes of a number model: `=` closes an amount, `$` is any currency sign, `x` crosses out an empty place, `?` is
anything that is not part of a number (a letter, a word, a scribble), a space is an empty cell between two that are
filled in."""
MAX_DIGITS: Final = 12

TextGenerator = Callable[[np.random.Generator], str]


def number(rng: np.random.Generator) -> str:
    """A random number with its separators; a space is a wider gap."""
    generators, weights = zip(*_GENERATORS, strict=True)
    return _add_affixes(generators[int(rng.choice(len(generators), p=np.array(weights) / sum(weights)))](rng), rng)


def random_digits(rng: np.random.Generator, *, shortest: int = 1, longest: int = MAX_DIGITS) -> str:
    """Random digits; short numbers are more frequent than long ones, and runs of one digit more than by chance."""
    count = int(np.clip(shortest + rng.gamma(1.6, 2.0), shortest, longest))
    text = "".join(str(value) for value in rng.integers(0, 10, count))
    if rng.random() < 0.4:
        text = _first_digit(rng) + text[1:]
    if count > 1 and rng.random() < 0.25:
        start, value = int(rng.integers(count)), str(rng.integers(10) if rng.random() < 0.5 else 0)
        stop = min(count, start + int(rng.integers(2, 5)))
        text = text[:start] + value * (stop - start) + text[stop:]
    return text


def _first_digit(rng: np.random.Generator) -> str:
    """The first digit of a count or an amount: a 1 in 30 % (Benford 1938)."""
    return str(int(10 ** rng.random()))


def _round(rng: np.random.Generator) -> str:
    """One or two digits followed by zeros."""
    return _first_digit(rng) + str(rng.integers(10)) * int(rng.random() < 0.5) + "0" * int(rng.integers(1, 5))


def _amount(rng: np.random.Generator) -> str:
    """Money: thousands separated by a point, comma or gap, or not at all; sometimes with cents."""
    text = random_digits(rng, shortest=2, longest=8)
    mark = str(rng.choice([".", ".", ".", ",", " ", "", ""]))
    if len(text) > 3 and mark:
        head = len(text) % 3 or 3
        text = mark.join([text[:head], *(text[i : i + 3] for i in range(head, len(text), 3))])
    if rng.random() < 0.2:
        text += ("," if mark == "." else ".") + f"{rng.integers(100):02d}"
    return text


def _year(rng: np.random.Generator) -> str:
    return str(rng.integers(1900, 2041))


def _date(rng: np.random.Generator) -> str:
    day, month, year = rng.integers(1, 32), rng.integers(1, 13), rng.integers(0, 100)
    mark = str(rng.choice(["/", ".", ".", "-", "-"]))
    full = f"20{year:02d}" if rng.random() < 0.5 else f"{year:02d}"
    return mark.join([f"{day:02d}" if rng.random() < 0.6 else str(day), f"{month:02d}", full])


def _telephone(rng: np.random.Generator) -> str:
    text = random_digits(rng, shortest=6, longest=MAX_DIGITS)
    mark = str(rng.choice(["-", " ", ""]))
    cut = int(rng.integers(2, 5))
    return text[:cut] + mark + text[cut:]


def _padded(rng: np.random.Generator) -> str:
    """A count in cells, the first of which are crossed out, dashed or empty."""
    text = random_digits(rng, longest=4)
    return str(rng.choice(["x", "x", "-", "0", " ", ""])) * int(rng.integers(1, 3)) + text


def _fraction(rng: np.random.Generator) -> str:
    return f"{rng.integers(100)}{rng.choice(['/', ',', '.', '.', ',', '.', ',', '.'])}{rng.integers(100)}"


def _upright(rng: np.random.Generator) -> str:
    """Mostly upright strokes: a 1 at an edge or beside another is easily mistaken for a border."""
    text = "".join(str(value) for value in rng.choice([1, 1, 1, 1, 7, 4, 0, 9], int(rng.integers(1, 6))))
    return "1" + text[1:] if rng.random() < 0.6 else text


def _add_affixes(text: str, rng: np.random.Generator) -> str:
    """The number with marks that prevent added digits, or after a currency sign."""
    chance = rng.random()
    if chance < 0.05:
        return "$" + str(rng.choice(["", " "])) + text
    if chance < 0.13:
        return text + str(rng.choice([".", ",", ".", ".-", ",-", "=", ".=", "-", "--", ".--"]))
    if chance < 0.15:
        return "-" * int(rng.integers(1, 3)) + text + "-" * int(rng.integers(0, 3))
    return text


_GENERATORS: Final[tuple[tuple[TextGenerator, float], ...]] = (
    (random_digits, 0.37),
    (_upright, 0.04),
    (_round, 0.08),
    (_amount, 0.26),
    (_padded, 0.1),
    (_year, 0.06),
    (_telephone, 0.06),
    (_date, 0.04),
    (_fraction, 0.03),
)
