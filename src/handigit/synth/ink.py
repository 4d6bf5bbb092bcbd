"""Ink: pen paths with their widths, and their pixels on a sheet of any size or as a glyph.

A glyph is drawn straight into its 20-pixel box at four times the size and centred there by mass: the same result as
drawing a page and normalising it with `handigit.images` (a test compares the two), fifty times faster.
"""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

GLYPH_PX = 28
BOX_PX = 20
CENTRE_PX = 14
"""Side of a glyph, longer side of its ink box, and position of its centre of mass (LeCun et al. 1998)."""
PEN_PX = 1.8
"""Minimum stroke width in a glyph, as in `handigit.images`."""
FINE = 4
"""Supersampling factor in each direction: 17 levels of grey at an edge."""
_RIM_PX = 1
"""Margin around the box for rounding."""
_SUBPIXEL_BITS = 4
_SUBPIXELS = 1 << _SUBPIXEL_BITS


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


def glyph(ink: Ink) -> UInt8[np.ndarray, "28 28"]:
    """The ink as a glyph, 0..255, ink bright; thin strokes are widened as in `handigit.images`."""
    corner, far = ink.extent()
    missing = PEN_PX * _side(corner, far) / BOX_PX - float(np.concatenate(ink.widths).mean())
    wider = max(0.0, missing)
    corner, far = corner - wider / 2, far + wider / 2
    scale = BOX_PX / _side(corner, far)
    width, height = (np.ceil((far - corner) * scale - 1e-6).astype(int) + 2 * _RIM_PX).tolist()
    canvas = np.zeros((height * FINE, width * FINE), np.uint8)
    x, y = ((_RIM_PX - corner * scale) * FINE).tolist()
    paint(canvas, ink, scale=scale * FINE, shift=(x, y), wider=wider)
    return _centred(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False))


def _side(corner: Float64[np.ndarray, "2"], far: Float64[np.ndarray, "2"]) -> float:
    """The longer side of the box between two corners, but never 0."""
    return max(float((far - corner).max()), 1e-3)


def paint(
    canvas: UInt8[np.ndarray, "h w"], ink: Ink, *, scale: float, shift: tuple[float, float], wider: float = 0.0
) -> None:
    """Draw ink at 255, in place, without anti-aliasing: draw large, then downscale.

    `scale` and `shift` map the ink's coordinates to canvas pixels; `wider` is first added to every width.
    """
    points = np.concatenate(ink.strokes) * (scale * _SUBPIXELS) + (np.array(shift) - 0.5) * _SUBPIXELS
    grid = np.rint(points).astype(np.int32)
    # OpenCV draws an even thickness one pixel too wide, and an odd one two.
    widths = (np.concatenate(ink.widths) + wider) * scale
    thickness = np.maximum(1, 2 * np.rint((widths - 1) / 2)).astype(int)
    start = 0
    for stroke in ink.strokes:
        stop = start + len(stroke)
        changes = np.flatnonzero(np.diff(thickness[start:stop])) + 1 + start
        for first, last in pairwise([start, *changes.tolist(), stop - 1]):
            piece = [grid[first : last + 1]]
            cv2.polylines(canvas, piece, False, 255, int(thickness[first]), cv2.LINE_8, _SUBPIXEL_BITS)
        start = stop


def coverage(ink: Ink, height_px: int, width_px: int) -> UInt8[np.ndarray, "h w"]:
    """How much of each pixel of a sheet the ink (in the sheet's pixels) covers, 0..255."""
    canvas = np.zeros((height_px * FINE, width_px * FINE), np.uint8)
    paint(canvas, ink, scale=FINE, shift=(0.0, 0.0))
    return np.asarray(cv2.resize(canvas, (width_px, height_px), interpolation=cv2.INTER_AREA), np.uint8)


def _centred(cut: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "28 28"]:
    """The ink moved by whole pixels so that its centre of mass is the glyph's, as far as its box allows."""
    moments, (height, width) = cv2.moments(cut), cut.shape
    mass = max(moments["m00"], 1.0)
    left = round(CENTRE_PX - moments["m10"] / mass) + _RIM_PX
    top = round(CENTRE_PX - moments["m01"] / mass) + _RIM_PX
    side = GLYPH_PX + 2 * _RIM_PX
    left, top = min(max(left, 0), side - width), min(max(top, 0), side - height)
    field = np.zeros((side, side), np.uint8)
    field[top : top + height, left : left + width] = cut
    return field[_RIM_PX:-_RIM_PX, _RIM_PX:-_RIM_PX]


def _cut_corners(values: Float64[np.ndarray, "m c"]) -> Float64[np.ndarray, "_ c"]:
    """Each corner of a polyline cut twice, at a quarter of its sides (Chaikin 1974); the ends are kept."""
    for _ in range(2):
        near, far = 0.75 * values[:-1] + 0.25 * values[1:], 0.25 * values[:-1] + 0.75 * values[1:]
        cut = np.stack([near, far], axis=1).reshape(-1, values.shape[1])
        values = np.concatenate([values[:1], cut[1:-1], values[-1:]])
    return values
