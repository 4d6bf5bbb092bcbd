"""Rotate pages upright and level, each step with a test: without clear evidence a page stays as it is.

Only the positions of connected parts are used. Skew is found by the projection profile (Postl 1986), the quarter turn
by the direction of nearest neighbours, and up from down by ascenders: in Latin writing more rises above a line than
hangs below it.
"""

import math
from dataclasses import dataclass
from typing import Final, cast

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

from handigit.images.polarity import downscale
from handigit.records import Box

Page = UInt8[np.ndarray, "height width"]
Turned = UInt8[np.ndarray, "high wide"]

_LOOK_PX: Final = 1200
"""Longer side of the copy on which the orientation is judged."""
_MAX_DEGREES: Final = 16.0
_MIN_DEGREES: Final = 0.3
"""Less skew does no harm, and rotating blurs."""
_COARSE, _FINE = 0.5, 0.1
_MIN_PEAK: Final = 1.2
"""Minimum sharpness of the profile at the best angle, relative to the median."""
_MIN_PARTS: Final = 24
"""Minimum number of connected parts."""
_MAJORITY: Final = 0.7
"""Fraction of the parts whose nearest neighbour is along one axis, for lines to run along it."""
_MIN_LINE: Final = 8
"""Minimum number of parts of a line that votes on which side is up."""
_MIN_LINES: Final = 3
_STANDS_OUT: Final = 0.18
"""A part is an ascender (descender) if its top (bottom) is this many heights off that of its line."""
_MIN_BALANCE: Final = 0.2
"""Minimum difference between ascenders and descenders, as a fraction of their sum."""
_MIN_RULE: Final = 0.18
"""Minimum length of a printed rule that shows the skew, as a fraction of the page's longer side."""
_MIN_FRAME: Final = 1 / 80
"""Minimum length of a printed box's shorter side, as a fraction of the page's longer side."""
_FILLED: Final = 0.92
"""Minimum fraction of the smallest rectangle around a printed box that its outline encloses; letters fill less."""
_MIN_RULES: Final = 1.5
"""Minimum length of all rules in one direction or across it, in longer sides of the page."""
_MAX_PARTS: Final = 2000


@dataclass(frozen=True, slots=True, eq=False)
class Oriented:
    """A page rotated by `rotation` degrees clockwise (a multiple of 90), then by `skew` degrees more.

    `sure`: whether the page shows which side is up; if not, `rotation` is 0. `to_source` maps points (x, y, 1) of
    `page` to the page as given.
    """

    page: Page
    rotation: int
    skew: float
    sure: bool
    to_source: Float64[np.ndarray, "2 3"]

    def to_original(self, box: Box, *, size: tuple[int, int]) -> Box:
        """The box on the page as given, whose `size` is (height, width), around a box of `page`."""
        corners = np.array([[x, y, 1] for x in (box.left, box.right) for y in (box.top, box.bottom)], np.float64)
        x, y = np.round(self.to_source @ corners.T, 3)
        height, width = size
        left, right = (int(np.clip(end, 0, width)) for end in (math.floor(x.min()), math.ceil(x.max())))
        top, bottom = (int(np.clip(end, 0, height)) for end in (math.floor(y.min()), math.ceil(y.max())))
        return Box(left, top, right, bottom)


def straighten(page: Page, *, rotation: int | None = None) -> Oriented:
    """The page, ink dark on light, upright and with level lines as far as it shows its orientation.

    `rotation`: a known clockwise rotation in degrees, a multiple of 90.
    """
    rotation = _quarter_turn(page) if rotation is None else rotation
    turned, matrix = _turn(page, rotation or 0)
    small = downscale(turned, _LOOK_PX)
    by_rules = _skew_by_rules(small)
    skew = _skew(_parts_of(small)) if by_rules is None else by_rules
    if skew:
        turned, straight = _rotate(turned, skew)
        matrix = (np.vstack([matrix, [0, 0, 1]]) @ np.vstack([straight, [0, 0, 1]]))[:2]
    return Oriented(turned, rotation or 0, skew, rotation is not None, matrix)


def _skew_by_rules(page: Page) -> float | None:
    """Clockwise rotation in degrees that levels the printed rules of a reduced page; None if it has few."""
    longest = max(page.shape)
    closed = cv2.morphologyEx(page, cv2.MORPH_CLOSE, np.ones((15, 15), np.uint8))
    darkness = cv2.subtract(closed, page)
    level = max(8, 0.35 * float(np.quantile(darkness[::3, ::3], 0.97)))
    mask = (darkness > level).astype(np.uint8)
    found = cv2.HoughLinesP(
        mask, 1, math.radians(0.25), round(0.1 * longest), minLineLength=_MIN_RULE * longest, maxLineGap=longest // 80
    )
    lines = np.empty((0, 4)) if found is None else found.reshape(-1, 4)
    x0, y0, x1, y1 = np.concatenate([lines, _frame_sides(mask)]).T.astype(np.float64)
    length = np.hypot(x1 - x0, y1 - y0)
    if not length.size:
        return None
    angle = (np.degrees(np.arctan2(y1 - y0, x1 - x0)) + 45) % 90 - 45
    bins = np.bincount(np.rint((angle + 45) * 4).astype(int), length, 361)
    smooth = np.convolve(np.concatenate([bins[-4:], bins, bins[:4]]), [1, 1, 1, 1, 1], "same")[4:-4]
    best = smooth.argmax() / 4 - 45
    near = np.abs(angle - best) <= 0.75
    if length[near].sum() < max(_MIN_RULES * longest, 0.5 * length.sum()) or abs(best) > _MAX_DEGREES:
        return None
    skew = -float(np.average(angle[near], weights=length[near]))
    return round(skew, 2) if abs(skew) >= _MIN_DEGREES else 0.0


def _frame_sides(mask: Page) -> Float64[np.ndarray, "n 4"]:
    """The sides (x0, y0, x1, y1) of the printed boxes, which are too short to show among all lines of the page."""
    smallest = max(mask.shape) * _MIN_FRAME
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    sides = []
    for contour in contours:
        if len(contour) < 4 * smallest:
            continue
        rectangle = cv2.minAreaRect(contour)
        width, height = rectangle[1]
        if min(width, height) >= smallest and cv2.contourArea(contour) >= _FILLED * width * height:
            corners = cv2.boxPoints(rectangle)
            sides.append(np.hstack([corners, np.roll(corners, -1, axis=0)]))
    return np.concatenate(sides).astype(np.float64) if sides else np.empty((0, 4))


def _turn(page: Page, rotation: int) -> tuple[Turned, Float64[np.ndarray, "2 3"]]:
    """The page rotated clockwise by quarter turns, and the inverse map."""
    height, width = page.shape
    inverse = {
        0: [[1, 0, 0], [0, 1, 0]],
        90: [[0, 1, 0], [-1, 0, height]],
        180: [[-1, 0, width], [0, -1, height]],
        270: [[0, -1, width], [1, 0, 0]],
    }[rotation]
    return np.ascontiguousarray(np.rot90(page, -rotation // 90)), np.array(inverse, np.float64)


def _rotate(page: Page, degrees: float) -> tuple[Turned, Float64[np.ndarray, "2 3"]]:
    """The page rotated clockwise by a small angle on a canvas that contains all of it, and the inverse map."""
    height, width = page.shape
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    wide = math.ceil(width * cosine + height * abs(sine))
    high = math.ceil(height * cosine + width * abs(sine))
    matrix = np.array([[cosine, -sine, 0], [sine, cosine, 0]], np.float64)
    matrix[:, 2] = np.array([wide, high]) / 2 - matrix[:, :2] @ (np.array([width, height]) / 2)
    paper = float(np.median(page[::8, ::8]))
    turned = cv2.warpAffine(page, matrix, (wide, high), flags=cv2.INTER_CUBIC, borderValue=paper)
    return np.asarray(turned), cast("np.ndarray", cv2.invertAffineTransform(matrix))


def _parts_of(page: Page) -> np.ndarray:
    """The boxes (left, top, right, bottom) of connected ink on a reduced page that may be characters."""
    side = max(15, max(page.shape) // 40) | 1
    darkness = cv2.subtract(cv2.morphologyEx(page, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8)), page)
    level, ink = cv2.threshold(darkness, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    if level < 16:  # grey levels: no ink, only the paper's grain
        return np.empty((0, 4), np.int64)
    _, _, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    sides = stats[1:, 2:4]
    kept = stats[1:][(sides.max(axis=1) >= 4) & (sides.max(axis=1) <= max(page.shape) / 12) & (stats[1:, 4] >= 6)]
    boxes = kept[:, :4].astype(np.int64)
    boxes[:, 2:] += boxes[:, :2]
    return np.asarray(boxes)


def _skew(boxes: np.ndarray) -> float:
    """Clockwise rotation in degrees that levels the lines; 0 without clear evidence."""
    if len(boxes) < _MIN_PARTS:
        return 0.0
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3].astype(np.float64)  # bottoms: letters share a baseline
    coarse = np.arange(-_MAX_DEGREES, _MAX_DEGREES + _COARSE, _COARSE)
    sharpness = np.array([_sharpness(x, y, angle) for angle in coarse])
    best = float(coarse[sharpness.argmax()])
    if sharpness.max() < _MIN_PEAK * np.median(sharpness) or abs(best) >= _MAX_DEGREES:
        return 0.0
    fine = np.arange(best - _COARSE, best + _COARSE + _FINE / 2, _FINE)
    finer = np.array([_sharpness(x, y, angle) for angle in fine])
    skew = float(np.mean(fine[finer >= 0.98 * finer.max()]))
    return round(skew, 2) if abs(skew) >= _MIN_DEGREES else 0.0


def _sharpness(x: np.ndarray, y: np.ndarray, degrees: float) -> float:
    """Sum of squares of the profile of baselines when the page is rotated by this angle."""
    rows = y + x * math.tan(math.radians(degrees))
    rows = rows - rows.min()
    # Each point counts in two bins, by its distance, so that the bins' offset does not matter.
    position = rows / 3
    low = position.astype(np.int64)
    weight = position - low
    bins = int(low.max()) + 2
    profile = np.bincount(low, 1 - weight, bins) + np.bincount(low + 1, weight, bins)
    return float((profile**2).sum())


def _quarter_turn(page: Page) -> int | None:
    """Clockwise rotation in degrees, a multiple of 90, that puts the page upright; None without clear evidence."""
    small = downscale(page, _LOOK_PX)
    boxes = _parts_of(small)
    if len(boxes) < _MIN_PARTS:
        return None
    level_fraction = _level_fraction(boxes)
    if 1 - _MAJORITY < level_fraction < _MAJORITY:
        return None
    quarter = 90 if level_fraction <= 1 - _MAJORITY else 0
    level, _ = _turn(small, quarter)
    skew = _skew(_parts_of(level))
    upright = _is_upright(_parts_of(_rotate(level, skew)[0] if skew else level))
    return None if upright is None else quarter + (0 if upright else 180)


def _level_fraction(boxes: np.ndarray) -> float:
    """The fraction of parts whose nearest neighbour is beside them, not above or below."""
    middles = ((boxes[:, :2] + boxes[:, 2:]) / 2).astype(np.float32)[:_MAX_PARTS]
    level = []
    for start in range(0, len(middles), 500):
        offsets = middles[None] - middles[start : start + 500, None]
        distances = (offsets**2).sum(axis=2)
        distances[np.arange(len(distances)), np.arange(start, start + len(distances))] = np.inf
        nearest = offsets[np.arange(len(distances)), distances.argmin(axis=1)]
        level.append(np.abs(nearest[:, 0]) > np.abs(nearest[:, 1]))
    return float(np.concatenate(level).mean())


def _is_upright(boxes: np.ndarray) -> bool | None:
    """Whether level lines have their tops at smaller y; None without clear evidence."""
    tops, bottoms = boxes[:, 1], boxes[:, 3]
    votes = []
    for line in _lines(boxes, (tops + bottoms) / 2):
        limit = _STANDS_OUT * float(np.median(bottoms[line] - tops[line]))
        above = np.count_nonzero(np.abs(tops[line] - np.median(tops[line])) > limit)
        below = np.count_nonzero(np.abs(bottoms[line] - np.median(bottoms[line])) > limit)
        votes.append((above, below))
    if len(votes) < _MIN_LINES:
        return None
    above, below = np.array(votes).T
    balance = float((above.sum() - below.sum()) / max(above.sum() + below.sum(), 1))
    agreement = float(np.mean(np.sign(above - below) == np.sign(balance)))
    return balance > 0 if abs(balance) >= _MIN_BALANCE and agreement >= _MAJORITY else None


def _lines(boxes: np.ndarray, middles: np.ndarray) -> list[np.ndarray]:
    """Indices of the characters of each line: those of usual height, grouped by the gaps between their middles."""
    height = boxes[:, 3] - boxes[:, 1]
    usual = float(np.median(height))
    characters = np.flatnonzero((height > 0.5 * usual) & (height < 2.2 * usual))
    order = characters[np.argsort(middles[characters])]
    breaks = np.flatnonzero(np.diff(middles[order]) > 0.25 * usual) + 1
    lines = np.split(order, breaks)
    return [line for line in lines if len(line) >= _MIN_LINE and np.ptp(middles[line]) < 1.2 * usual]
