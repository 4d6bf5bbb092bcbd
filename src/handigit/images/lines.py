"""Take printed lines out of a mask of ink: ruling, squared paper, box frames; strokes that cross them stay.

A line here is thin and straight and either runs from edge to edge of the picture or is a side of a frame. It knows
nothing of brightness or of digits.
"""

from dataclasses import dataclass
from typing import Final, cast

import cv2
import numpy as np
from jaxtyping import Int32, UInt8

from handigit.records import Box

_LEAST_PX: Final = 24
"""Shorter side below which no lines are looked for: in a 16x16 bitmap a stroke is as long as a line."""
_SMALL_PX: Final = 64
"""Longer side up to which lines are one pixel wide and only those from edge to edge count."""
_SPAN: Final = 0.85
"""Share of the picture's side that ruling covers."""
_PART: Final = 0.1
"""Share of the picture's side that ruling covers up to where a digit interrupts it."""
_SIDE: Final = 0.7
"""Share of a frame's side that its line covers."""

Mask = UInt8[np.ndarray, "height width"]


@dataclass(frozen=True, slots=True, eq=False)
class _Runs:
    """The straight thin runs in one direction, numbered: `boxes[i]` has those where `labels` is i + 1."""

    pixels: Mask
    labels: Int32[np.ndarray, "height width"]
    boxes: tuple[Box, ...]

    def of(self, chosen: set[int], slack_px: int) -> Mask:
        """The pixels of the chosen runs that lie on a straight line through each, give or take some pixels.

        Gentle strokes that touch a run are joined to it, but soon leave its line.
        """
        found = np.zeros_like(self.pixels)
        for number in chosen:
            box = self.boxes[number]
            part = np.s_[box.top : box.bottom, box.left : box.right]
            rows, columns = np.nonzero(self.labels[part] == number + 1)
            if box.width >= box.height:
                off = rows - np.polyval(np.polyfit(columns, rows, 1), columns)
            else:
                off = columns - np.polyval(np.polyfit(rows, columns, 1), rows)
            near = np.abs(off) <= slack_px
            found[part][rows[near], columns[near]] = 1
        return cv2.bitwise_and(found, self.pixels)


def without_lines(mask: Mask, *, faint: Mask) -> Mask:
    """The mask (0 or 1) without ruling and frames, which are looked for in the fainter, larger mask."""
    if min(mask.shape) < _LEAST_PX or not _may_hold_lines(mask):
        return mask
    across, down = _runs_across(faint), _turned(_runs_across(np.ascontiguousarray(faint.T)))
    rows = _ruling([(box.left, box.right) for box in across.boxes], mask.shape[1])
    columns = _ruling([(box.top, box.bottom) for box in down.boxes], mask.shape[0])
    if max(mask.shape) > _SMALL_PX and across.boxes and down.boxes:
        for frame in _large_parts(faint):
            _add_sides(frame, across, down, rows, columns)
    if not rows and not columns:
        return mask
    slack = _thickest_px(mask) // 2 + 1
    return _bridged(mask, cv2.bitwise_or(across.of(rows, slack), down.of(columns, slack)))


def _may_hold_lines(mask: Mask) -> bool:
    """A cheap first look: in a small picture, ink at two opposite edges."""
    if max(mask.shape) > _SMALL_PX:
        return True
    return bool((mask[:, 0].any() and mask[:, -1].any()) or (mask[0].any() and mask[-1].any()))


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
    return max(1, round(max(mask.shape) / 70))


def _runs_across(mask: Mask) -> _Runs:
    """The near-horizontal thin runs of ink, those that follow on one another joined; down to about 5 degrees."""
    width = mask.shape[1]
    slack = 2 if max(mask.shape) > _SMALL_PX else 0  # a tilted line climbs in steps, which are joined first
    joined = cv2.dilate(mask, np.ones((1 + slack, 1), np.uint8)) if slack else mask
    run = max(width // 25, 8)
    runs = cv2.morphologyEx(joined, cv2.MORPH_OPEN, np.ones((1, run), np.uint8))
    thick = cv2.morphologyEx(runs, cv2.MORPH_OPEN, np.ones((_thickest_px(mask) + 1 + slack, 1), np.uint8))
    runs = cv2.bitwise_and(runs, 1 - thick)
    linked = cv2.morphologyEx(runs, cv2.MORPH_CLOSE, np.ones((1, 2 * run + 1), np.uint8))
    linked = cv2.dilate(linked, np.ones((3, 3), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(linked, connectivity=8)
    boxes = tuple(Box(x, y, x + w, y + h) for x, y, w, h, _ in stats[1:].tolist())
    return _Runs(cv2.bitwise_and(mask, 1 - thick), labels, boxes)


def _turned(runs: _Runs) -> _Runs:
    """Runs found in a transposed mask, in the mask's own coordinates."""
    boxes = tuple(Box(box.top, box.left, box.bottom, box.right) for box in runs.boxes)
    return _Runs(np.ascontiguousarray(runs.pixels.T), np.ascontiguousarray(runs.labels.T), boxes)


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
    """The mask without the lines, save where a stroke goes on on both sides of one."""
    rest = cv2.bitwise_and(mask, 1 - lines)
    reach = _thickest_px(mask) + 2
    joined = cv2.morphologyEx(rest, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    return cast("np.ndarray", cv2.bitwise_and(mask, joined))
