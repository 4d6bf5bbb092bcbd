"""Digits that are none any more: turned, mirrored, cut by a frame, struck through, or with a stroke too many.

Only such changes are made as leave no digit: a 6 upside down is a 9, an 0 on its side an 0. Which those are stands in
the tables; it knows the digits by their strokes alone.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from handigit.synth.ink import Ink
from handigit.synth.writer import Pen, Writer, write_digit, write_stroke

LEFT, RIGHT, OVER, MIRROR = (
    np.array(matrix, float) for matrix in ([[0, -1], [1, 0]], [[0, 1], [-1, 0]], [[-1, 0], [0, -1]], [[-1, 0], [0, 1]])
)
"""A quarter turn to the left and to the right, a half turn, and the mirror, for rows of (x, y)."""

TURNS: tuple[tuple[str, Float64[np.ndarray, "2 2"]], ...] = (
    ("234567", LEFT),
    ("234567", RIGHT),
    ("3", OVER),
    ("3679", MIRROR),
    ("379", MIRROR @ LEFT),
)
"""Digits by what leaves them none. An 0, 1 or 8 turned is one still, and a 4 like lightning turned over is a 4."""

CUTS: tuple[tuple[str, int, bool], ...] = (("05", 1, True), ("025", 1, False), ("8", 0, True))
"""Digits of which half is none: the axis (0 for x, 1 for y) along which they are cut, whether the first half stays."""

STRUCK = "2358"
"""Digits that no second stroke belongs to; a 6 or 9 struck through looks like a slashed 0."""


def turned(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """A digit turned a quarter or half, or mirrored."""
    values, matrix = TURNS[rng.integers(len(TURNS))]
    digit = write_digit(_one_of(values, rng), writer, pen, rng)
    return Ink(tuple(stroke @ matrix for stroke in digit.strokes), digit.widths)


def cut(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """Half a digit, the other half beyond the edge of its field."""
    values, axis, first = CUTS[rng.integers(len(CUTS))]
    fine = replace(pen, width=0.7 * pen.width)  # what a marker leaves of half a digit is a blot
    digit = write_digit(_one_of(values, rng), replace(writer, slant=writer.slant / 2), fine, rng)
    near, far = digit.extent()[:, axis]
    share = rng.uniform(0.35, 0.5)
    edge = near + (far - near) * (share if first else 1 - share)
    pieces: list[tuple[np.ndarray, np.ndarray]] = []
    for stroke, widths in zip(digit.strokes, digit.widths, strict=True):
        inside = (stroke[:, axis] < edge) == first
        bounds = np.flatnonzero(np.diff(inside)) + 1
        runs = zip(np.split(stroke, bounds), np.split(widths, bounds), strict=True)
        pieces += [run for run, kept in zip(runs, inside[[0, *bounds]], strict=True) if kept]
    points, widths_left = zip(*(_at_least_two(*piece) for piece in pieces), strict=True)
    return Ink(points, widths_left)


def extra_stroke(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """A digit with one long stroke too many, through it or from its middle."""
    digit = write_digit(_one_of(STRUCK, rng), writer, pen, rng)
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
        digit += write_stroke(line + rng.normal(0, 0.06, line.shape), _upright(writer), pen, rng)
    return digit


def _at_least_two(
    points: Float64[np.ndarray, "m 2"], widths: Float64[np.ndarray, " m"]
) -> tuple[Float64[np.ndarray, "_ 2"], Float64[np.ndarray, " _"]]:
    """The piece of a stroke; of a single point, a stroke that stays there, which paints as a dot."""
    return (points, widths) if len(points) > 1 else (np.repeat(points, 2, axis=0), np.repeat(widths, 2))


def _one_of(values: str, rng: np.random.Generator) -> int:
    """One of these digits."""
    return int(values[rng.integers(len(values))])


def _upright(writer: Writer) -> Writer:
    """The same writer without the slant, which would move a line away from what it strikes out."""
    return replace(writer, slant=0.0)
