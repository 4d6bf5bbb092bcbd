"""Straight thin runs of ink, near-horizontal and near-vertical: rules, frames and some strokes consist of them."""

import math
from dataclasses import dataclass, replace
from typing import Final, overload

import cv2
import numpy as np
from jaxtyping import Int32, UInt8

from handigit.records import Box

SMALL_PX: Final = 64
"""Longer side of a picture up to which rules are one pixel wide and count only if they span it."""

Mask = UInt8[np.ndarray, "height width"]


@dataclass(frozen=True, slots=True)
class Segment:
    """A straight segment: across = offset + slope * along, from `start` to `end`; along is x if `level`, else y."""

    slope: float
    offset: float
    start: int
    end: int
    thickness_px: int
    level: bool

    @classmethod
    def fit(cls, along: np.ndarray, across: np.ndarray, *, level: bool) -> "Segment | None":
        """The least-squares segment through these pixels, with their average thickness; None for a point."""
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
        """The segment's coordinate across its direction, also beyond its ends."""
        return self.offset + self.slope * along

    def pixels(self, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the segment's centre line inside a picture of (height, width)."""
        side, breadth = shape[::-1] if self.level else shape
        along = np.arange(max(self.start, 0), min(self.end + 1, side))
        across = np.rint(self.across(along)).astype(np.intp)
        inside = (across >= 0) & (across < breadth)
        along, across = along[inside], across[inside]
        return (across, along) if self.level else (along, across)

    def spanning(self, shape: tuple[int, ...]) -> "Segment":
        """The segment extended from edge to edge of a picture of (height, width)."""
        return replace(self, start=0, end=shape[1 if self.level else 0] - 1)

    def draw(self, canvas: Mask, *, margin_px: int) -> None:
        """Set the segment's pixels to 1, in place, `margin_px` thicker than it is."""
        first, last = ((round(x), round(y)) for x, y in self.ends)
        cv2.line(canvas, first, last, 1, self.thickness_px + margin_px)

    def _point(self, along: int) -> tuple[float, float]:
        return (along, self.across(along)) if self.level else (self.across(along), along)


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """The straight thin runs in one direction: `boxes[i]` is around the pixels whose label is i + 1.

    `pixels`: everything that may belong to a run. `level`: near-horizontal, else near-vertical.
    """

    pixels: Mask
    labels: Int32[np.ndarray, "height width"]
    boxes: tuple[Box, ...]
    level: bool

    def coordinates(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """A run's pixels: coordinates along its direction, and across."""
        box = self.boxes[number]
        part = np.s_[box.top : box.bottom, box.left : box.right]
        rows, columns = np.nonzero((self.labels[part] == number + 1) & (self.pixels[part] > 0))
        rows, columns = rows + box.top, columns + box.left
        return (columns, rows) if self.level else (rows, columns)


def find_segments(mask: Mask, *, max_thickness_px: int) -> tuple[Segments, Segments]:
    """The near-horizontal and the near-vertical thin runs."""
    level = _find_level(mask, max_thickness_px=max_thickness_px)
    turned = _find_level(np.ascontiguousarray(mask.T), max_thickness_px=max_thickness_px)
    boxes = tuple(Box(box.top, box.left, box.bottom, box.right) for box in turned.boxes)
    pixels, labels = np.ascontiguousarray(turned.pixels.T), np.ascontiguousarray(turned.labels.T)
    return level, Segments(pixels, labels, boxes, level=False)


def _find_level(mask: Mask, *, max_thickness_px: int) -> Segments:
    """The near-horizontal thin runs up to about 5 degrees, consecutive ones joined."""
    width = mask.shape[1]
    slack = 2 if max(mask.shape) > SMALL_PX else 0  # a tilted line climbs in steps, which are joined first
    joined = cv2.dilate(mask, np.ones((1 + slack, 1), np.uint8)) if slack else mask
    run = max(width // 25, 8)
    runs = cv2.morphologyEx(joined, cv2.MORPH_OPEN, np.ones((1, run), np.uint8))
    upright, edge = np.ones((max_thickness_px + 1 + slack, 1), np.uint8), cv2.BORDER_CONSTANT
    thick = cv2.morphologyEx(runs, cv2.MORPH_OPEN, upright, borderType=edge, borderValue=0)  # paper beyond the edge
    runs = cv2.bitwise_and(runs, 1 - cv2.dilate(thick, np.ones((5, 5), np.uint8)))  # without the rims of thick strokes
    rest = cv2.bitwise_and(mask, 1 - thick)
    if not runs.any():
        return Segments(rest, np.zeros(mask.shape, np.int32), (), level=True)
    padded = cv2.copyMakeBorder(runs, 0, 0, run, run, edge)  # OpenCV closes up to the border otherwise
    linked = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, np.ones((1, 2 * run + 1), np.uint8))[:, run:-run]
    linked = cv2.dilate(linked, np.ones((3, 3), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(linked, connectivity=8)
    boxes = tuple(Box(x, y, x + w, y + h) for x, y, w, h, _ in stats[1:].tolist())
    return Segments(rest, labels, boxes, level=True)
