"""Pages turned upright and straight, each with a gate: where a page does not say how it lies, it is left as it is.

It knows how lines of writing lie on a page, by their pieces' places alone; it reads nothing. Skew is found by the
projection profile (Postl 1986: along its lines a page is now dark, now empty), the quarter turn by which way pieces
have their nearest neighbours, and up from down by what stands out of Latin lines: more above than below.
"""

import math
from dataclasses import dataclass
from typing import Final, cast

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

from handigit.images.background import reduced
from handigit.records import Box

Page = UInt8[np.ndarray, "height width"]
Turned = UInt8[np.ndarray, "high wide"]

_LOOK_PX: Final = 1200
"""Longer side of the copy on which a page's lie is judged."""
_MOST_DEGREES: Final = 10.0
_LEAST_DEGREES: Final = 0.3
"""Less skew than this hurts no reader, and turning blurs."""
_COARSE, _FINE = 0.5, 0.1
_PEAK: Final = 1.2
"""So many times as sharp as when askew must a profile be at the best angle."""
_LEAST_PIECES: Final = 24
"""Fewer pieces of ink do not say how a page lies."""
_NEIGHBOURS: Final = 0.7
"""Share of the pieces that must have their nearest neighbour along one axis for lines to run along it."""
_LEAST_LINE: Final = 8
"""Pieces of a line from which it may say which side is up."""
_LEAST_LINES: Final = 3
_STANDS_OUT: Final = 0.18
"""A piece whose top (or foot) is so many heights off that of its line stands out."""
_OUTSTANDING: Final = 0.2
"""The pieces that stand out above and below must differ by so much of their sum."""
_MOST_LOOKED_AT: Final = 2000


@dataclass(frozen=True, slots=True, eq=False)
class Upright:
    """A page and what was done to it: turned by `turn` degrees clockwise, then by `skew` degrees more.

    `sure`: whether the page says which side is up; where it does not, `turn` is 0. `to_given` maps points (x, y, 1) of
    `page` to the page as given.
    """

    page: Page
    turn: int
    skew: float
    sure: bool
    to_given: Float64[np.ndarray, "2 3"]

    def on_given(self, box: Box, *, size: tuple[int, int]) -> Box:
        """The box around a box of `page` on the page as given, which has this (height, width)."""
        corners = np.array([[x, y, 1] for x in (box.left, box.right) for y in (box.top, box.bottom)], np.float64)
        x, y = np.round(self.to_given @ corners.T, 3)
        height, width = size
        left, right = (int(np.clip(end, 0, width)) for end in (math.floor(x.min()), math.ceil(x.max())))
        top, bottom = (int(np.clip(end, 0, height)) for end in (math.floor(y.min()), math.ceil(y.max())))
        return Box(left, top, right, bottom)


def upright(page: Page) -> Upright:
    """The page, ink dark on light, with its lines level and its top on top, as far as it says how it lies."""
    turn = _quarter_turn(page)
    turned, matrix = _turned(page, turn or 0)
    skew = _skew(_pieces_of(reduced(turned, _LOOK_PX)))
    if skew:
        turned, straight = _rotated(turned, skew)
        matrix = (np.vstack([matrix, [0, 0, 1]]) @ np.vstack([straight, [0, 0, 1]]))[:2]
    return Upright(turned, turn or 0, skew, turn is not None, matrix)


def _turned(page: Page, turn: int) -> tuple[Turned, Float64[np.ndarray, "2 3"]]:
    """The page turned clockwise by whole quarters, and the way back."""
    height, width = page.shape
    back = {
        0: [[1, 0, 0], [0, 1, 0]],
        90: [[0, 1, 0], [-1, 0, height]],
        180: [[-1, 0, width], [0, -1, height]],
        270: [[0, -1, width], [1, 0, 0]],
    }[turn]
    return np.ascontiguousarray(np.rot90(page, -turn // 90)), np.array(back, np.float64)


def _rotated(page: Page, degrees: float) -> tuple[Turned, Float64[np.ndarray, "2 3"]]:
    """The page turned clockwise by a small angle on a sheet that holds all of it, and the way back."""
    height, width = page.shape
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    wide = math.ceil(width * cosine + height * abs(sine))
    high = math.ceil(height * cosine + width * abs(sine))
    there = np.array([[cosine, -sine, 0], [sine, cosine, 0]], np.float64)
    there[:, 2] = np.array([wide, high]) / 2 - there[:, :2] @ (np.array([width, height]) / 2)
    paper = float(np.median(page[::8, ::8]))
    turned = cv2.warpAffine(page, there, (wide, high), flags=cv2.INTER_CUBIC, borderValue=paper)
    return np.asarray(turned), cast("np.ndarray", cv2.invertAffineTransform(there))


def _pieces_of(look: Page) -> np.ndarray:
    """The boxes (left, top, right, bottom) of connected ink on a reduced page that may be characters."""
    side = max(15, max(look.shape) // 40) | 1
    lost = cv2.subtract(cv2.morphologyEx(look, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8)), look)
    level, ink = cv2.threshold(lost, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    if level < 16:  # grey levels: no ink, only the paper's grain
        return np.empty((0, 4), np.int64)
    _, _, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    sides = stats[1:, 2:4]
    kept = stats[1:][(sides.max(axis=1) >= 4) & (sides.max(axis=1) <= max(look.shape) / 12) & (stats[1:, 4] >= 6)]
    boxes = kept[:, :4].astype(np.int64)
    boxes[:, 2:] += boxes[:, :2]
    return np.asarray(boxes)


def _skew(boxes: np.ndarray) -> float:
    """Degrees by which to turn the page clockwise so that its lines are level; 0 where it does not say."""
    if len(boxes) < _LEAST_PIECES:
        return 0.0
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3].astype(np.float64)  # feet: letters stand on their line
    coarse = np.arange(-_MOST_DEGREES, _MOST_DEGREES + _COARSE, _COARSE)
    sharpness = np.array([_sharpness(x, y, angle) for angle in coarse])
    best = float(coarse[sharpness.argmax()])
    if sharpness.max() < _PEAK * np.median(sharpness) or abs(best) >= _MOST_DEGREES:
        return 0.0
    fine = np.arange(best - _COARSE, best + _COARSE + _FINE / 2, _FINE)
    finer = np.array([_sharpness(x, y, angle) for angle in fine])
    skew = float(np.mean(fine[finer >= 0.98 * finer.max()]))
    return round(skew, 2) if abs(skew) >= _LEAST_DEGREES else 0.0


def _sharpness(x: np.ndarray, y: np.ndarray, degrees: float) -> float:
    """How unevenly the feet of pieces fall into rows when the page is turned by so much."""
    rows = y + x * math.tan(math.radians(degrees))
    rows = rows - rows.min()
    # Each foot counts in two bins, by its nearness, so that where a bin begins does not matter.
    place = rows / 3
    low = place.astype(np.int64)
    share = place - low
    profile = np.bincount(low, 1 - share, int(low.max()) + 2) + np.bincount(low + 1, share, int(low.max()) + 2)
    return float((profile**2).sum())


def _quarter_turn(page: Page) -> int | None:
    """Degrees by which to turn the page clockwise to have its top on top; None where it does not say."""
    look = reduced(page, _LOOK_PX)
    boxes = _pieces_of(look)
    if len(boxes) < _LEAST_PIECES:
        return None
    along = _share_level(boxes)
    if 1 - _NEIGHBOURS < along < _NEIGHBOURS:
        return None
    quarter = 90 if along <= 1 - _NEIGHBOURS else 0
    level, _ = _turned(look, quarter)
    skew = _skew(_pieces_of(level))
    up = _side_up(_pieces_of(_rotated(level, skew)[0] if skew else level))
    return None if up is None else quarter + (0 if up else 180)


def _share_level(boxes: np.ndarray) -> float:
    """The share of pieces whose nearest neighbour is beside them, not above or below."""
    middles = ((boxes[:, :2] + boxes[:, 2:]) / 2).astype(np.float32)[:_MOST_LOOKED_AT]
    level = []
    for start in range(0, len(middles), 500):
        apart = middles[None] - middles[start : start + 500, None]
        far = (apart**2).sum(axis=2)
        far[np.arange(len(far)), np.arange(start, start + len(far))] = np.inf
        nearest = apart[np.arange(len(far)), far.argmin(axis=1)]
        level.append(np.abs(nearest[:, 0]) > np.abs(nearest[:, 1]))
    return float(np.concatenate(level).mean())


def _side_up(boxes: np.ndarray) -> bool | None:
    """Whether level lines stand with their top at smaller y; None where they do not say."""
    tops, feet = boxes[:, 1], boxes[:, 3]
    votes = []
    for line in _lines(boxes, (tops + feet) / 2):
        least = _STANDS_OUT * float(np.median(feet[line] - tops[line]))
        above = np.count_nonzero(np.abs(tops[line] - np.median(tops[line])) > least)
        below = np.count_nonzero(np.abs(feet[line] - np.median(feet[line])) > least)
        votes.append((above, below))
    if len(votes) < _LEAST_LINES:
        return None
    above, below = np.array(votes).T
    balance = float((above.sum() - below.sum()) / max(above.sum() + below.sum(), 1))
    agree = float(np.mean(np.sign(above - below) == np.sign(balance)))
    return balance > 0 if abs(balance) >= _OUTSTANDING and agree >= _NEIGHBOURS else None


def _lines(boxes: np.ndarray, level: np.ndarray) -> list[np.ndarray]:
    """Indices of the characters of each line: those of usual height, in groups whose levels follow one another."""
    height = boxes[:, 3] - boxes[:, 1]
    usual = float(np.median(height))
    characters = np.flatnonzero((height > 0.5 * usual) & (height < 2.2 * usual))
    order = characters[np.argsort(level[characters])]
    breaks = np.flatnonzero(np.diff(level[order]) > 0.25 * usual) + 1
    lines = np.split(order, breaks)
    return [line for line in lines if len(line) >= _LEAST_LINE and np.ptp(level[line]) < 1.2 * usual]
