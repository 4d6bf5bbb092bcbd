"""Where the writing is in the crop of a field, so that small figures in a large box are cut out and read large.

The reader sees a crop at a fixed height. On `forms/c1`, where digits are a quarter as tall as their boxes and empty
cells have a watermark, 92 of 120 fields were right as cut, 112 if cut to their writing.
"""

from typing import Final

import cv2
import numpy as np

from handigit.forms.page_ink import Grey
from handigit.records import Box

_PAPER: Final = 80
"""Percentile of the pixels of a crop that is paper."""
_FAINTEST: Final = 40
"""Grey levels under the paper's that the darkest ink has; with less, nothing is looked for."""
_PRINT: Final = 0.4
"""Fraction of the darkest ink's strength up to which ink is print, such as a watermark."""
_MARK: Final = 0.1
"""The same from which ink may be a rule."""
_RULE: Final = 0.55, 0.25
"""Lengths of upright and level rules, in heights and widths of the crop."""
_RIM: Final = 0.12, 0.06
"""Rims above and beside that are left out, in heights: the edges of the box."""
_SMALLEST: Final = 6, 0.06
"""Area in pixels and height in heights of the smallest stroke."""
_LARGE: Final = 0.65
"""Writing taller than this fraction of the crop is read as it is."""
_SIDE: Final = 0.25
"""By how much the margins at the sides are wider, in heights of the writing."""


def cut_writing(crop: Grey, writing: Box, margin: float, *, sides: bool) -> Grey:
    """The writing with a margin in its heights; without `sides`, as wide as the crop."""
    above, beside = round(margin * writing.height) + 1, round((margin + _SIDE) * writing.height)
    part = crop[max(0, writing.top - above) : writing.bottom + above]
    return np.ascontiguousarray(part[:, max(0, writing.left - beside) : writing.right + beside] if sides else part)


def find_small_writing(crop: Grey) -> Box | None:
    """The writing in a crop of a field and its box, if it is much smaller than the box; None where it is not."""
    height = crop.shape[0]
    darkness = np.clip(np.percentile(crop, _PAPER) - crop.astype(np.float32), 0, None)
    inside = darkness * (1 - _rules(darkness))
    above, beside = round(_RIM[0] * height), round(_RIM[1] * height)
    inside[: above + 1] = inside[-above - 1 :] = 0
    inside[:, : beside + 1] = inside[:, -beside - 1 :] = 0
    strongest = float(np.percentile(inside[inside > 0], 99.5)) if inside.any() else 0.0
    if strongest < _FAINTEST:
        return None
    _, _, parts, _ = cv2.connectedComponentsWithStats((inside > _PRINT * strongest).astype(np.uint8), connectivity=8)
    strokes = [part for part in parts[1:].tolist() if part[4] >= _SMALLEST[0] and part[3] >= _SMALLEST[1] * height]
    if not strokes:
        return None
    found = Box.around(Box(left, top, left + wide, top + high) for left, top, wide, high, _ in strokes)
    return found if found.height <= _LARGE * height else None


def _rules(darkness: np.ndarray) -> Grey:
    """1 where the edges of a box and the rules between its cells are."""
    height, width = darkness.shape
    mask = (darkness > max(_MARK * 255, 1)).astype(np.uint8)
    upright = np.ones((max(8, round(_RULE[0] * height)), 1), np.uint8)
    level = np.ones((1, max(8, round(_RULE[1] * width))), np.uint8)
    down = cv2.morphologyEx(cv2.dilate(mask, np.ones((1, 3), np.uint8)), cv2.MORPH_OPEN, upright)
    across = cv2.morphologyEx(cv2.dilate(mask, np.ones((3, 1), np.uint8)), cv2.MORPH_OPEN, level)
    return np.asarray(cv2.dilate(cv2.bitwise_or(down, across), np.ones((3, 3), np.uint8)), np.uint8)
