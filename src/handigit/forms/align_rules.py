"""A page placed by its ruled lines, where there is little print: one scale and one shift per axis.

Page and blank are squared by their rules first; then the places of level rules give scale and shift downwards, those
of upright rules across.
"""

from dataclasses import dataclass
from itertools import islice, product
from typing import Final

import cv2
import numpy as np

from handigit.forms.blank import Blank
from handigit.forms.page_ink import Grey, Matrix, ink_mask, long_rules
from handigit.forms.square import square_up

_BEST: Final = 6
"""Placements per axis that are tried together."""
_LARGEST_CHANGE: Final = 3.0
"""Most by which a page's scale differs from that of a page that fills its picture."""
_MOST_UNEVEN: Final = 1.15
"""Most by which the scales of the two axes differ."""
_MOST_RULES: Final = 60
_RULE: Final = 0.85
"""Length of the shortest rule, in heights of fields on a page that fills its picture: no stroke of a digit."""


@dataclass(frozen=True, slots=True)
class _Fit:
    """place on page = scale x place on blank + shift; `score`: agreement of the two sets of rules, 0..1."""

    scale: float
    shift: float
    score: float


def place_by_rules(blank: Blank, page_ink: Grey) -> list[Matrix]:
    """Homographies from pixels of the blank to pixels of the page that map rules to rules, the most likely first."""
    usual = max(page_ink.shape) / max(blank.paper.shape)
    length = _RULE * blank.field_px
    ours = _squared(ink_mask(blank.ink) if not blank.filled else ink_mask(_all_ink(blank)), length)
    theirs = _squared(ink_mask(page_ink), length * usual)
    if ours is None or theirs is None:
        return []
    (square, rows, columns), (there, page_rows, page_columns) = ours, theirs
    tolerance = 0.1 * blank.field_px
    down = _fits(rows, page_rows, usual, tolerance)
    across = _fits(columns, page_columns, usual, tolerance)
    pairs = [(x, y) for x, y in product(across, down) if 1 / _MOST_UNEVEN <= x.scale / y.scale <= _MOST_UNEVEN]
    pairs.sort(key=lambda pair: -pair[0].score * pair[1].score)
    back = np.linalg.inv(there)
    return [
        np.asarray(back @ np.array([[x.scale, 0, x.shift], [0, y.scale, y.shift], [0, 0, 1.0]]) @ square)
        for x, y in islice(pairs, _BEST)
    ]


def _all_ink(blank: Blank) -> Grey:
    from handigit.forms.page_ink import ink_of

    return ink_of(blank.paper)


def _squared(mask: Grey, length_px: float) -> tuple[Matrix, np.ndarray, np.ndarray] | None:
    """The homography that squares a page, and its rules after that: (place, length) of rows and of columns."""
    matrix = square_up(mask)
    if matrix is None:
        return None
    height, width = mask.shape
    level = cv2.warpPerspective(mask * np.uint8(255), matrix, (width, height), flags=cv2.INTER_LINEAR)
    horizontal, vertical = long_rules(
        (level > 96).astype(np.uint8), max(15, min(height, width) // 14, round(length_px))
    )
    rows = _peaks(horizontal.sum(axis=1, dtype=np.float64))
    columns = _peaks(vertical.sum(axis=0, dtype=np.float64))
    return (matrix, rows, columns) if len(rows) >= 2 and len(columns) >= 2 else None


def _peaks(profile: np.ndarray) -> np.ndarray:
    """The rules in a profile, as (place, length), the strongest first."""
    smooth = np.convolve(profile, [0.25, 0.5, 0.25], mode="same")
    strong = smooth > 0.12 * smooth.max() if smooth.max() > 0 else np.zeros(len(smooth), bool)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], strong.astype(int), [0]])))
    found = []
    for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        part = smooth[start:stop]
        found.append((start + float((np.arange(len(part)) * part).sum() / part.sum()), float(part.max())))
    found.sort(key=lambda rule: -rule[1])
    return np.array(found[:_MOST_RULES]).reshape(-1, 2)


def _fits(ours: np.ndarray, theirs: np.ndarray, usual: float, tolerance: float) -> list[_Fit]:
    """Scales and shifts that map many of our rules to theirs, the best first."""
    first, second = np.triu_indices(len(ours), k=1)
    third, fourth = np.triu_indices(len(theirs), k=1)
    places, pages = np.sort(ours[:, 0]), np.sort(theirs[:, 0])
    spans = places[second] - places[first]
    wide = spans >= 0.4 * (places[-1] - places[0])  # near pairs give poor scales
    first, spans = first[wide], spans[wide]
    scale = (pages[fourth] - pages[third])[None] / spans[:, None]
    shift = pages[third][None] - scale * places[first][:, None]
    kept = (scale >= usual / _LARGEST_CHANGE) & (scale <= usual * _LARGEST_CHANGE)
    scales, shifts = scale[kept], shift[kept]
    if not len(scales):
        return []
    score = np.zeros(len(scales))
    for start in range(0, len(scales), 4096):
        part = slice(start, start + 4096)
        score[part] = _scores(places, pages, scales[part], shifts[part], tolerance)
    fits: list[_Fit] = []
    for index in np.argsort(-score).tolist():
        fit = _Fit(float(scales[index]), float(shifts[index]), float(score[index]))
        middle = places.mean()
        if all(abs(fit.scale * middle + fit.shift - other.scale * middle - other.shift) > 3 * tolerance * fit.scale
               or abs(fit.scale / other.scale - 1) > 0.02 for other in fits):  # fmt: skip
            fits.append(_polish(fit, places, pages, tolerance))
        if len(fits) == _BEST:
            break
    return fits


def _scores(
    places: np.ndarray, pages: np.ndarray, scales: np.ndarray, shifts: np.ndarray, tolerance: float
) -> np.ndarray:
    """Matched rules over all rules within reach of both: the two-way agreement of each scale and shift."""
    moved = scales[:, None] * places[None] + shifts[:, None]
    nearest = np.abs(moved[:, :, None] - pages[None, None]).min(axis=2)
    inside = (moved > pages[0] - 3 * tolerance * scales[:, None]) & (
        moved < pages[-1] + 3 * tolerance * scales[:, None]
    )
    hits = np.clip(1 - nearest / (2 * tolerance * scales[:, None]), 0, 1).sum(axis=1)
    theirs = ((pages[None] > moved[:, :1] - 1) & (pages[None] < moved[:, -1:] + 1)).sum(axis=1)
    missed = (~inside).sum(axis=1)
    return np.asarray(hits / np.maximum(np.maximum(inside.sum(axis=1) + 0.5 * missed, theirs), 2))


def _polish(fit: _Fit, places: np.ndarray, pages: np.ndarray, tolerance: float) -> _Fit:
    """The same by least squares over all its matches."""
    moved = fit.scale * places + fit.shift
    nearest = np.abs(moved[:, None] - pages[None])
    match = nearest.argmin(axis=1)
    close = nearest.min(axis=1) <= 2 * tolerance * fit.scale
    if np.count_nonzero(close) < 3:
        return fit
    scale, shift = np.polyfit(places[close], pages[match[close]], 1)
    return _Fit(float(scale), float(shift), fit.score)
