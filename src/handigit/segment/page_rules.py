"""The printed lines of a whole page: tables, form fields, squared and ruled paper; and the cell around a place.

It knows straight lines; it does not know what is written between them. `images.lines` does this for a crop that holds
one number, where a line is what runs from edge to edge; on a page lines end anywhere.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int32, UInt8

from handigit.records import Box

Mask = UInt8[np.ndarray, "height width"]

_LONG: Final = 1 / 8
"""Share of the page's longer side from which a straight thin run is a line by itself."""
_SHORT: Final = 1 / 100
"""The same for runs whose both ends lie on lines across them: the sides of small boxes, the dividers of a field."""
_LEAST_PX: Final = 12
_ROUNDS: Final = 3
"""So often runs that nothing holds are taken out, which may leave others with nothing to hold them."""
_THICK: Final = 1 / 150
"""Thickness of the thickest frames."""
_SOLID: Final = 0.85
"""A line more than half as thick as that is inked all over, which small print is not."""
_SLENDER: Final = 5
"""A line is at least so many times as long as thick, which the sides of a 0 are not."""
_GAP: Final = 1 / 25
"""Share of the page's longer side over which a broken line is thought to go on."""
_DOTS: Final = 1 / 200
"""Dots no farther apart are a line."""
_STEEPEST: Final = 0.05
"""A line rises by at most this share of its length."""
_THICKER: Final = 1.3
"""A divider is at most so many times as thick as the lines between which it runs, and a pixel more."""
_BENDS_PX: Final = 200
"""Longer lines may be bent, on paper that does not lie flat."""
_CROSSED: Final = 0.25
"""Share of a line along which strokes leave it on one side at most; on the other side twice as much."""
_COVERED: Final = 0.5
"""Share of a mark's side along which a line must run beside it to be a wall of its cell."""


@dataclass(frozen=True, slots=True, eq=False)
class Ruling:
    """Masks (0 or 1) of the level and of the upright lines of a page.

    The walls are the same lines with their gaps closed: print is pale and broken, and what it divides is not.
    """

    level: Mask
    upright: Mask
    level_walls: Mask
    upright_walls: Mask

    @classmethod
    def of(cls, level: Mask, upright: Mask) -> "Ruling":
        """The ruling of these lines."""
        gap = round(max(level.shape) * _GAP)
        return cls(
            level,
            upright,
            np.asarray(cv2.morphologyEx(level, cv2.MORPH_CLOSE, np.ones((1, gap), np.uint8))),
            np.asarray(cv2.morphologyEx(upright, cv2.MORPH_CLOSE, np.ones((gap, 1), np.uint8))),
        )

    @property
    def lines(self) -> Mask:
        """Both."""
        return np.asarray(cv2.bitwise_or(self.level, self.upright))

    def cell(self, mark: Box) -> Box | None:
        """The space between the lines next to a mark on its four sides; None where more than one of them is missing.

        Where one is, the opposite line is mirrored about the mark.
        """
        beside = self.upright_walls[mark.top : mark.bottom].sum(axis=0) >= _COVERED * mark.height
        over = self.level_walls[:, mark.left : mark.right].sum(axis=1) >= _COVERED * mark.width
        walls = *_next_to(beside, mark.left, mark.right), *_next_to(over, mark.top, mark.bottom)
        if walls.count(None) > 1:
            return None
        height, width = self.level.shape
        left, right = _mirrored(walls[0], walls[1], mark.left, mark.right)
        top, bottom = _mirrored(walls[2], walls[3], mark.top, mark.bottom)
        return Box(max(left, 0), max(top, 0), min(right, width), min(bottom, height))


def _next_to(walls: np.ndarray, start: int, end: int) -> tuple[int | None, int | None]:
    """Where the free interval around a mark begins and ends; None where no wall does.

    A wall may cut off a third of the mark, for strokes run into lines; one in its middle is a divider within it.
    """
    third = (end - start) // 3
    before, after = np.flatnonzero(walls[: start + third + 1]), np.flatnonzero(walls[end - third :])
    return (int(before[-1]) + 1 if before.size else None), (int(after[0]) + end - third if after.size else None)


def _mirrored(low: int | None, high: int | None, start: int, end: int) -> tuple[int, int]:
    """Both walls, a missing one as far from the middle of the mark as the other, and beyond the mark."""
    if low is None:
        assert high is not None
        return min(start + end - high, start), high
    return low, max(start + end - low, end) if high is None else high


def find_ruling(darkness: Float32[np.ndarray, "height width"], *, faint_level: float) -> Ruling:
    """The lines of a page, looked for where it is darker than `faint_level`: thin ones are paler than ink.

    A straight run is a line if it is long, or if both its ends lie on lines across it; so the sides of a small box
    hold one another, while the strokes of digits and letters hang free.
    """
    faint = (darkness > faint_level).view(np.uint8)
    across, down = _Runs.of(faint), _Runs.of(np.ascontiguousarray(faint.T))
    for _ in range(_ROUNDS):
        across, down = across.held_by(down), down.held_by(across)
    return Ruling.of(across.mask(), np.ascontiguousarray(down.mask().T))


@dataclass(frozen=True, slots=True, eq=False)
class _Runs:
    """The straight thin level runs in a (perhaps transposed) picture: numbered pixels, boxes and thicknesses."""

    labels: Int32[np.ndarray, "height width"]
    boxes: dict[int, Box]
    thickness: dict[int, float]

    @classmethod
    def of(cls, mask: Mask) -> "_Runs":
        """All that may be lines or parts of frames: straight, with paper beside them."""
        short_px = _short_px(mask)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(_level_runs(mask, least_px=short_px), connectivity=8)
        thickness = stats[:, 4] / stats[:, 2]  # and a pixel more on either side, by which runs were made to touch
        inked = np.bincount(labels[mask > 0], minlength=len(stats)) / np.maximum(stats[:, 4] - 2 * stats[:, 2], 1)
        straight = (stats[:, 2] >= short_px) & (stats[:, 3] <= thickness + _STEEPEST * stats[:, 2] + 1)
        solid = (thickness <= _thick_px(mask) / 2 + 2) | (inked >= _SOLID)
        slender = stats[:, 2] >= _SLENDER * thickness
        weight = np.array([1.0, 0.5])
        runs = cls(np.zeros_like(labels), {}, {})
        for number in (np.flatnonzero((straight & solid & slender)[1:]) + 1).tolist():
            left, top, width, height, _ = stats[number].tolist()
            box = Box(left, top, left + width, top + height)
            if (_crossings(mask, labels, box, number) * weight).max() < _CROSSED:
                part = np.s_[box.top : box.bottom, box.left : box.right]
                runs.labels[part][_straight_part(labels[part] == number)] = number
                runs.boxes[number], runs.thickness[number] = box, float(thickness[number])
        return runs

    def mask(self) -> Mask:
        """The pixels of all runs."""
        kept = np.zeros(int(self.labels.max()) + 1, np.uint8)
        kept[list(self.boxes)] = 1
        return np.asarray(kept[self.labels])

    def held_by(self, across: "_Runs") -> "_Runs":
        """The long runs, and those with both ends at runs across them, which are of the transposed picture.

        What is thicker than the lines that hold it is a stroke written from one to the other.
        """
        walls = across.mask().T
        long_px, reach = round(max(walls.shape) * _LONG), max(3, _short_px(walls) // 3)
        lines = [across.thickness[n] for n, box in across.boxes.items() if box.width >= long_px]
        thickest = _THICKER * float(np.median(lines)) + 1 if lines else np.inf
        kept = {
            n: box
            for n, box in self.boxes.items()
            if box.width >= long_px or (self.thickness[n] <= thickest and _is_held(box, walls, reach))
        }
        return _Runs(self.labels, kept, self.thickness)


def _straight_part(run: Bool[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """The pixels of a run along its smooth middle: strokes that touch a line were joined to it, and bend away."""
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


def _is_held(run: Box, walls: Mask, reach: int) -> bool:
    """Whether there are walls at both ends of a level run."""
    rows = slice(max(run.top - reach, 0), run.bottom + reach)
    ends = [slice(max(end - reach, 0), end + reach + 1) for end in (run.left, run.right - 1)]
    return all(bool(walls[rows, end].any()) for end in ends)


def _short_px(mask: Mask) -> int:
    return max(_LEAST_PX, round(int(max(mask.shape)) * _SHORT))


def _thick_px(mask: Mask) -> int:
    return max(5, round(int(max(mask.shape)) * _THICK))


def _level_runs(mask: Mask, *, least_px: int) -> Mask:
    """The thin level runs of at least this length, a little tilted or dotted too; pieces of one line are joined."""
    dots = max(5, round(max(mask.shape) * _DOTS))
    joined = cv2.dilate(mask, np.ones((3, 1), np.uint8))  # a tilted line climbs in steps, which are joined first
    joined = cv2.morphologyEx(joined, cv2.MORPH_CLOSE, np.ones((1, dots), np.uint8))
    runs = cv2.morphologyEx(joined, cv2.MORPH_OPEN, np.ones((1, least_px), np.uint8))
    bulky = cv2.morphologyEx(runs, cv2.MORPH_OPEN, np.ones((_thick_px(mask) + 3, 1), np.uint8))
    runs = cv2.bitwise_and(runs, 1 - bulky)
    return np.asarray(cv2.morphologyEx(runs, cv2.MORPH_CLOSE, np.ones((1, 2 * least_px), np.uint8)))


def _crossings(mask: Mask, labels: Int32[np.ndarray, "height width"], box: Box, number: int) -> np.ndarray:
    """The shares of a run's length along which there is ink beside it: on the emptier side, and on the other."""
    part = labels[box.top : box.bottom, box.left : box.right] == number
    upper = box.top + part.argmax(axis=0)
    lower = box.bottom - 1 - part[::-1].argmax(axis=0)
    columns = np.arange(box.left, box.right)
    above = mask[np.maximum(upper - 2, 0), columns]
    below = mask[np.minimum(lower + 2, len(mask) - 1), columns]
    return np.sort([float(above.mean()), float(below.mean())])
