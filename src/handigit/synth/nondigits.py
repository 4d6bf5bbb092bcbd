"""What stands where a digit is wanted and is none: letters, scribbles, crossed-out digits, marks, boxes, nothing.

Each kind is a function from a writer and a pen to ink in heights; an empty sheet has its specks as ink. It knows
nothing of pictures.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from handigit.synth.ink import Ink
from handigit.synth.signs import LOOK_ALIKES, SIGNS
from handigit.synth.strokes import figure, through
from handigit.synth.writer import Pen, Writer, write, write_digit

Maker = Callable[[Writer, Pen, np.random.Generator], Ink]

_CLEAR = tuple(sign for sign in SIGNS if sign not in LOOK_ALIKES)
_LOOK_ALIKES = tuple(sign for sign in SIGNS if sign in LOOK_ALIKES)


def letter(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """A letter or sign that nobody takes for a digit."""
    return write(figure(SIGNS[_CLEAR[rng.integers(len(_CLEAR))]]), writer, pen, rng)


def look_alike(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """A letter or sign that can be taken for a digit."""
    return write(figure(SIGNS[_LOOK_ALIKES[rng.integers(len(_LOOK_ALIKES))]]), writer, pen, rng)


def scribble(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """The pen wandering: through random points, in zigzag, or round and round; long enough to be no digit."""
    count = int(rng.integers(12, 26))
    step = np.arange(count)
    wandering = rng.random((count, 2))
    zigzag = np.stack([step / count * rng.uniform(0.3, 1.5), step % 2], axis=1)
    angle, radius = step * rng.uniform(1.0, 1.6), np.linspace(rng.uniform(0.1, 0.5), 0.5, count)
    coil = np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius[:, None] + step[:, None] * [0.04, 0.0]
    points = (wandering, zigzag, coil)[rng.integers(3)] + rng.normal(0, 0.08, (count, 2))
    return _through(points, writer, pen, rng)


def crossed_out(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """A digit struck through: by two or more lines, a cross or a zigzag."""
    digit = write_digit(int(rng.integers(10)), writer, pen, rng)
    (left, top), (right, bottom) = digit.extent()
    across = int(rng.integers(2, 5))
    if rng.random() < 0.5:
        ends = np.array([[left, top], [right, bottom], [right, top], [left, bottom]])
        lines = [ends[:2], ends[2:]]
    elif rng.random() < 0.5:
        levels = np.linspace(top, bottom, across + 2)[1:-1]
        lines = [np.array([[left - 0.1, level], [right + 0.1, level]]) for level in levels]
    else:
        x = np.linspace(left, right, 2 * across + 2)
        lines = [np.stack([x, np.where(np.arange(len(x)) % 2, bottom, top)], axis=1)]
    for line in lines:
        digit += _through(line + rng.normal(0, 0.06, line.shape), _upright(writer), pen, rng)
    return digit


def dots(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """One or a few dots, or a blot; round, for a long one is a 1."""
    places = rng.random((int(rng.choice([1, 1, 1, 2, 3])), 2))
    turns = np.linspace(0, 9, 14)[:, None] + rng.uniform(0, 6, len(places))
    radius = rng.uniform(0.01, 0.12) * np.linspace(0.2, 1, 14)
    rings = np.stack([np.cos(turns).T, np.sin(turns).T], axis=2) * radius[:, None]
    round_pen = replace(pen, width=pen.width * 1.3, jagged=False)
    steady = replace(_upright(writer), aspect=1.0, habit=writer.habit * 0.1)
    ink = [_through(place + ring, steady, round_pen, rng) for place, ring in zip(places, rings, strict=True)]
    return sum(ink[1:], ink[0])


def dash(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """A line that lies, or two: the filler of an empty field."""
    lines = [np.array([[0, y], [0.5, y], [1, y]]) for y in (0.0, rng.uniform(0.2, 0.5))[: rng.integers(1, 3)]]
    ink = [_through(line + rng.normal(0, 0.03, (3, 2)), _upright(writer), pen, rng) for line in lines]
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


def two_digits(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """Two digits side by side or touching, taken for one."""
    first, second = (write_digit(int(value), writer, pen, rng) for value in rng.integers(0, 10, 2))
    gap = rng.uniform(-0.08, 0.2)
    shift = first.extent()[1, 0] - second.extent()[0, 0] + gap
    return first + second.placed(rng.uniform(0.85, 1.15), (float(shift), float(rng.normal(0, 0.06))))


def specks(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """An empty sheet: only dust and the paper's grain, spread over it."""
    del writer, pen
    places = rng.random((int(rng.integers(12, 60)), 2)) * [rng.uniform(0.3, 1.5), 1.0]
    sizes = rng.uniform(0.01, 0.07, len(places))
    return Ink(tuple(np.stack([p, p + 0.01]) for p in places), tuple(np.full(2, size) for size in sizes))


KINDS: dict[str, tuple[Maker, float]] = {
    "letter": (letter, 0.40),
    "scribble": (scribble, 0.14),
    "crossed_out": (crossed_out, 0.10),
    "two_digits": (two_digits, 0.13),
    "dots": (dots, 0.06),
    "dash": (dash, 0.06),
    "box_corner": (box_corner, 0.06),
    "specks": (specks, 0.05),
    "look_alike": (look_alike, 0.0),
}
"""Every kind: what makes it, and its share of a mixed set. Look-alikes come only where they are asked for."""


def _through(points: Float64[np.ndarray, "k 2"], writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """A stroke through these points, in heights, in this writer's hand."""
    return write(through(points), writer, pen, rng)


def _upright(writer: Writer) -> Writer:
    """The same writer without the slant, which would move a line away from what it strikes out."""
    return replace(writer, slant=0.0)
