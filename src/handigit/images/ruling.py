"""Take printed lines out of a mask of ink: ruling, squared paper, box frames; strokes that cross them stay.

A line here is thin and straight and either runs from edge to edge of the picture or is a side of a frame. It knows
nothing of brightness or of digits.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Final, cast

import cv2
import numpy as np
from jaxtyping import Float32, Int32, UInt8

from handigit.records import Box

_LEAST_PX: Final = 24
"""Shorter side below which no lines are looked for: in a 16x16 bitmap a stroke is as long as a line."""
_SMALL_PX: Final = 64
"""Longer side up to which lines are one pixel wide and only those from edge to edge count."""
_SPAN: Final = 0.85
"""Share of the picture's side that ruling covers."""
_PART: Final = 0.1
"""Share of the picture's side that ruling covers up to where a digit interrupts it."""
_SURE: Final = 0.3
"""Share of the picture's side from which a piece of ruling tells where the rest of its line runs."""
_WRITTEN: Final = 2.0
"""What is on a line and so many times as dark as lines are is written there."""
_FRAME_THICKNESS: Final = 2
"""So many times as thick as ruling may the sides of a frame be."""
_SIDE: Final = 0.7
"""Share of a frame's side that its line covers."""

Mask = UInt8[np.ndarray, "height width"]


@dataclass(frozen=True, slots=True, eq=False)
class _Runs:
    """The straight thin runs in one direction, numbered: `boxes[i]` is around those where `labels` is i + 1.

    `pixels`: all that may belong to a run; `level`: whether they go across the picture, not down.
    """

    pixels: Mask
    labels: Int32[np.ndarray, "height width"]
    boxes: tuple[Box, ...]
    level: bool

    def bands(self, chosen: set[int], *, ruling: set[int]) -> Mask:
        """The pixels on the straight line through each chosen run, as thick as the run and as long.

        Ruling goes on to both edges, for a line thinner than a pixel comes and goes. Gentle strokes that touch a
        line were joined to its run, but soon leave the band.
        """
        bands = np.zeros_like(self.pixels)
        for number in chosen:
            along, across, thickness = self._places(number)
            start, end, side = int(along.min()), int(along.max()), bands.shape[1 if self.level else 0]
            if number in ruling and end - start >= _SURE * side:
                start, end = 0, side - 1
            slope, offset = np.polyfit(along, across, 1)
            ends = [(start, round(offset + slope * start)), (end, round(offset + slope * end))]
            first, last = ends if self.level else [(x, y) for y, x in ends]
            cv2.line(bands, first, last, 1, thickness + 2)
        return cv2.bitwise_and(bands, self.pixels)

    def _places(self, number: int) -> tuple[np.ndarray, np.ndarray, int]:
        """Where a run's pixels are along its direction and across, and how many lie side by side on average."""
        box = self.boxes[number]
        part = np.s_[box.top : box.bottom, box.left : box.right]
        rows, columns = np.nonzero((self.labels[part] == number + 1) & (self.pixels[part] > 0))
        rows, columns = rows + box.top, columns + box.left
        along, across = (columns, rows) if self.level else (rows, columns)
        return along, across, math.ceil(len(along) / (int(np.ptp(along)) + 1))


def without_lines(mask: Mask, darkness: Float32[np.ndarray, "height width"], *, faint: float) -> Mask:
    """The mask (0 or 1) without ruling and frames, which are looked for where it is darker than `faint`."""
    if min(mask.shape) < _LEAST_PX or not _may_hold_lines(mask):
        return mask
    level, upright = _lines((darkness > faint).view(np.uint8))
    lines = cv2.bitwise_or(level, upright)
    if not lines.any():
        return mask
    printed = float(np.quantile(darkness[lines > 0], 0.75))  # of its core, for its rims are pale
    written = (darkness > _WRITTEN * printed).view(np.uint8)
    lines = lines & (1 - written | level & upright)  # where lines cross, they are as dark as that by themselves
    return _without_crumbs(_bridged(mask, lines), level=bool(level.any()), upright=bool(upright.any()))


def _lines(mask: Mask) -> tuple[Mask, Mask]:
    """The pixels of level and of upright lines."""
    across, down = _runs_both_ways(mask, thickest_px=_thickest_px(mask))
    rows = _ruling([(box.left, box.right) for box in across.boxes], mask.shape[1])
    columns = _ruling([(box.top, box.bottom) for box in down.boxes], mask.shape[0])
    level, upright = across.bands(rows, ruling=rows), down.bands(columns, ruling=columns)
    if max(mask.shape) > _SMALL_PX:
        tops, sides = _frames(mask)
        level, upright = cv2.bitwise_or(level, tops), cv2.bitwise_or(upright, sides)
    return level, upright


def _frames(mask: Mask) -> tuple[Mask, Mask]:
    """The level and the upright sides of boxes, which are printed thicker than ruling is."""
    across, down = _runs_both_ways(mask, thickest_px=_FRAME_THICKNESS * _thickest_px(mask))
    rows: set[int] = set()
    columns: set[int] = set()
    if across.boxes and down.boxes:
        for frame in _large_parts(mask):
            _add_sides(frame, across, down, rows, columns)
    return across.bands(rows, ruling=set()), down.bands(columns, ruling=set())


def _runs_both_ways(mask: Mask, *, thickest_px: int) -> tuple[_Runs, _Runs]:
    """The near-horizontal and the near-vertical thin runs."""
    turned = np.ascontiguousarray(mask.T)
    return _runs_across(mask, thickest_px=thickest_px), _turned(_runs_across(turned, thickest_px=thickest_px))


def _may_hold_lines(mask: Mask) -> bool:
    """A cheap first look: in a small picture, ink at two opposite edges."""
    if max(mask.shape) > _SMALL_PX:
        return True
    top, bottom, left, right = (cv2.countNonZero(edge) for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))
    return bool((left and right) or (top and bottom))


def _ruling(extents: list[tuple[int, int]], side: int) -> set[int]:
    """Which runs go from edge to edge; in a larger picture also those that end at an edge.

    Those are what a digit written across a line leaves of it, and, where there is ruling at all, what a corner does.
    """
    whole = {n for n, (start, end) in enumerate(extents) if end - start >= _SPAN * side}
    if side <= _SMALL_PX:
        return whole
    least = 0 if whole else _PART * side
    return whole | {n for n, (a, b) in enumerate(extents) if b - a >= least and (a <= 1 or b >= side - 1)}


def _thickest_px(mask: Mask) -> int:
    return max(1, round(int(max(mask.shape)) / 70))


def _runs_across(mask: Mask, *, thickest_px: int) -> _Runs:
    """The near-horizontal thin runs of ink, those that follow on one another joined; down to about 5 degrees."""
    width = mask.shape[1]
    slack = 2 if max(mask.shape) > _SMALL_PX else 0  # a tilted line climbs in steps, which are joined first
    joined = cv2.dilate(mask, np.ones((1 + slack, 1), np.uint8)) if slack else mask
    run = max(width // 25, 8)
    runs = cv2.morphologyEx(joined, cv2.MORPH_OPEN, np.ones((1, run), np.uint8))
    thick = cv2.morphologyEx(runs, cv2.MORPH_OPEN, np.ones((thickest_px + 1 + slack, 1), np.uint8))
    runs = cv2.bitwise_and(runs, 1 - cv2.dilate(thick, np.ones((5, 5), np.uint8)))  # with the rims of thick strokes
    linked = cv2.morphologyEx(runs, cv2.MORPH_CLOSE, np.ones((1, 2 * run + 1), np.uint8))
    linked = cv2.dilate(linked, np.ones((3, 3), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(linked, connectivity=8)
    boxes = tuple(Box(x, y, x + w, y + h) for x, y, w, h, _ in stats[1:].tolist())
    return _Runs(cv2.bitwise_and(mask, 1 - thick), labels, boxes, level=True)


def _turned(runs: _Runs) -> _Runs:
    """Runs found in a transposed mask, in the mask's own coordinates."""
    boxes = tuple(Box(box.top, box.left, box.bottom, box.right) for box in runs.boxes)
    return _Runs(np.ascontiguousarray(runs.pixels.T), np.ascontiguousarray(runs.labels.T), boxes, level=False)


def _large_parts(mask: Mask) -> list[Box]:
    """The boxes of components large enough to be a frame around a digit."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    least = 0.1 * max(mask.shape)
    return [Box(x, y, x + w, y + h) for x, y, w, h, _ in stats[1:].tolist() if w >= least and h >= least]


def _add_sides(frame: Box, across: _Runs, down: _Runs, rows: set[int], columns: set[int]) -> None:
    """Add the runs that are sides of the box, if at least three of its four sides are drawn."""
    band_x, band_y = 0.2 * frame.width, 0.2 * frame.height
    sides: dict[str, set[int]] = {"top": set(), "bottom": set(), "left": set(), "right": set()}
    for number, box in enumerate(across.boxes):
        if box.width >= _SIDE * frame.width and _overlaps(box, frame):
            if box.bottom <= frame.top + band_y:
                sides["top"].add(number)
            elif box.top >= frame.bottom - band_y:
                sides["bottom"].add(number)
    for number, box in enumerate(down.boxes):
        if box.height >= _SIDE * frame.height and _overlaps(box, frame):
            if box.right <= frame.left + band_x:
                sides["left"].add(number)
            elif box.left >= frame.right - band_x:
                sides["right"].add(number)
    if sum(bool(side) for side in sides.values()) >= 3:
        rows |= sides["top"] | sides["bottom"]
        columns |= sides["left"] | sides["right"]


def _overlaps(one: Box, other: Box) -> bool:
    return one.left < other.right and other.left < one.right and one.top < other.bottom and other.top < one.bottom


def _bridged(mask: Mask, lines: Mask) -> Mask:
    """The mask without the lines, save where a stroke goes on on both sides of one, in any of eight directions."""
    rest = cv2.bitwise_and(mask, 1 - lines)
    bridged = rest
    for element in _directions(2 * ((_thickest_px(mask) + 5) // 2) + 1):
        bridged = cv2.bitwise_or(bridged, cv2.morphologyEx(rest, cv2.MORPH_CLOSE, element))
    return cast("np.ndarray", cv2.bitwise_and(mask, bridged))


def _without_crumbs(mask: Mask, *, level: bool, upright: bool) -> Mask:
    """The mask without loose pieces of lines that were taken out of it; upright ones only if short, for a 1 is one."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    width, height, thickest = stats[:, 2], stats[:, 3], _thickest_px(mask)
    lying = (height <= thickest) & (width > 3 * height)
    standing = (width <= thickest) & (height > 3 * width) & (height < 0.05 * max(mask.shape))
    kept = ~(level & lying | upright & standing)
    kept[0] = False
    return np.asarray(kept.astype(np.uint8)[labels])


@cache
def _directions(length_px: int) -> tuple[Mask, ...]:
    """Straight segments of an odd length through the middle of a square, in eight directions."""
    middle = length_px // 2
    segments = []
    for across, down in ((0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (2, -1), (2, -2), (1, -2)):
        segment = np.zeros((length_px, length_px), np.uint8)
        reach = np.array((across, down)) * middle // 2
        cv2.line(segment, (middle - reach).tolist(), (middle + reach).tolist(), 1)
        segments.append(segment)
    return tuple(segments)
