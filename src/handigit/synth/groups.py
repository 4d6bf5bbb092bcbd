"""More than one character where one digit is wanted: digits, letters, or both, side by side.

It knows nothing of pictures. A digit beside a mark that belongs to the form (a dot, a dash) is not made here.
"""

import numpy as np

from handigit.synth.ink import Ink
from handigit.synth.letters import LOWER, UPPER
from handigit.synth.strokes import figure
from handigit.synth.writer import Pen, Writer, write, write_digit

LETTERS = tuple(shape for shapes in (*UPPER.values(), *LOWER.values()) for shape in shapes)
"""Every shape of every letter: beside another character even a look-alike is no digit."""


def two_digits(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """Two digits side by side or touching, taken for one; now and then three."""
    count = 3 if rng.random() < 0.15 else 2
    return _beside([write_digit(int(value), writer, pen, rng) for value in rng.integers(0, 10, count)], rng)


def word(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """Two or three letters, or a letter beside a digit."""
    shapes = [LETTERS[i] for i in rng.integers(len(LETTERS), size=int(rng.choice([1, 2, 2, 3])))]
    parts = [write(figure(shape), writer, pen, rng) for shape in shapes]
    if len(parts) == 1:
        parts.insert(int(rng.integers(2)), write_digit(int(rng.integers(10)), writer, pen, rng))
    return _beside(parts, rng)


def _beside(parts: list[Ink], rng: np.random.Generator) -> Ink:
    """These from left to right, of about one size, some of them touching."""
    line = parts[0]
    for part in parts[1:]:
        shift = line.extent()[1, 0] - part.extent()[0, 0] + rng.uniform(-0.08, 0.2)
        line += part.placed(rng.uniform(0.85, 1.15), (float(shift), float(rng.normal(0, 0.06))))
    return line
