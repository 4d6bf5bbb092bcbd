"""Curl of a sheet: how far print is from where the four markers put it, because paper bends.

Each field's rules are found on the page to a fraction of a pixel. A smooth surface that is zero at the markers is
fitted to their errors; a constant and a tilt are fitted beside it and dropped: they are errors of measuring.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float64

from handigit.forms.blank import Blank
from handigit.forms.page_ink import Grey, Matrix, grow, ink_mask, long_rules
from handigit.forms.snap import RULE, parabola_top
from handigit.forms.specs import MARKER_MARGIN_MM, MARKER_MM, Area, FieldSpec

_CLEAR: Final = 0.7
"""Correlation from which rules count as found."""
_REACH: Final = 0.2
"""Farthest that a rule is from where markers put it, in field heights; a match at the end of that is none."""
_PART: Final = 1.5
"""Width of the parts of a comb whose rules are looked for, in heights."""
_FEWEST: Final = 5
"""Fewer parts say nothing about the sheet."""
_LEAST_INK: Final = 0.25
"""Ink of a field's own rules from which they are looked for, in field heights."""
_PRIORS: Final = (0.0044, 0.0044, 0.1, 0.1, 0.5, 1.0, 1.0)
"""Noise over the usual, squared, at 0.2 px of noise: curl of 3 px, of 0.6 px if twisted, errors of 0.3 px."""
_ROUNDS: Final = 10
_SMOOTH: Final = np.array([0.25, 0.5, 0.25])

Points = Float64[np.ndarray, "n 2"]


@dataclass(frozen=True, eq=False)
class Curl:
    """Moves of print across and down, in units of the template: weights of four surfaces that are zero at markers."""

    across: Float64[np.ndarray, "4"]
    down: Float64[np.ndarray, "4"]
    size: tuple[float, float]

    def moved(self, points: Points) -> Points:
        """Points of the flat form, in its units, after the curl."""
        surfaces = _surfaces(points, self.size)
        return np.asarray(points + np.column_stack([surfaces @ self.across, surfaces @ self.down]))


def measure_curl(blank: Blank, page_ink: Grey, matrix: Matrix) -> Curl:
    """The curl of a page that `matrix` (blank to page) places by its markers."""
    height, width = blank.paper.shape
    warped = cv2.warpPerspective(page_ink, matrix, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    seen = np.asarray(warped, np.uint8)
    ours, theirs = _rule_ink(blank.ink, blank.mask, blank), _rule_ink(seen, ink_mask(seen), blank)
    areas = [area for field in blank.fields for area in _parts(field)]
    across = {area: off for area in areas if (off := _off(blank, area, ours[1].T, theirs[1].T)) is not None}
    down = {area: off for area in areas if (off := _off(blank, area, ours[0], theirs[0])) is not None}
    return Curl(_fitted(across, blank), _fitted(down, blank), blank.size)


def _rule_ink(ink: Grey, mask: Grey, blank: Blank) -> tuple[Grey, Grey]:
    """The ink of the level and upright rules that are longer than strokes."""
    level, upright = long_rules(mask, max(8, round(RULE * blank.field_px)))
    return np.asarray(ink * grow(level, 1), np.uint8), np.asarray(ink * grow(upright, 1), np.uint8)


def _parts(field: FieldSpec) -> list[Area]:
    """A field, or parts of a wide comb: along the whole of it a rule of a curled sheet is not level."""
    box = field.box
    count = max(1, round(box.width / (_PART * box.height))) if field.cells else 1
    wide = box.width / count
    return [Area(box.left + i * wide, box.top, box.left + (i + 1) * wide, box.bottom) for i in range(count)]


def _off(blank: Blank, area: Area, ours: Grey, theirs: Grey) -> float | None:
    """Pixels down by which the level rules around an area are off; to the right where both are transposed."""
    left, top, right, bottom = blank.pixels(area.grown(0.2 * area.height))
    if ours.shape != blank.paper.shape:
        left, top, right, bottom = top, left, bottom, right
    reach = max(1, round(_REACH * area.height * blank.scale))
    pattern = ours[top:bottom, left:right].sum(axis=1, dtype=np.float64) / 255
    most = pattern.max(initial=0)
    if most < _LEAST_INK * blank.field_px or top < reach or bottom + reach > len(ours):
        return None
    window = theirs[top - reach : bottom + reach, left:right].sum(axis=1, dtype=np.float64) / 255
    pattern = np.convolve(pattern, _SMOOTH, mode="same")
    window = np.convolve(np.minimum(window, most), _SMOOTH, mode="same")
    energy = np.correlate(window**2, np.ones(len(pattern)), mode="valid")
    scores = np.correlate(window, pattern, mode="valid") / np.sqrt((pattern**2).sum() * np.maximum(energy, 1e-9))
    best = int(scores.argmax())
    is_top = 0 < best < len(scores) - 1
    return best - reach + parabola_top(scores, best) if is_top and scores[best] >= _CLEAR else None


def _fitted(off: dict[Area, float], blank: Blank) -> Float64[np.ndarray, "4"]:
    """The weights of the surfaces, in units of the template (ridge regression, Huber-like weights)."""
    if len(off) < _FEWEST:
        return np.zeros(4)
    centres = np.array([[(one.left + one.right) / 2, (one.top + one.bottom) / 2] for one in off])
    terms = np.column_stack([_surfaces(centres, blank.size), np.ones(len(off)), _centred(centres, blank.size)])
    values, weights = np.array(list(off.values())), np.ones(len(off))
    found = np.zeros(terms.shape[1])
    for _ in range(_ROUNDS):
        found = np.linalg.solve(terms.T @ (terms * weights[:, None]) + np.diag(_PRIORS), terms.T @ (weights * values))
        errors = np.abs(values - terms @ found)
        weights = 1 / np.maximum(1, errors / max(1.5 * float(np.median(errors)), 0.15)) ** 2
    return np.asarray(found[:4] / blank.scale)


def _surfaces(points: Points, size: tuple[float, float]) -> Float64[np.ndarray, "n 4"]:
    """Four surfaces that are zero at the middles of the markers."""
    x, y = _centred(points, size).T
    wide, high = (1 - 2 * (MARKER_MARGIN_MM + MARKER_MM / 2) / side for side in size)
    return np.column_stack([x * x - wide**2, y * y - high**2, y * (x * x - wide**2), x * (y * y - high**2)])


def _centred(points: Points, size: tuple[float, float]) -> Points:
    """Points in -1 to 1 of the sheet."""
    return np.asarray(2 * points / np.array(size) - 1)
