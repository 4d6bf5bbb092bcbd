"""Fields moved to the rules around them where there are no markers: what curl and stretch leave after a page is placed.

Only straight rules count, longer than the strokes of digits, so that the writing in a field cannot move it.
"""

from collections.abc import Mapping
from typing import Final

import cv2
import numpy as np

from handigit.forms.blank import Blank
from handigit.forms.page_ink import Grey, Matrix, ink_mask, long_rules
from handigit.forms.specs import FieldSpec

REACH: Final = 0.35
"""Farthest that a field moves, in its heights."""
RULE: Final = 0.85
"""Length of the rules that count, in field heights: the edge of a comb, but no stroke of a digit."""
_CLEAR: Final = 0.6
"""Fraction of the printed rules that must be found."""
_GAIN: Final = 0.15
"""By how much more of them must be found after a move."""
_NEIGHBOURS: Final = 5
"""Fields whose moves are taken together: paper bends smoothly."""


def snap(blank: Blank, page_ink: Grey, matrix: Matrix) -> dict[str, tuple[float, float]]:
    """How far each field is from where `matrix` (blank to page) puts it, in units of the template."""
    height, width = blank.paper.shape
    warped = cv2.warpPerspective(page_ink, matrix, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    length = max(8, round(RULE * blank.field_px))
    ours, theirs = long_rules(blank.mask, length), long_rules(ink_mask(np.asarray(warped, np.uint8)), length)
    found: dict[FieldSpec, tuple[float, float]] = {}
    for field in blank.fields:
        down = _shift(blank, field, ours[0], theirs[0])
        across = _shift(blank, field, ours[1].T, theirs[1].T)
        if down is not None or across is not None:
            found[field] = across or 0.0, down or 0.0
    return {field.name: _smoothed(field, found, blank.scale) for field in blank.fields} if found else {}


def _smoothed(field: FieldSpec, found: Mapping[FieldSpec, tuple[float, float]], scale: float) -> tuple[float, float]:
    """The median move of a field and its neighbours, in units of the template."""
    near = sorted(found, key=lambda other: abs(other.box.left - field.box.left) + abs(other.box.top - field.box.top))
    across, down = np.median([found[other] for other in near[:_NEIGHBOURS]], axis=0) / scale
    return float(across), float(down)


def _shift(blank: Blank, field: FieldSpec, ours: Grey, theirs: Grey) -> float | None:
    """Pixels down by which the level rules around a field are off; None where there are none.

    Upright rules are given transposed, and then it is to the right.
    """
    size = field.height
    left, top, right, bottom = blank.pixels(field.box.grown(0.2 * size))
    if ours.shape != blank.paper.shape:
        left, top, right, bottom = top, left, bottom, right
    reach = max(1, round(REACH * size * blank.scale))
    pattern = ours[top:bottom, left:right].sum(axis=1, dtype=np.float64)
    high = len(ours)
    if pattern.max(initial=0) < 0.5 * blank.field_px or top < reach or bottom + reach > high:
        return None
    pattern = np.minimum(pattern, pattern.max() / 2)
    window = theirs[top - reach : bottom + reach, left:right].sum(axis=1, dtype=np.float64)
    window = np.minimum(np.convolve(window, [0.5, 1, 0.5], mode="same"), pattern.max())
    scores = np.correlate(window, pattern, mode="valid") / float((pattern**2).sum())
    best = int(scores.argmax())
    if scores[best] < _CLEAR or scores[best] - scores[reach] < _GAIN:
        return 0.0
    return best - reach + parabola_top(scores, best)


def parabola_top(scores: np.ndarray, place: int) -> float:
    """Where a maximum is between samples, from `place`, by a parabola."""
    if not 0 < place < len(scores) - 1:
        return 0.0
    before, at, after = (float(score) for score in scores[place - 1 : place + 2])
    bend = before - 2 * at + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0
