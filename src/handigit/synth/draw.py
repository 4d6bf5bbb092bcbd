"""From ink to pixels: the ink's cover of a sheet of any size, and the glyph that MNIST would make of it.

A glyph is drawn straight into its 20-pixel box, four times too large, and centred there by mass: the same result as
drawing a page and normalising it with `handigit.images` (a test compares the two), fifty times faster. It knows
nothing of who wrote.
"""

import cv2
import numpy as np
from jaxtyping import UInt8

from handigit.synth.ink import Ink

GLYPH_PX = 28
BOX_PX = 20
CENTRE_PX = 14
"""Side of a glyph, longer side of its ink box, and the pixel on which its centre of mass lies (LeCun et al. 1998)."""
FINE = 4
"""Pixels drawn for one of the glyph, each way: 17 levels of grey at an edge."""
_RIM_PX = 1
"""Room around the box for what rounding lets stand out."""
_SUBPIXEL_BITS = 4


def glyph(ink: Ink) -> UInt8[np.ndarray, "28 28"]:
    """The ink as a glyph, 0..255, ink bright."""
    corner, size = ink.extent()[0], np.ptp(ink.extent(), axis=0)
    scale = BOX_PX / max(float(size.max()), 1e-3)
    width, height = (np.ceil(size * scale - 1e-6).astype(int) + 2 * _RIM_PX).tolist()
    canvas = np.zeros((height * FINE, width * FINE), np.uint8)
    x, y = ((_RIM_PX - corner * scale) * FINE).tolist()
    paint(canvas, ink.placed(scale * FINE, (x, y)))
    return _centred(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False))


def paint(canvas: UInt8[np.ndarray, "h w"], ink: Ink) -> None:
    """Draw ink given in pixels of the canvas, at 255, in place; no edge is smoothed, so draw large and shrink."""
    for stroke, widths in zip(ink.strokes, ink.widths, strict=True):
        points = np.rint((stroke - 0.5) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
        # OpenCV paints an even thickness one pixel wider than it says, and an odd one two.
        thickness = np.maximum(1, 2 * np.rint((widths - 1) / 2)).astype(int)
        cuts = np.flatnonzero(np.diff(thickness)) + 1
        starts, stops = [0, *cuts.tolist()], [*cuts.tolist(), len(points) - 1]
        for start, stop in zip(starts, stops, strict=True):
            piece = points[start : stop + 1]
            cv2.polylines(canvas, [piece], False, 255, int(thickness[start]), cv2.LINE_8, _SUBPIXEL_BITS)


def cover(ink: Ink, height_px: int, width_px: int) -> UInt8[np.ndarray, "h w"]:
    """How much of each pixel of a sheet the ink (in pixels of the sheet) covers, 0..255."""
    canvas = np.zeros((height_px * FINE, width_px * FINE), np.uint8)
    paint(canvas, ink.placed(FINE, (0.0, 0.0)))
    return np.asarray(cv2.resize(canvas, (width_px, height_px), interpolation=cv2.INTER_AREA), np.uint8)


def _centred(cut: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "28 28"]:
    """The ink moved by whole pixels until its centre of mass is at the glyph's, as far as its box lets it."""
    moments, (height, width) = cv2.moments(cut), cut.shape
    mass = max(moments["m00"], 1.0)
    left = round(CENTRE_PX - moments["m10"] / mass) + _RIM_PX
    top = round(CENTRE_PX - moments["m01"] / mass) + _RIM_PX
    side = GLYPH_PX + 2 * _RIM_PX
    left, top = min(max(left, 0), side - width), min(max(top, 0), side - height)
    field = np.zeros((side, side), np.uint8)
    field[top : top + height, left : left + width] = cut
    return field[_RIM_PX:-_RIM_PX, _RIM_PX:-_RIM_PX]
