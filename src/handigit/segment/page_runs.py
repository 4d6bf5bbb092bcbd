"""Straight thin runs of ink on a page: what its rules and frames consist of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Integer, UInt8

from handigit.records import Box

Mask = UInt8[np.ndarray, "height width"]
Darkness = UInt8[np.ndarray, "height width"]
"""Against the paper around: 0 paper, 255 black."""
Labels = Integer[np.ndarray, "height width"]

_LONG: Final = 1 / 8
"""Fraction of the page's longer side from which a straight thin run is a rule by itself."""
_SHORT: Final = 1 / 100
"""The same for runs with both ends at rules across them: the sides of small boxes, the dividers of a field."""
_MIN_PX: Final = 12
_MAX_THICKNESS: Final = 1 / 150
"""Maximum thickness of a frame as a fraction of the page's longer side."""
_SOLID: Final = 0.85
"""Minimum inked fraction of a rule over half the maximum thickness; small print has less."""
_MIN_ASPECT: Final = 5
"""Minimum length of a rule in thicknesses; the sides of a 0 are shorter."""
_DOTS: Final = 1 / 200
"""Maximum distance of the dots of a dotted rule."""
_MIN_DOTS: Final = 4
"""Minimum number of gaps between the dots of a short rule."""
_MAX_RUN_GAP: Final = 0.06
_MIN_GAP_PX: Final = 3
"""Maximum gap in a short rule that is not dotted, as a fraction of its length and in pixels, whichever is longer."""
_MAX_SLOPE: Final = 0.05
_MAX_DIVIDER: Final = 1.3
"""Maximum thickness of a divider relative to the rules it connects; a pixel more is allowed."""
_BENDS_PX: Final = 200
"""Longer rules may be curved, on paper that is not flat."""
_MAX_CROSSED: Final = 0.25
"""Maximum fraction of a rule with ink beside it on its emptier side; on the other side twice as much."""
_UNCROSSED: Final = 0.75
"""Fraction of a rule's length that must be without strokes across it."""
_DRAWN: Final = 0.9
"""Minimum inked fraction of a long rule's extension beyond its run."""
_WHOLE: Final = 0.95
"""Inked fraction of a long run from which it is a rule, whatever it crosses."""
_MIN_CROSSED: Final = 2
"""Minimum number of walls that a broken run crosses, for these to show what it is."""
_BESIDE_PX: Final = 6
"""How far on either side of a wall a run is drawn, if it crosses the wall."""
_ROWS: Final = 64
"""Rows that are looked up at a time."""
WRITTEN: Final = 1.5
"""Ink on a rule, beside it or between two is handwriting if this many times as dark as the rule."""


def transposed(picture: UInt8[np.ndarray, "height width"]) -> UInt8[np.ndarray, "width height"]:
    """The picture with rows and columns exchanged, contiguous in memory."""
    return np.ascontiguousarray(picture.T)


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """The straight thin level runs in a (perhaps transposed) picture.

    `mask`: its ink; then the runs' numbered pixels, boxes, thicknesses and darkness.
    """

    mask: Mask
    labels: Labels
    boxes: dict[int, Box]
    thickness: dict[int, float]
    darkness: UInt8[np.ndarray, " labels"]

    @classmethod
    def of(cls, mask: Mask, darkness: Darkness) -> "Runs":
        """Every run that may be a rule or part of a frame: straight, with paper beside it.

        Strokes that cross two rules join their runs, and dense writing hides the end of one. So long rules are searched
        once more without what is much darker, and extended as far as they are drawn.
        """
        runs = cls._in(mask, darkness)
        long = list(runs.long)
        if not long:
            return runs
        usual = float(np.median(runs.darkness[long]))
        runs = runs.with_long(cls._in(mask & (darkness <= WRITTEN * usual).view(np.uint8), darkness))
        for number, box in runs.long.items():
            _extend(runs.labels, number, box, mask)
        return runs

    @classmethod
    def _in(cls, mask: Mask, darkness: Darkness) -> "Runs":
        short_px = _short_px(mask)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(
            _level_runs(mask, min_length_px=short_px), connectivity=8
        )
        thickness = stats[:, 4] / stats[:, 2]  # includes a pixel on either side, added to make runs touch
        inked = np.bincount(labels[mask > 0], minlength=len(stats)) / np.maximum(stats[:, 4] - 2 * stats[:, 2], 1)
        straight = (stats[:, 2] >= short_px) & (stats[:, 3] <= thickness + _MAX_SLOPE * stats[:, 2] + 1)
        solid = (thickness <= _max_thickness_px(mask) / 2 + 2) | (inked >= _SOLID)
        thin = stats[:, 2] >= _MIN_ASPECT * thickness
        weight = np.array([1.0, 0.5])
        boxes: dict[int, Box] = {}
        long_px = _long_px(mask)
        straight_pixels = np.zeros_like(mask)
        renumbered = np.zeros(len(stats), np.int32)
        for number in (np.flatnonzero((straight & solid & thin)[1:]) + 1).tolist():
            left, top, width, height, _ = stats[number].tolist()
            box = Box(left, top, left + width, top + height)
            is_drawn = width >= long_px or _is_drawn(mask, labels, box, number)
            if is_drawn and (_crossings(mask, labels, box, number) * weight).max() < _MAX_CROSSED:
                part = np.s_[box.top : box.bottom, box.left : box.right]
                straight_pixels[part][_straight_part(labels[part] == number)] = 1
                renumbered[number] = len(boxes) + 1
                boxes[len(boxes) + 1] = box
        thicknesses = {int(renumbered[n]): float(thickness[n]) for n in np.flatnonzero(renumbered)}
        labels = _look_up(renumbered.astype(np.min_scalar_type(len(boxes))), labels)  # few bytes: a page has millions
        labels *= straight_pixels
        return cls(mask, labels, boxes, thicknesses, _darkness_of(labels, darkness, boxes))

    @property
    def long(self) -> dict[int, Box]:
        """The runs that are rules by their length."""
        long_px = _long_px(self.labels)
        return {number: box for number, box in self.boxes.items() if box.width >= long_px}

    def with_long(self, others: "Runs") -> "Runs":
        """These runs and the long ones of others in the same picture."""
        numbers = {number: len(self.darkness) + n for n, number in enumerate(others.long)}
        renumbered = np.zeros(len(others.darkness), np.min_scalar_type(len(self.darkness) + len(numbers)))
        renumbered[list(numbers)] = list(numbers.values())
        added = _look_up(renumbered, others.labels)
        labels = self.labels.astype(np.promote_types(self.labels.dtype, added.dtype), copy=False)
        np.copyto(labels, added, where=added > 0)
        return Runs(
            self.mask,
            labels,
            self.boxes | {numbers[n]: others.boxes[n] for n in numbers},
            self.thickness | {numbers[n]: others.thickness[n] for n in numbers},
            np.concatenate([self.darkness, others.darkness[list(numbers)]]),
        )

    def printed(self) -> Darkness:
        """The darkness of each run at its pixels, at least 1, and 0 elsewhere."""
        kept = np.zeros(len(self.darkness), np.uint8)
        numbers = list(self.boxes)
        kept[numbers] = np.maximum(self.darkness[numbers], 1)
        return _look_up(kept, self.labels)

    def confirmed_by(self, across: "Runs") -> "Runs":
        """The long runs, and those with both ends at runs across them (given for the transposed picture).

        A long run that ends before or after each run across it is a column of digits. A short one thicker than the
        longest rules, or much darker than those it connects, is a stroke between two.
        """
        walls, long = transposed(across.printed()), self.long
        reach = max(3, _short_px(walls) // 3)
        by_length = sorted(across.boxes, key=lambda n: -across.boxes[n].width)
        usual = [across.thickness[n] for n in across.long or by_length[: 1 + len(by_length) // 4]]
        thickest = _MAX_DIVIDER * float(np.median(usual)) + 1 if usual else np.inf
        kept = {
            n: box
            for n, box in self.boxes.items()
            if (n in long and self._is_through(box, walls))
            or (
                n not in long
                and self.thickness[n] <= thickest
                and WRITTEN * _darkness_at_ends(box, walls, reach) >= self.darkness[n]
            )
        }
        return Runs(self.mask, self.labels, kept, self.thickness, self.darkness)

    def _is_through(self, box: Box, walls: Darkness) -> bool:
        """Whether a long run is drawn on both sides of a wall that it crosses, if it crosses several."""
        part = np.s_[box.top : box.bottom, box.left : box.right]
        inked = np.asarray(((self.labels[part] > 0) & (self.mask[part] > 0)).any(axis=0))
        if inked.mean() >= _WHOLE:
            return True
        edges = np.flatnonzero(np.diff(walls[part].any(axis=0).astype(np.int8), prepend=0, append=0))
        sides = [
            min(inked[start - _BESIDE_PX : start].mean(), inked[end : end + _BESIDE_PX].mean())
            for start, end in edges.reshape(-1, 2).tolist()
            if start >= 2 * _BESIDE_PX and end <= len(inked) - 2 * _BESIDE_PX
        ]
        return len(sides) < _MIN_CROSSED or float(max(sides)) >= 0.5


def _look_up(table: np.ndarray, labels: Labels) -> np.ndarray:
    """`table[labels]`, a few rows at a time: NumPy takes another eight bytes per label."""
    found = np.empty(labels.shape, table.dtype)
    for top in range(0, len(labels), _ROWS):
        found[top : top + _ROWS] = table[labels[top : top + _ROWS]]
    return found


def _darkness_of(labels: Labels, darkness: Darkness, boxes: Mapping[int, Box]) -> UInt8[np.ndarray, " runs"]:
    """The darkness of each run, counted from 1: of its middle, as rims are pale, where no stroke crosses it.

    Print is patchy, and a dotted rule has paper in every other column, so it is not the median of the columns.
    """
    result = np.zeros(len(boxes) + 1, np.uint8)
    for number, box in boxes.items():
        part = np.s_[box.top : box.bottom, box.left : box.right]
        columns = np.where(labels[part] == number, darkness[part], 0).max(axis=0)
        result[number] = int(np.quantile(columns, _UNCROSSED))
    return result


def _extend(labels: Labels, number: int, run: Box, mask: Mask) -> None:
    """Give the run's number to the pixels beyond its ends, on its line, as far as almost all of them are inked."""
    height, width = mask.shape
    for start, stop, step in ((run.left, -1, -1), (run.right - 1, width, 1)):
        left = run.left if step < 0 else max(run.right - 2 * _BENDS_PX, run.left)
        end = slice(left, left + 2 * _BENDS_PX)
        rows, columns = np.nonzero(labels[run.top : run.bottom, end] == number)
        beyond = np.arange(start + step, stop, step)
        if not len(beyond) or len(np.unique(columns)) < _BENDS_PX // 4:
            continue
        line = np.polynomial.Polynomial.fit(columns + left, rows + run.top, 1)
        y = np.clip(np.rint(line(beyond)).astype(int), 1, height - 2)
        inked = mask[y - 1, beyond] | mask[y, beyond] | mask[y + 1, beyond]
        drawn = inked.cumsum() >= _DRAWN * np.arange(1, len(beyond) + 1)
        count = len(drawn) - int(drawn[::-1].argmax()) if drawn.any() else 0
        for offset in (-1, 0, 1):
            labels[y[:count] + offset, beyond[:count]] = number


def _straight_part(run: Bool[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """The pixels of a run along its fitted centre line: strokes that touch a rule were joined to it, and bend away."""
    columns = np.arange(run.shape[1])
    upper, lower = run.argmax(axis=0), run.shape[0] - 1 - run[::-1].argmax(axis=0)
    usual = float(np.median(lower - upper)) + 1
    middle, plain = (upper + lower) / 2, lower - upper <= usual
    if plain.sum() < 8:
        return run
    degree = 3 if run.shape[1] > _BENDS_PX else 1
    path = np.polynomial.Polynomial.fit(columns[plain], middle[plain], degree)(columns)
    near = np.abs(middle - path) <= 2
    if near.sum() >= 8:
        path = np.polynomial.Polynomial.fit(columns[near], middle[near], degree)(columns)
    return np.asarray(run & (np.abs(np.arange(run.shape[0])[:, None] - path) <= usual / 2 + 1))


def _darkness_at_ends(run: Box, walls: Darkness, reach: int) -> float:
    """The darkness of the walls at the ends of a level run: of the paler end, 0 if there is none at one of them."""
    rows = slice(max(run.top - reach, 0), run.bottom + reach)
    ends = [slice(max(end - reach, 0), end + reach + 1) for end in (run.left, run.right - 1)]
    return float(min(walls[rows, end].max() for end in ends))


def _short_px(mask: Mask) -> int:
    return max(_MIN_PX, round(int(max(mask.shape)) * _SHORT))


def _long_px(page: np.ndarray) -> int:
    return round(int(max(page.shape)) * _LONG)


def _max_thickness_px(mask: Mask) -> int:
    return max(5, round(int(max(mask.shape)) * _MAX_THICKNESS))


def _dots_px(mask: Mask) -> int:
    return max(5, round(int(max(mask.shape)) * _DOTS))


def _level_runs(mask: Mask, *, min_length_px: int) -> Mask:
    """The thin level runs of at least this length, also slightly tilted or dotted; pieces of one rule are joined."""
    dots = _dots_px(mask)
    joined = cv2.dilate(mask, np.ones((3, 1), np.uint8))  # a tilted rule climbs in steps, which are joined first
    joined = cv2.morphologyEx(joined, cv2.MORPH_CLOSE, np.ones((1, dots), np.uint8))
    runs = cv2.morphologyEx(joined, cv2.MORPH_OPEN, np.ones((1, min_length_px), np.uint8))
    bulky = cv2.morphologyEx(runs, cv2.MORPH_OPEN, np.ones((_max_thickness_px(mask) + 3, 1), np.uint8))
    runs = cv2.bitwise_and(runs, 1 - bulky)
    return np.asarray(cv2.morphologyEx(runs, cv2.MORPH_CLOSE, np.ones((1, 2 * min_length_px), np.uint8)))


def _is_drawn(mask: Mask, labels: Labels, box: Box, number: int) -> bool:
    """Whether ink runs along all of a run, or at least in dots; a stroke was joined to the frame around it."""
    part = np.s_[box.top : box.bottom, box.left : box.right]
    inked = (mask[part].astype(bool) & (labels[part] == number)).any(axis=0)
    changes = np.flatnonzero(np.diff(np.concatenate([[True], inked, [True]]).astype(np.int8)))
    gaps, pieces = changes[1::2] - changes[::2], changes[2::2] - changes[1:-1:2]
    if not gaps.size or gaps.max() <= max(_MIN_GAP_PX, _MAX_RUN_GAP * box.width):
        return True
    return len(gaps) >= _MIN_DOTS and bool(max(gaps.max(), pieces.max()) <= _dots_px(mask))


def _crossings(mask: Mask, labels: Labels, box: Box, number: int) -> np.ndarray:
    """The fractions of a run's length with ink beside it: on the emptier side, and on the other."""
    part = labels[box.top : box.bottom, box.left : box.right] == number
    upper = box.top + part.argmax(axis=0)
    lower = box.bottom - 1 - part[::-1].argmax(axis=0)
    columns = np.arange(box.left, box.right)
    above = mask[np.maximum(upper - 2, 0), columns]
    below = mask[np.minimum(lower + 2, len(mask) - 1), columns]
    return np.sort([float(above.mean()), float(below.mean())])
