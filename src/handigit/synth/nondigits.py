"""What stands where a digit is wanted and is none: letters, scribbles, crossed-out digits, marks, boxes, nothing.

Each kind is a function from a writer and a pen to ink in heights; an empty sheet has its specks as ink. It knows
nothing of pictures.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from handigit.synth.alphabets import GREEK, OTHERS
from handigit.synth.altered import crossed_out, cut, extra_stroke, turned
from handigit.synth.groups import two_digits, word
from handigit.synth.ink import Ink
from handigit.synth.invented import invented
from handigit.synth.letters import ACCENTS, LOWER, UPPER, joined
from handigit.synth.signs import LOOK_ALIKES, MARKS, SIGNS
from handigit.synth.strokes import figure
from handigit.synth.writer import Pen, Writer, write, write_stroke

Maker = Callable[[Writer, Pen, np.random.Generator], Ink]

LATIN, CLEAR_MARKS, FOREIGN = (
    tuple(sign for sign in signs if sign not in LOOK_ALIKES) for signs in ((*UPPER, *LOWER), MARKS, (*GREEK, *OTHERS))
)
"""Latin letters, marks and the letters of other alphabets, without those that can be a digit."""
_LOOK_ALIKES = tuple(sign for sign in SIGNS if sign in LOOK_ALIKES)


def letter(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """A Latin letter that nobody takes for a digit, printed or as part of a joined hand, perhaps with an accent."""
    sign = LATIN[rng.integers(len(LATIN))]
    shape = _shape(sign, rng)
    entry, leave, accent = (rng.random(3) < (0.2, 0.2, 0.08)).tolist()
    if sign in LOWER:
        shape = joined(shape, entry=entry, leave=leave)
    if accent:
        shape = f"{shape} / {ACCENTS[rng.integers(len(ACCENTS))]}"
    return write(figure(shape), writer, pen, rng)


def sign(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """A mark that nobody takes for a digit: punctuation, arithmetic, money, ticks, arrows."""
    return _written(CLEAR_MARKS, writer, pen, rng)


def foreign(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """A letter of another alphabet that nobody takes for a digit."""
    return _written(FOREIGN, writer, pen, rng)


def look_alike(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """A letter or sign that can be taken for a digit."""
    return _written(_LOOK_ALIKES, writer, pen, rng)


def scribble(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """The pen wandering: through random points, in zigzag, or round and round; long enough to be no digit."""
    count = int(rng.integers(12, 26))
    step = np.arange(count)
    wandering = rng.random((count, 2))
    zigzag = np.stack([step / count * rng.uniform(0.3, 1.5), step % 2], axis=1)
    angle, radius = step * rng.uniform(1.0, 1.6), np.linspace(rng.uniform(0.1, 0.5), 0.5, count)
    coil = np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius[:, None] + step[:, None] * [0.04, 0.0]
    points = (wandering, zigzag, coil)[rng.integers(3)] + rng.normal(0, 0.08, (count, 2))
    return write_stroke(points, writer, pen, rng)


def dots(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """One or a few dots, or a blot; round, for a long one is a 1."""
    places = rng.random((int(rng.choice([1, 1, 1, 2, 3])), 2))
    turns = np.linspace(0, 9, 14)[:, None] + rng.uniform(0, 6, len(places))
    radius = rng.uniform(0.01, 0.12) * np.linspace(0.2, 1, 14)
    rings = np.stack([np.cos(turns).T, np.sin(turns).T], axis=2) * radius[:, None]
    round_pen = replace(pen, width=pen.width * 1.3, jagged=False)
    steady = replace(writer, slant=0.0, aspect=1.0, habit=writer.habit * 0.1)
    ink = [write_stroke(place + ring, steady, round_pen, rng) for place, ring in zip(places, rings, strict=True)]
    return sum(ink[1:], ink[0])


def dash(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """A line that lies, or two: the filler of an empty field."""
    lines = [np.array([[0, y], [0.5, y], [1, y]]) for y in (0.0, rng.uniform(0.2, 0.5))[: rng.integers(1, 3)]]
    level = replace(writer, slant=0.0)
    ink = [write_stroke(line + rng.normal(0, 0.03, (3, 2)), level, pen, rng) for line in lines]
    return sum(ink[1:], ink[0])


def box_corner(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """What is left of a printed box: one corner, two, three or all four."""
    del writer
    width, height = rng.uniform(0.6, 1.6), 1.0
    round_trip = np.array([[0, 0], [width, 0], [width, height], [0, height], [0, 0]])
    first, sides = int(rng.integers(3)), int(rng.integers(2, 5))
    points = round_trip[first : first + sides + 1]
    if len(points) < 3:
        points = round_trip[:3]
    thickness = pen.width * rng.uniform(0.3, 1.0)
    return Ink((points + rng.normal(0, 0.01, points.shape),), (np.full(len(points), thickness),))


def specks(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """An empty sheet: only dust and the paper's grain, spread over it."""
    del writer, pen
    places = rng.random((int(rng.integers(12, 60)), 2)) * [rng.uniform(0.3, 1.5), 1.0]
    sizes = rng.uniform(0.01, 0.07, len(places))
    return Ink(tuple(np.stack([p, p + 0.01]) for p in places), tuple(np.full(2, size) for size in sizes))


KINDS: dict[str, tuple[Maker, float]] = {
    "letter": (letter, 0.32),
    "scribble": (scribble, 0.05),
    "crossed_out": (crossed_out, 0.04),
    "two_digits": (two_digits, 0.06),
    "dots": (dots, 0.03),
    "dash": (dash, 0.02),
    "box_corner": (box_corner, 0.02),
    "specks": (specks, 0.02),
    "look_alike": (look_alike, 0.0),
    "sign": (sign, 0.20),
    "foreign": (foreign, 0.06),
    "invented": (invented, 0.07),
    "turned": (turned, 0.04),
    "cut": (cut, 0.02),
    "extra_stroke": (extra_stroke, 0.02),
    "word": (word, 0.03),
}
"""Every kind: what makes it, and its share of a mixed set. Look-alikes come only where they are asked for."""


def _shape(sign: str, rng: np.random.Generator) -> str:
    """One of the sign's shapes."""
    shapes = SIGNS[sign]
    return shapes[rng.integers(len(shapes))]


def _written(signs: tuple[str, ...], writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """One of these signs in one of its shapes."""
    return write(figure(_shape(signs[rng.integers(len(signs))], rng)), writer, pen, rng)
