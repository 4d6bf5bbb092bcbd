"""Ink: what a pen leaves, before it is pixels.

It knows neither who wrote nor what it is written on.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64


@dataclass(frozen=True, slots=True, eq=False)
class Ink:
    """Paths of a pen: `strokes[i]` are points (x, y), `widths[i]` the line's width at each, all in heights."""

    strokes: tuple[Float64[np.ndarray, "_ 2"], ...]
    widths: tuple[Float64[np.ndarray, " _"], ...]

    def extent(self) -> Float64[np.ndarray, "2 2"]:
        """The box of the ink, line width included: ((left, top), (right, bottom))."""
        points, half = np.concatenate(self.strokes), np.concatenate(self.widths)[:, None] / 2
        return np.stack([(points - half).min(axis=0), (points + half).max(axis=0)])

    def placed(self, scale: float, shift: tuple[float, float]) -> "Ink":
        """The same ink made larger, then moved."""
        return Ink(tuple(s * scale + shift for s in self.strokes), tuple(w * scale for w in self.widths))

    def smoothed(self) -> "Ink":
        """With four points for each, for sheets on which the straight pieces between points would show."""
        return Ink(tuple(map(_rounded, self.strokes)), tuple(_rounded(w[:, None])[:, 0] for w in self.widths))

    def __add__(self, other: "Ink") -> "Ink":
        """Both on one sheet."""
        return Ink(self.strokes + other.strokes, self.widths + other.widths)


def _rounded(values: Float64[np.ndarray, "m c"]) -> Float64[np.ndarray, "_ c"]:
    """Every corner of a polyline cut twice, each time at a quarter of its sides (Chaikin 1974); the ends stay."""
    for _ in range(2):
        near, far = 0.75 * values[:-1] + 0.25 * values[1:], 0.25 * values[:-1] + 0.75 * values[1:]
        cut = np.stack([near, far], axis=1).reshape(-1, values.shape[1])
        values = np.concatenate([values[:1], cut[1:-1], values[-1:]])
    return values
