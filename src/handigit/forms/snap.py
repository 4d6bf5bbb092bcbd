"""Fields moved to the print around them: what curl and stretch leave after a page is placed."""

from typing import Final

import cv2
import numpy as np

from handigit.forms.blank import Blank
from handigit.forms.page_ink import Grey, Matrix
from handigit.forms.template import FieldSpec

REACH: Final = 0.35
"""Farthest that a field moves, in its heights."""
_GAIN: Final = 0.08
"""By how much the correlation must improve for a field to move."""
_FAINTEST: Final = 0.25
"""Correlation below which nothing is found."""


def snap(blank: Blank, page_ink: Grey, matrix: Matrix) -> dict[str, tuple[float, float]]:
    """How far each field is from where `matrix` (blank to page) puts it, in units of the template."""
    height, width = blank.paper.shape
    warped = cv2.warpPerspective(page_ink, matrix, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    here, there = (cv2.GaussianBlur(one.astype(np.float32), (0, 0), 1.0) for one in (blank.ink, warped))
    shifts = {}
    for field in blank.fields:
        shift = _shift(blank, field, np.asarray(here), np.asarray(there))
        if shift is not None:
            shifts[field.name] = (shift[0] / blank.scale, shift[1] / blank.scale)
    return shifts


def _shift(blank: Blank, field: FieldSpec, here: np.ndarray, there: np.ndarray) -> tuple[float, float] | None:
    """Pixels to the right and down by which a field's surroundings are off; None where nothing says so."""
    size = field.height
    left, top, right, bottom = blank.pixels(field.box.grown(0.3 * size))
    reach = max(1, round(REACH * size * blank.scale))
    if left < reach or top < reach or right + reach > here.shape[1] or bottom + reach > here.shape[0]:
        return None
    print_ = here[top:bottom, left:right] * blank.outside_fields[top:bottom, left:right]
    if print_.std() < 2:
        return None
    print_ = print_ - print_.mean()
    window = there[top - reach : bottom + reach, left - reach : right + reach]
    scores = cv2.matchTemplate(np.ascontiguousarray(window), np.ascontiguousarray(print_), cv2.TM_CCORR_NORMED)
    _, best, _, place = cv2.minMaxLoc(scores)
    if best < _FAINTEST or best - float(scores[reach, reach]) < _GAIN * best:
        return None
    x, y = place
    return _peak(scores[y], x) - reach, _peak(scores[:, x], y) - reach


def _peak(scores: np.ndarray, place: int) -> float:
    """The place of a maximum between pixels, by a parabola."""
    if not 0 < place < len(scores) - 1:
        return float(place)
    before, at, after = (float(one) for one in scores[place - 1 : place + 2])
    bend = before - 2 * at + after
    return place + (0.5 * (before - after) / bend if bend < 0 else 0.0)
