"""Straight thin runs of ink, near-horizontal and near-vertical: what ruling, frames and some strokes are made of.

It knows neither what is printed nor what is written.
"""

import math
from dataclasses import dataclass, replace
from typing import Final, overload

import cv2
import numpy as np
from jaxtyping import Int32, UInt8

from handigit.records import Box

SMALL_PX: Final = 64
"""Longer side of a picture up to which lines are one pixel wide and only those from edge to edge count."""

Mask = UInt8[np.ndarray, "height width"]


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line: across = offset + slope * along, from `start` to `end`; along x if `level`, else along y."""

    slope: float
    offset: float
    start: int
    end: int
    thickness_px: int
    level: bool

    @classmethod
    def through(cls, along: np.ndarray, across: np.ndarray, *, level: bool) -> "Line | None":
        """The straight line through these pixels, as thick as they are side by side on average; None for a point."""
        if not len(along) or not np.ptp(along):
            return None
        slope, offset = np.polyfit(along, across, 1)
        start, end = int(along.min()), int(along.max())
        return cls(float(slope), float(offset), start, end, math.ceil(len(along) / (end - start + 1)), level)

    @property
    def length(self) -> int:
        """Pixels from start to end, along x or y."""
        return self.end - self.start

    @property
    def ends(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The first and the last point, (x, y)."""
        return self._point(self.start), self._point(self.end)

    @overload
    def across(self, along: float) -> float: ...
    @overload
    def across(self, along: np.ndarray) -> np.ndarray: ...
    def across(self, along: float | np.ndarray) -> float | np.ndarray:
        """Where the line, however far it goes on, stands at these places along it."""
        return self.offset + self.slope * along

    def pixels(self, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the line's middle, as far as it lies in a picture of (height, width)."""
        side, breadth = shape[::-1] if self.level else shape
        along = np.arange(max(self.start, 0), min(self.end + 1, side))
        across = np.rint(self.across(along)).astype(np.intp)
        inside = (across >= 0) & (across < breadth)
        along, across = along[inside], across[inside]
        return (across, along) if self.level else (along, across)

    def spanning(self, shape: tuple[int, ...]) -> "Line":
        """The line from edge to edge of a picture of (height, width)."""
        return replace(self, start=0, end=shape[1 if self.level else 0] - 1)

    def draw(self, canvas: Mask, *, margin_px: int) -> None:
        """Set the line's pixels to 1, in place, thicker than it is by so many in all."""
        first, last = ((round(x), round(y)) for x, y in self.ends)
        cv2.line(canvas, first, last, 1, self.thickness_px + margin_px)

    def _point(self, along: int) -> tuple[float, float]:
        return (along, self.across(along)) if self.level else (self.across(along), along)


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """The straight thin runs in one direction, numbered: `boxes[i]` is around those where `labels` is i + 1.

    `pixels`: all that may belong to a run; `level`: whether they go across the picture, not down.
    """

    pixels: Mask
    labels: Int32[np.ndarray, "height width"]
    boxes: tuple[Box, ...]
    level: bool

    def places(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Where a run's pixels are along its direction, and where across."""
        box = self.boxes[number]
        part = np.s_[box.top : box.bottom, box.left : box.right]
        rows, columns = np.nonzero((self.labels[part] == number + 1) & (self.pixels[part] > 0))
        rows, columns = rows + box.top, columns + box.left
        return (columns, rows) if self.level else (rows, columns)


def runs_both_ways(mask: Mask, *, thickest_px: int) -> tuple[Runs, Runs]:
    """The near-horizontal and the near-vertical thin runs."""
    turned = np.ascontiguousarray(mask.T)
    return _runs_across(mask, thickest_px=thickest_px), _turned(_runs_across(turned, thickest_px=thickest_px))


def _runs_across(mask: Mask, *, thickest_px: int) -> Runs:
    """The near-horizontal thin runs of ink, those that follow on one another joined; down to about 5 degrees."""
    width = mask.shape[1]
    slack = 2 if max(mask.shape) > SMALL_PX else 0  # a tilted line climbs in steps, which are joined first
    joined = cv2.dilate(mask, np.ones((1 + slack, 1), np.uint8)) if slack else mask
    run = max(width // 25, 8)
    runs = cv2.morphologyEx(joined, cv2.MORPH_OPEN, np.ones((1, run), np.uint8))
    upright, edge = np.ones((thickest_px + 1 + slack, 1), np.uint8), cv2.BORDER_CONSTANT
    thick = cv2.morphologyEx(runs, cv2.MORPH_OPEN, upright, borderType=edge, borderValue=0)  # beyond it there is paper
    runs = cv2.bitwise_and(runs, 1 - cv2.dilate(thick, np.ones((5, 5), np.uint8)))  # with the rims of thick strokes
    linked = cv2.morphologyEx(runs, cv2.MORPH_CLOSE, np.ones((1, 2 * run + 1), np.uint8))
    linked = cv2.dilate(linked, np.ones((3, 3), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(linked, connectivity=8)
    boxes = tuple(Box(x, y, x + w, y + h) for x, y, w, h, _ in stats[1:].tolist())
    return Runs(cv2.bitwise_and(mask, 1 - thick), labels, boxes, level=True)


def _turned(runs: Runs) -> Runs:
    """Runs found in a transposed mask, in the mask's own coordinates."""
    boxes = tuple(Box(box.top, box.left, box.bottom, box.right) for box in runs.boxes)
    return Runs(np.ascontiguousarray(runs.pixels.T), np.ascontiguousarray(runs.labels.T), boxes, level=False)
