"""The printed rules of a whole page: tables, form fields, squared and ruled paper; and the cell around a box.

`images.rules` does this for a picture of one digit, where a rule spans the picture; on a page rules end anywhere.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int32, UInt8

from handigit.records import Box

Mask = UInt8[np.ndarray, "height width"]
Darkness = Float32[np.ndarray, "height width"]
"""Against the paper around: 0 paper, 1 black."""

_LONG: Final = 1 / 8
"""Fraction of the page's longer side from which a straight thin run is a rule by itself."""
_SHORT: Final = 1 / 100
"""The same for runs with both ends at rules across them: the sides of small boxes, the dividers of a field."""
_MIN_PX: Final = 12
_ROUNDS: Final = 3
"""Passes that drop runs without rules at both ends; each may free others."""
_MAX_THICKNESS: Final = 1 / 150
"""Maximum thickness of a frame as a fraction of the page's longer side."""
_SOLID: Final = 0.85
"""Minimum inked fraction of a rule over half the maximum thickness; small print has less."""
_MIN_ASPECT: Final = 5
"""Minimum length of a rule in thicknesses; the sides of a 0 are shorter."""
_GAP: Final = 1 / 25
"""Maximum gap in a broken rule, as a fraction of the page's longer side."""
_DOTS: Final = 1 / 200
"""Maximum distance of the dots of a dotted rule."""
_MAX_SLOPE: Final = 0.05
_MAX_DIVIDER: Final = 1.3
"""Maximum thickness of a divider relative to the rules it connects; a pixel more is allowed."""
_BENDS_PX: Final = 200
"""Longer rules may be curved, on paper that is not flat."""
_MAX_CROSSED: Final = 0.25
"""Maximum fraction of a rule with ink beside it on its emptier side; on the other side twice as much."""
_COVERED: Final = 0.5
"""Minimum fraction of a box's side along which a rule must run to be a wall of its cell."""
_WRITTEN: Final = 2.0
"""Ink on a rule or beside it is handwriting if this many times as dark as the rule."""
_BESIDE: Final = 1 / 250
"""Distance from a rule up to which ink is compared with it, as a fraction of the page's longer side."""


@dataclass(frozen=True, slots=True, eq=False)
class PageRules:
    """Masks (0 or 1) of the level and of the upright rules of a page.

    The walls are the same rules with their gaps closed, because print is pale and broken. `written`: what is on a rule
    or beside one and much darker than it.
    """

    level: Mask
    upright: Mask
    level_walls: Mask
    upright_walls: Mask
    written: Mask

    @classmethod
    def of(cls, level: Mask, upright: Mask, darkness: Darkness) -> "PageRules":
        """The rules with these pixels on a page."""
        gap = round(max(level.shape) * _GAP)
        return cls(
            level,
            upright,
            np.asarray(cv2.morphologyEx(level, cv2.MORPH_CLOSE, np.ones((1, gap), np.uint8))),
            np.asarray(cv2.morphologyEx(upright, cv2.MORPH_CLOSE, np.ones((gap, 1), np.uint8))),
            _find_written(level, upright, darkness),
        )

    @property
    def both(self) -> Mask:
        """Level and upright rules."""
        return np.asarray(cv2.bitwise_or(self.level, self.upright))

    def cell(self, box: Box) -> Box | None:
        """The space between the rules on the four sides of a box; None if more than one of them is missing.

        If one is missing, the opposite rule is mirrored about the box.
        """
        beside = self.upright_walls[box.top : box.bottom].sum(axis=0) >= _COVERED * box.height
        over = self.level_walls[:, box.left : box.right].sum(axis=1) >= _COVERED * box.width
        walls = *_free_interval(beside, box.left, box.right), *_free_interval(over, box.top, box.bottom)
        if walls.count(None) > 1:
            return None
        height, width = self.level.shape
        left, right = _mirror(walls[0], walls[1], box.left, box.right)
        top, bottom = _mirror(walls[2], walls[3], box.top, box.bottom)
        return Box(max(left, 0), max(top, 0), min(right, width), min(bottom, height))


def _free_interval(walls: np.ndarray, start: int, end: int) -> tuple[int | None, int | None]:
    """Start and end of the free interval around a box, None without a wall there.

    A wall may cut off a third of the box, because strokes run into rules; one in its middle is a divider inside it.
    """
    third = (end - start) // 3
    before, after = np.flatnonzero(walls[: start + third + 1]), np.flatnonzero(walls[end - third :])
    return (int(before[-1]) + 1 if before.size else None), (int(after[0]) + end - third if after.size else None)


def _mirror(low: int | None, high: int | None, start: int, end: int) -> tuple[int, int]:
    """Both walls; a missing one is as far from the middle of the box as the other, and outside it."""
    if low is None:
        assert high is not None
        return min(start + end - high, start), high
    return low, max(start + end - low, end) if high is None else high


def find_page_rules(faint: Mask, darkness: Darkness) -> PageRules:
    """The rules of a page, searched in the mask of what is darker than its paper: thin ones are paler than ink.

    A straight run is a rule if it is long, or if both its ends are at rules across it. So the sides of a small box
    confirm each other, while the strokes of digits and letters end freely.
    """
    across, down = _Runs.of(faint), _Runs.of(np.ascontiguousarray(faint.T))
    for _ in range(_ROUNDS):
        across, down = across.confirmed_by(down), down.confirmed_by(across)
    return PageRules.of(across.mask(), np.ascontiguousarray(down.mask().T), darkness)


def _find_written(level: Mask, upright: Mask, darkness: Darkness) -> Mask:
    """What is much darker than every rule around, except where two rules cross, which adds their darkness."""
    printed = np.maximum(_rule_darkness(level, darkness), _rule_darkness(upright, darkness))
    reach = max(5, round(max(level.shape) * _BESIDE))
    around = cv2.dilate(printed, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    written = ((around > 0) & (darkness > _WRITTEN * around)).view(np.uint8)
    return np.asarray(cv2.bitwise_and(written, 1 - cv2.bitwise_and(level, upright)))


def _rule_darkness(rules: Mask, darkness: Darkness) -> Darkness:
    """The darkness of each rule at all of its pixels, 0 elsewhere: the third quartile, because its rims are pale."""
    _, labels = cv2.connectedComponents(rules, connectivity=8)
    inside = rules > 0
    label, value = labels[inside], darkness[inside]
    order = np.lexsort((value, label))
    starts = np.searchsorted(label[order], np.arange(1, labels.max() + 2))
    quartiles = value[order][(starts[:-1] + 3 * starts[1:]) // 4] if len(value) else value
    usual = np.zeros_like(darkness)
    usual[inside] = quartiles[label - 1]
    return usual


@dataclass(frozen=True, slots=True, eq=False)
class _Runs:
    """The straight thin level runs in a (perhaps transposed) picture: numbered pixels, boxes and thicknesses."""

    labels: Int32[np.ndarray, "height width"]
    boxes: dict[int, Box]
    thickness: dict[int, float]

    @classmethod
    def of(cls, mask: Mask) -> "_Runs":
        """Every run that may be a rule or part of a frame: straight, with paper beside it."""
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
        boxes, straight_pixels = {}, np.zeros_like(mask)
        for number in (np.flatnonzero((straight & solid & thin)[1:]) + 1).tolist():
            left, top, width, height, _ = stats[number].tolist()
            box = Box(left, top, left + width, top + height)
            if (_crossings(mask, labels, box, number) * weight).max() < _MAX_CROSSED:
                part = np.s_[box.top : box.bottom, box.left : box.right]
                straight_pixels[part][_straight_part(labels[part] == number)] = 1
                boxes[number] = box
        np.multiply(labels, straight_pixels, out=labels)  # in place: labels of a large page take 16 MB
        return cls(labels, boxes, {number: float(thickness[number]) for number in boxes})

    def mask(self) -> Mask:
        """The pixels of all runs."""
        kept = np.zeros(int(self.labels.max()) + 1, np.uint8)
        kept[list(self.boxes)] = 1
        return np.asarray(kept[self.labels])

    def confirmed_by(self, across: "_Runs") -> "_Runs":
        """The long runs, and those with both ends at runs across them (given for the transposed picture).

        A run thicker than the rules it connects is a stroke written from one to the other.
        """
        walls = across.mask().T
        long_px, reach = round(max(walls.shape) * _LONG), max(3, _short_px(walls) // 3)
        long = [across.thickness[n] for n, box in across.boxes.items() if box.width >= long_px]
        thickest = _MAX_DIVIDER * float(np.median(long)) + 1 if long else np.inf
        kept = {
            n: box
            for n, box in self.boxes.items()
            if box.width >= long_px or (self.thickness[n] <= thickest and _ends_at_walls(box, walls, reach))
        }
        return _Runs(self.labels, kept, self.thickness)


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


def _ends_at_walls(run: Box, walls: Mask, reach: int) -> bool:
    """Whether there are walls at both ends of a level run."""
    rows = slice(max(run.top - reach, 0), run.bottom + reach)
    ends = [slice(max(end - reach, 0), end + reach + 1) for end in (run.left, run.right - 1)]
    return all(bool(walls[rows, end].any()) for end in ends)


def _short_px(mask: Mask) -> int:
    return max(_MIN_PX, round(int(max(mask.shape)) * _SHORT))


def _max_thickness_px(mask: Mask) -> int:
    return max(5, round(int(max(mask.shape)) * _MAX_THICKNESS))


def _level_runs(mask: Mask, *, min_length_px: int) -> Mask:
    """The thin level runs of at least this length, also slightly tilted or dotted; pieces of one rule are joined."""
    dots = max(5, round(max(mask.shape) * _DOTS))
    joined = cv2.dilate(mask, np.ones((3, 1), np.uint8))  # a tilted rule climbs in steps, which are joined first
    joined = cv2.morphologyEx(joined, cv2.MORPH_CLOSE, np.ones((1, dots), np.uint8))
    runs = cv2.morphologyEx(joined, cv2.MORPH_OPEN, np.ones((1, min_length_px), np.uint8))
    bulky = cv2.morphologyEx(runs, cv2.MORPH_OPEN, np.ones((_max_thickness_px(mask) + 3, 1), np.uint8))
    runs = cv2.bitwise_and(runs, 1 - bulky)
    return np.asarray(cv2.morphologyEx(runs, cv2.MORPH_CLOSE, np.ones((1, 2 * min_length_px), np.uint8)))


def _crossings(mask: Mask, labels: Int32[np.ndarray, "height width"], box: Box, number: int) -> np.ndarray:
    """The fractions of a run's length with ink beside it: on the emptier side, and on the other."""
    part = labels[box.top : box.bottom, box.left : box.right] == number
    upper = box.top + part.argmax(axis=0)
    lower = box.bottom - 1 - part[::-1].argmax(axis=0)
    columns = np.arange(box.left, box.right)
    above = mask[np.maximum(upper - 2, 0), columns]
    below = mask[np.minimum(lower + 2, len(mask) - 1), columns]
    return np.sort([float(above.mean()), float(below.mean())])
