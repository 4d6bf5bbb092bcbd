"""Non-digits: letters, scribbles, crossed-out digits, marks, box corners, specks.

Each kind is a function from a writer and a pen to ink in heights of a digit.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from handigit.synth.ink import Ink
from handigit.synth.shapes import (
    ACCENTS,
    GREEK,
    LOOK_ALIKES,
    LOWER,
    MARKS,
    NEAR_DIGITS,
    NEAR_SHAPES,
    OTHERS,
    SIGNS,
    UPPER,
    join_letter,
)
from handigit.synth.strokes import Figure, combine, parse_figure, smooth_stroke
from handigit.synth.writer import Pen, Writer, write, write_digit, write_stroke

LETTERS = tuple(shape for shapes in (*UPPER.values(), *LOWER.values()) for shape in shapes)
"""Every shape of every letter: beside another character, even a look-alike is not a digit."""


def two_digits(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """Two digits side by side or touching, sometimes three."""
    count = 3 if rng.random() < 0.15 else 2
    return _side_by_side([write_digit(int(value), writer, pen, rng) for value in rng.integers(0, 10, count)], rng)


def word(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """Two or three letters, or a letter beside a digit."""
    shapes = [LETTERS[i] for i in rng.integers(len(LETTERS), size=int(rng.choice([1, 2, 2, 3])))]
    parts = [write(parse_figure(shape), writer, pen, rng) for shape in shapes]
    if len(parts) == 1:
        parts.insert(int(rng.integers(2)), write_digit(int(rng.integers(10)), writer, pen, rng))
    return _side_by_side(parts, rng)


def _side_by_side(parts: list[Ink], rng: np.random.Generator) -> Ink:
    """Parts from left to right, of about the same size, some of them touching."""
    line = parts[0]
    for part in parts[1:]:
        shift = line.extent()[1, 0] - part.extent()[0, 0] + rng.uniform(-0.08, 0.2)
        line += part.transformed(rng.uniform(0.85, 1.15), (float(shift), float(rng.normal(0, 0.06))))
    return line


LEFT, RIGHT, OVER, MIRROR = (
    np.array(matrix, float) for matrix in ([[0, -1], [1, 0]], [[0, 1], [-1, 0]], [[-1, 0], [0, -1]], [[-1, 0], [0, 1]])
)
"""A quarter turn to the left and right, a half turn, and a reflection, for rows of (x, y)."""

TURNS: tuple[tuple[str, Float64[np.ndarray, "2 2"]], ...] = (
    ("234567", LEFT),
    ("234567", RIGHT),
    ("3", OVER),
    ("3679", MIRROR),
    ("379", MIRROR @ LEFT),
)
"""Digits that a transformation turns into non-digits. A 0, 1 or 8 stays one; a zigzag 4 turned over is a 4."""

CUTS: tuple[tuple[str, int, bool], ...] = (("05", 1, True), ("025", 1, False), ("8", 0, True))
"""Digits whose half is a non-digit: the axis of the cut (0 for x, 1 for y), and whether the first half is kept."""

STRUCK = "2358"
"""Digits that never have a second stroke; a 6 or 9 with one looks like a slashed 0."""


def turned(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """A digit rotated by a quarter or half turn, or mirrored."""
    values, matrix = TURNS[rng.integers(len(TURNS))]
    digit = write_digit(_choose_digit(values, rng), writer, pen, rng)
    return Ink(tuple(stroke @ matrix for stroke in digit.strokes), digit.widths)


def cut(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """Half a digit, as if cut off by the edge of its field."""
    values, axis, first = CUTS[rng.integers(len(CUTS))]
    fine = replace(pen, width=0.7 * pen.width)  # half a digit by a marker is a blot
    digit = write_digit(_choose_digit(values, rng), replace(writer, slant=writer.slant / 2), fine, rng)
    near, far = digit.extent()[:, axis]
    fraction = rng.uniform(0.35, 0.5)
    edge = near + (far - near) * (fraction if first else 1 - fraction)
    pieces: list[tuple[np.ndarray, np.ndarray]] = []
    for stroke, widths in zip(digit.strokes, digit.widths, strict=True):
        inside = (stroke[:, axis] < edge) == first
        bounds = np.flatnonzero(np.diff(inside)) + 1
        runs = zip(np.split(stroke, bounds), np.split(widths, bounds), strict=True)
        pieces += [run for run, is_inside in zip(runs, inside[[0, *bounds]], strict=True) if is_inside]
    points, widths_left = zip(*(_two_points_or_more(*piece) for piece in pieces), strict=True)
    return Ink(points, widths_left)


def extra_stroke(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """A digit with an extra long stroke, through it or from its middle."""
    digit = write_digit(_choose_digit(STRUCK, rng), writer, pen, rng)
    (left, top), (right, bottom) = digit.extent()
    middle = digit.extent().mean(axis=0) + rng.normal(0, 0.08, 2)
    reach, beyond = rng.uniform(0.3, 0.6, 2)
    ends = np.array(
        [
            [[middle[0], top - reach], [middle[0], bottom + beyond]],
            [[left - reach, middle[1]], [right + beyond, middle[1]]],
            [[left - reach, bottom + beyond], [right + reach, top - beyond]],
            [[left - reach, top - beyond], [right + reach, bottom + beyond]],
            [middle, [right + 0.3 + reach, middle[1] + beyond]],
            [middle, [left - 0.3 - reach, middle[1] - beyond]],
        ]
    )
    start, stop = ends[rng.integers(len(ends))]
    line = np.linspace(start, stop, 3) + rng.normal(0, 0.05, (3, 2))
    return digit + write_stroke(line, _upright(writer), pen, rng)


def crossed_out(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """A digit struck through by several lines, a cross or a zigzag."""
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
        digit += write_stroke(line + rng.normal(0, 0.06, line.shape), _upright(writer), pen, rng)
    return digit


def _two_points_or_more(
    points: Float64[np.ndarray, "m 2"], widths: Float64[np.ndarray, " m"]
) -> tuple[Float64[np.ndarray, "_ 2"], Float64[np.ndarray, " _"]]:
    """The piece of a stroke; a single point is doubled, which paints a dot."""
    return (points, widths) if len(points) > 1 else (np.repeat(points, 2, axis=0), np.repeat(widths, 2))


def _choose_digit(values: str, rng: np.random.Generator) -> int:
    """A random one of these digits."""
    return int(values[rng.integers(len(values))])


def _upright(writer: Writer) -> Writer:
    """The writer without slant, which would move a line away from the digit it crosses."""
    return replace(writer, slant=0.0)


OPEN = (
    "0,0 50,0 100,0",
    "0,0 50,2 100,0",
    "0,0 50,30 100,0",
    "0,0 50,50 100,0",
    "0,0 20,60 80,60 100,0",
    "0,0 80,0 100,20 90,40",
    "0,0 70,0! 100,40",
    "0,0 70,0! 70,60",
    "0,0 50,0! 50,50! 100,50",
    "0,0 50,40! 100,0",
    "0,0 30,-30 70,30 100,0",
    "0,0 25,30 50,0! 75,30 100,0",
    "0,0 40,0 70,-30 50,-50 30,-20 60,0 100,0",
)
LOOPS = (
    "0,0 40,-30 80,0 40,30 0,0",
    "0,0 40,-40 90,0 50,40 30,0 60,-10",
    "0,0 60,-40! 60,40! 0,0",
)
"""Strokes from (0, 0) towards (100, 0), to be rotated and scaled; at most one closed one per character."""

GRID = np.array([[x, y] for y in (0.0, 0.33, 0.67, 1.0) for x in (0.0, 0.3, 0.6)])
"""End points of strokes."""


def invented(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """A character of an invented alphabet."""
    shape = _meander(rng) if rng.random() < 0.15 else _compose(rng)
    fine = replace(pen, width=pen.width * rng.uniform(0.6, 1.0))  # a marker would fill it to a blot
    return write(shape, replace(writer, haste=0.4 * writer.haste), fine, rng)


def _compose(rng: np.random.Generator) -> Figure:
    """Three to five strokes between grid points, each attached to an earlier one or crossing it."""
    count = int(rng.choice([3, 3, 3, 4, 4, 5]))
    strokes = [OPEN[kind] for kind in rng.integers(len(OPEN), size=count)]
    if rng.random() < 0.2:
        strokes[0] = LOOPS[rng.integers(len(LOOPS))]
    nodes = GRID[rng.permutation(len(GRID))[: count + 1]] + rng.normal(0, 0.05, (count + 1, 2))
    starts = np.where(rng.random(count) < 0.6, np.arange(count), np.arange(count) // 2)
    parts = []
    for stroke, start, end in zip(strokes, starts.tolist(), range(1, count + 1), strict=True):
        part = parse_figure(stroke)
        parts.append((part, _fit_between(part.points, nodes[start], nodes[end], rng.random() < 0.5)))
    if rng.random() < 0.25:
        dot = parse_figure("0,0 4,4")
        parts.append((dot, dot.points + rng.uniform([-0.2, -0.3], [0.9, 1.3])))
    return combine(parts)


def _fit_between(
    points: Float64[np.ndarray, "k 2"], start: Float64[np.ndarray, "2"], end: Float64[np.ndarray, "2"], mirror: bool
) -> Float64[np.ndarray, "k 2"]:
    """A part rotated and scaled so that it runs from one point to another."""
    (x, y), across = end - start, -1.0 if mirror else 1.0
    return np.asarray(start + points @ np.array([[x, y], [-across * y, across * x]]))


def _meander(rng: np.random.Generator) -> Figure:
    """One stroke that swings back and forth at least five times; a 3 does so four times."""
    count = int(rng.integers(6, 10))
    along, aside = np.arange(count) * rng.uniform(0.15, 0.3), np.arange(count) % 2 * rng.uniform(0.3, 0.8)
    points = np.stack([along, aside] if rng.random() < 0.5 else [aside, along], axis=1)
    return smooth_stroke(points + rng.normal(0, 0.06, points.shape))


COMMAS = (
    "40,0 44,30 30,70 0,100",
    "30,0 46,20 40,60 4,100",
    "20,20 44,0 50,40 30,80 0,100",
    "50,0 30,50 0,100",
    "0,0 30,40 50,100",
)
_COMMAS = 0.06
"""Share of commas among near digits."""

Maker = Callable[[Writer, Pen, np.random.Generator], Ink]

LATIN, CLEAR_MARKS, FOREIGN = (
    tuple(sign for sign in signs if sign not in LOOK_ALIKES) for signs in ((*UPPER, *LOWER), MARKS, (*GREEK, *OTHERS))
)
"""Latin letters, marks and foreign letters that cannot be taken for a digit."""
_LOOK_ALIKES = tuple(sign for sign in SIGNS if sign in LOOK_ALIKES)


def letter(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """An unambiguous Latin letter, printed or joined, perhaps with an accent."""
    sign = LATIN[rng.integers(len(LATIN))]
    shape = _shape(sign, rng)
    entry, leave, accent = (rng.random(3) < (0.2, 0.2, 0.08)).tolist()
    if sign in LOWER:
        shape = join_letter(shape, entry=entry, leave=leave)
    if accent:
        shape = f"{shape} / {ACCENTS[rng.integers(len(ACCENTS))]}"
    return write(parse_figure(shape), writer, pen, rng)


def sign(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """An unambiguous mark: punctuation, arithmetic, currency, ticks, arrows."""
    return _write_one(CLEAR_MARKS, writer, pen, rng)


def foreign(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """An unambiguous letter of another alphabet."""
    return _write_one(FOREIGN, writer, pen, rng)


def near_digit(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """A letter or sign that differs from a digit in one detail."""
    if rng.random() < _COMMAS:
        return _comma(writer, pen, rng)
    shapes = NEAR_SHAPES[NEAR_DIGITS[rng.integers(len(NEAR_DIGITS))]]
    return write(parse_figure(shapes[rng.integers(len(shapes))]), writer, pen, rng)


def _comma(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """A comma or a short tick: as small as it is, its line is too wide for a 1."""
    wide = replace(pen, width=float(rng.uniform(0.36, 0.55)))
    figure = parse_figure(COMMAS[rng.integers(len(COMMAS))])
    return write(figure, writer, wide, rng)


def look_alike(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """A letter or sign that could be a digit."""
    return _write_one(_LOOK_ALIKES, writer, pen, rng)


def scribble(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """A long random, zigzag or spiral stroke."""
    count = int(rng.integers(12, 26))
    step = np.arange(count)
    wandering = rng.random((count, 2))
    zigzag = np.stack([step / count * rng.uniform(0.3, 1.5), step % 2], axis=1)
    angle, radius = step * rng.uniform(1.0, 1.6), np.linspace(rng.uniform(0.1, 0.5), 0.5, count)
    coil = np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius[:, None] + step[:, None] * [0.04, 0.0]
    points = (wandering, zigzag, coil)[rng.integers(3)] + rng.normal(0, 0.08, (count, 2))
    return write_stroke(points, writer, pen, rng)


def dots(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """One or a few dots, or a blot; round, since a long one is a 1."""
    centres = rng.random((int(rng.choice([1, 1, 1, 2, 3])), 2))
    turns = np.linspace(0, 9, 14)[:, None] + rng.uniform(0, 6, len(centres))
    radius = rng.uniform(0.01, 0.12) * np.linspace(0.2, 1, 14)
    rings = np.stack([np.cos(turns).T, np.sin(turns).T], axis=2) * radius[:, None]
    round_pen = replace(pen, width=pen.width * 1.3, jagged=False)
    steady = replace(writer, slant=0.0, aspect=1.0, habit=writer.habit * 0.1)
    ink = [write_stroke(centre + ring, steady, round_pen, rng) for centre, ring in zip(centres, rings, strict=True)]
    return sum(ink[1:], ink[0])


def dash(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """One or two horizontal lines, as in a field left empty."""
    lines = [np.array([[0, y], [0.5, y], [1, y]]) for y in (0.0, rng.uniform(0.2, 0.5))[: rng.integers(1, 3)]]
    level = replace(writer, slant=0.0)
    ink = [write_stroke(line + rng.normal(0, 0.03, (3, 2)), level, pen, rng) for line in lines]
    return sum(ink[1:], ink[0])


def box_corner(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """Part of a printed box: one to four corners."""
    del writer
    width, height = rng.uniform(0.6, 1.6), 1.0
    round_trip = np.array([[0, 0], [width, 0], [width, height], [0, height], [0, 0]])
    sides = int(rng.integers(2, 5))
    first = int(rng.integers(1, 3)) if sides == 2 else int(rng.integers(5 - sides))  # the upper right corner is a 7
    points = round_trip[first : first + sides + 1]
    thickness = pen.width * rng.uniform(0.3, 1.0)
    return Ink((points + rng.normal(0, 0.01, points.shape),), (np.full(len(points), thickness),))


def specks(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """Dust and grain spread over an empty sheet."""
    del writer, pen
    points = rng.random((int(rng.integers(12, 60)), 2)) * [rng.uniform(0.3, 1.5), 1.0]
    sizes = rng.uniform(0.01, 0.07, len(points))
    return Ink(tuple(np.stack([p, p + 0.01]) for p in points), tuple(np.full(2, size) for size in sizes))


KINDS: dict[str, tuple[Maker, float]] = {
    "letter": (letter, 0.24),
    "scribble": (scribble, 0.05),
    "crossed_out": (crossed_out, 0.04),
    "two_digits": (two_digits, 0.05),
    "dots": (dots, 0.03),
    "dash": (dash, 0.01),
    "box_corner": (box_corner, 0.02),
    "specks": (specks, 0.01),
    "look_alike": (look_alike, 0.0),
    "sign": (sign, 0.14),
    "foreign": (foreign, 0.06),
    "near_digit": (near_digit, 0.18),
    "invented": (invented, 0.07),
    "turned": (turned, 0.04),
    "cut": (cut, 0.02),
    "extra_stroke": (extra_stroke, 0.02),
    "word": (word, 0.02),
}
"""Every kind: its function, and its share of a mixed set. Look-alikes are drawn only on request."""


def _shape(sign: str, rng: np.random.Generator) -> str:
    """A random shape of the sign."""
    shapes = SIGNS[sign]
    return shapes[rng.integers(len(shapes))]


def _write_one(signs: tuple[str, ...], writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """A random sign in a random shape."""
    return write(parse_figure(_shape(signs[rng.integers(len(signs))], rng)), writer, pen, rng)
