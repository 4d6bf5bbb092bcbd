"""Characters that nobody uses: a few random strokes hung on one another, as other alphabets do it.

Strokes are lines, arcs, hooks, loops, waves, corners and dots on a coarse grid of places. Two strokes make a digit
too often (a bar on a stem, a loop on a stem), so there are three to five of them, or one that turns too often for any
digit. It knows digits by these rules only.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from handigit.synth.ink import Ink
from handigit.synth.strokes import Figure, assembled, figure, through
from handigit.synth.writer import Pen, Writer, write

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
"""Strokes from (0, 0) towards (100, 0), which a character turns and sizes; one that closes is enough for each."""

PLACES = np.array([[x, y] for y in (0.0, 0.33, 0.67, 1.0) for x in (0.0, 0.3, 0.6)])
"""Where strokes begin and end."""


def invented(writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """A character of an alphabet that does not exist."""
    shape = _meander(rng) if rng.random() < 0.15 else _composed(rng)
    fine = replace(pen, width=pen.width * rng.uniform(0.6, 1.0))  # a marker would fill so many strokes to a blot
    return write(shape, replace(writer, haste=0.4 * writer.haste), fine, rng)


def _composed(rng: np.random.Generator) -> Figure:
    """Three to five strokes, each between two places, the next hung on the last or crossing it."""
    count = int(rng.choice([3, 3, 3, 4, 4, 5]))
    strokes = [OPEN[kind] for kind in rng.integers(len(OPEN), size=count)]
    if rng.random() < 0.2:
        strokes[0] = LOOPS[rng.integers(len(LOOPS))]
    places = PLACES[rng.permutation(len(PLACES))[: count + 1]] + rng.normal(0, 0.05, (count + 1, 2))
    starts = np.where(rng.random(count) < 0.6, np.arange(count), np.arange(count) // 2)
    parts = []
    for stroke, start, end in zip(strokes, starts.tolist(), range(1, count + 1), strict=True):
        part = figure(stroke)
        parts.append((part, _laid(part.points, places[start], places[end], rng.random() < 0.5)))
    if rng.random() < 0.25:
        dot = figure("0,0 4,4")
        parts.append((dot, dot.points + rng.uniform([-0.2, -0.3], [0.9, 1.3])))
    return assembled(parts)


def _laid(
    points: Float64[np.ndarray, "k 2"], start: Float64[np.ndarray, "2"], end: Float64[np.ndarray, "2"], mirror: bool
) -> Float64[np.ndarray, "k 2"]:
    """A part turned and sized so that it runs from one place to another."""
    (x, y), across = end - start, -1.0 if mirror else 1.0
    return np.asarray(start + points @ np.array([[x, y], [-across * y, across * x]]))


def _meander(rng: np.random.Generator) -> Figure:
    """One stroke that swings to and fro five times or more, upright or lying; a 3 swings four times."""
    count = int(rng.integers(6, 10))
    along, aside = np.arange(count) * rng.uniform(0.15, 0.3), np.arange(count) % 2 * rng.uniform(0.3, 0.8)
    points = np.stack([along, aside] if rng.random() < 0.5 else [aside, along], axis=1)
    return through(points + rng.normal(0, 0.06, points.shape))
