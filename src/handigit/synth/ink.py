"""Ink: pen paths with their widths, before they are pixels."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64


@dataclass(frozen=True, slots=True, eq=False)
class Ink:
    """Pen paths: `strokes[i]` are points (x, y), `widths[i]` the line's width at each, in heights of a digit."""

    strokes: tuple[Float64[np.ndarray, "_ 2"], ...]
    widths: tuple[Float64[np.ndarray, " _"], ...]

    def extent(self) -> Float64[np.ndarray, "2 2"]:
        """The bounding box, line width included: ((left, top), (right, bottom))."""
        points, half = np.concatenate(self.strokes), np.concatenate(self.widths)[:, None] / 2
        return np.stack([(points - half).min(axis=0), (points + half).max(axis=0)])

    def transformed(self, scale: float, shift: tuple[float, float]) -> "Ink":
        """The ink scaled, then shifted by (x, y)."""
        return Ink(tuple(s * scale + shift for s in self.strokes), tuple(w * scale for w in self.widths))

    def smooth(self) -> "Ink":
        """Four points for each one, for sheets so large that straight segments would show."""
        return Ink(tuple(map(_cut_corners, self.strokes)), tuple(_cut_corners(w[:, None])[:, 0] for w in self.widths))

    def __add__(self, other: "Ink") -> "Ink":
        """Both inks together."""
        return Ink(self.strokes + other.strokes, self.widths + other.widths)


def _cut_corners(values: Float64[np.ndarray, "m c"]) -> Float64[np.ndarray, "_ c"]:
    """Each corner of a polyline cut twice, at a quarter of its sides (Chaikin 1974); the ends are kept."""
    for _ in range(2):
        near, far = 0.75 * values[:-1] + 0.25 * values[1:], 0.25 * values[:-1] + 0.75 * values[1:]
        cut = np.stack([near, far], axis=1).reshape(-1, values.shape[1])
        values = np.concatenate([values[:1], cut[1:-1], values[-1:]])
    return values
