"""Take printed lines out of a mask of ink: ruling, squared paper, box frames; strokes that cross them stay.

A line here is thin and straight and either runs from edge to edge of the picture or is a side of a frame. It knows
nothing of brightness or of digits.
"""

from functools import cache
from typing import Final, cast

import cv2
import numpy as np
from jaxtyping import Float32

from handigit.images.straight_lines import SMALL_PX, Line, Mask, Runs, runs_both_ways
from handigit.records import Box

_LEAST_PX: Final = 24
"""Shorter side below which no lines are looked for: in a 16x16 bitmap a stroke is as long as a line."""
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
    return _without_crumbs(bridged(mask, lines), level=bool(level.any()), upright=bool(upright.any()))


def _lines(mask: Mask) -> tuple[Mask, Mask]:
    """The pixels of level and of upright lines."""
    across, down = runs_both_ways(mask, thickest_px=thickest_px_of(mask))
    rows = _ruling([(box.left, box.right) for box in across.boxes], mask.shape[1])
    columns = _ruling([(box.top, box.bottom) for box in down.boxes], mask.shape[0])
    level, upright = _bands(across, rows, ruling=rows), _bands(down, columns, ruling=columns)
    if max(mask.shape) > SMALL_PX:
        tops, sides = _frames(mask)
        level, upright = cv2.bitwise_or(level, tops), cv2.bitwise_or(upright, sides)
    return level, upright


def _bands(runs: Runs, chosen: set[int], *, ruling: set[int]) -> Mask:
    """The pixels on the straight line through each chosen run, as thick as the run and as long.

    Ruling goes on to both edges, for a line thinner than a pixel comes and goes. Gentle strokes that touch a
    line were joined to its run, but soon leave the band.
    """
    bands = np.zeros_like(runs.pixels)
    for number in chosen:
        line = Line.through(*runs.places(number), level=runs.level)
        if line is not None:
            goes_on = number in ruling and line.length >= _SURE * bands.shape[1 if runs.level else 0]
            (line.spanning(bands.shape) if goes_on else line).draw(bands, margin_px=2)
    return cv2.bitwise_and(bands, runs.pixels)


def _frames(mask: Mask) -> tuple[Mask, Mask]:
    """The level and the upright sides of boxes, which are printed thicker than ruling is."""
    across, down = runs_both_ways(mask, thickest_px=_FRAME_THICKNESS * thickest_px_of(mask))
    rows: set[int] = set()
    columns: set[int] = set()
    if across.boxes and down.boxes:
        for frame in _large_parts(mask):
            _add_sides(frame, across, down, rows, columns)
    return _bands(across, rows, ruling=set()), _bands(down, columns, ruling=set())


def _may_hold_lines(mask: Mask) -> bool:
    """A cheap first look: in a small picture, ink at two opposite edges."""
    if max(mask.shape) > SMALL_PX:
        return True
    top, bottom, left, right = (cv2.countNonZero(edge) for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))
    return bool((left and right) or (top and bottom))


def _ruling(extents: list[tuple[int, int]], side: int) -> set[int]:
    """Which runs go from edge to edge; in a larger picture also those that end at an edge.

    Those are what a digit written across a line leaves of it, and, where there is ruling at all, what a corner does.
    """
    whole = {n for n, (start, end) in enumerate(extents) if end - start >= _SPAN * side}
    if side <= SMALL_PX:
        return whole
    least = 0 if whole else _PART * side
    return whole | {n for n, (a, b) in enumerate(extents) if b - a >= least and (a <= 1 or b >= side - 1)}


def thickest_px_of(mask: Mask) -> int:
    """How thick ruling is at most in a picture of this size."""
    return max(1, round(int(max(mask.shape)) / 70))


def _large_parts(mask: Mask) -> list[Box]:
    """The boxes of components large enough to be a frame around a digit."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    least = 0.1 * max(mask.shape)
    return [Box(x, y, x + w, y + h) for x, y, w, h, _ in stats[1:].tolist() if w >= least and h >= least]


def _add_sides(frame: Box, across: Runs, down: Runs, rows: set[int], columns: set[int]) -> None:
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


def bridged(mask: Mask, lines: Mask) -> Mask:
    """The mask without the lines, save where a stroke goes on on both sides of one, in any of eight directions."""
    rest = cv2.bitwise_and(mask, 1 - lines)
    bridged = rest
    for element in _directions(2 * ((thickest_px_of(mask) + 5) // 2) + 1):
        bridged = cv2.bitwise_or(bridged, cv2.morphologyEx(rest, cv2.MORPH_CLOSE, element))
    return cast("np.ndarray", cv2.bitwise_and(mask, bridged))


def _without_crumbs(mask: Mask, *, level: bool, upright: bool) -> Mask:
    """The mask without loose pieces of lines that were taken out of it; upright ones only if short, for a 1 is one."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    width, height, thickest = stats[:, 2], stats[:, 3], thickest_px_of(mask)
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
