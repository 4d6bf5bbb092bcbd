"""Remove printed rules from a mask of ink: ruled and squared paper, box frames. Strokes that cross them stay.

A rule is thin and straight and either spans the picture or is a side of a frame.
"""

import math
from functools import cache
from typing import Final, cast

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from handigit.images.straight_lines import SMALL_PX, Mask, Segment, Segments, find_segments
from handigit.records import Box

_MIN_SIDE_PX: Final = 24
"""Shorter side below which nothing is removed: in a 16x16 bitmap a stroke is as long as a rule."""
_SPAN: Final = 0.85
"""Minimum length of a rule as a fraction of the picture's side."""
_RIM_PX: Final = 4
"""Distance from the edge, in pixels, up to which ink may be joined to it."""
_MIN_PART: Final = 0.1
"""Minimum length of the part of a rule between the edge and a digit, as a fraction of the picture's side."""
_ALONE: Final = 0.35
"""Minimum length of such a part without one on the other side, as a fraction of the picture's side."""
_ALIGNED: Final = 0.05
"""Maximum offset between the two parts of a rule, as a fraction of the picture's side."""
_EXTEND_FROM: Final = 0.3
"""Length of a part, as a fraction of the side, from which it is extended over the whole picture."""
_WRITTEN: Final = 2.0
"""Ink on a rule is handwriting if this many times as dark as the rule."""
_PRINTED: Final = 1.3
"""A perfectly straight thin piece at most this many times as dark as the removed rules is print too."""
_IN_BAND: Final = 0.75
"""Minimum fraction of such a piece that lies in a band as thick as a rule."""
_CRUMB: Final = 0.05
"""Maximum size of loose remains beside a rule, as a fraction of the picture's longer side."""
_FRAME_THICKNESS: Final = 2
"""Maximum thickness of a frame's sides relative to rules."""
_BENT: Final = 0.015
"""Maximum deviation (root mean square) of a frame's side from a straight line, in its lengths."""
_SHORT_PX: Final = 40
"""Length of a side below which the deviation is mostly that of pixels."""
_SIDE: Final = 0.7
"""Minimum fraction of a frame's side that its segment covers."""


def remove_rules(mask: Mask, darkness: Float32[np.ndarray, "height width"], *, faint: float) -> Mask:
    """The mask (0 or 1) without rules and frames, which are searched where it is darker than `faint`."""
    if min(mask.shape) < _MIN_SIDE_PX or not _may_contain_rules(mask):
        return mask
    level, upright = _find_rules((darkness > faint).view(np.uint8))
    rules = cv2.bitwise_or(level, upright)
    if not rules.any():
        return mask
    printed = float(np.quantile(darkness[rules > 0], 0.75))  # the core of the rule: its rims are pale
    written = (darkness > _WRITTEN * printed).view(np.uint8)
    dark = darkness[cv2.bitwise_and(rules, mask) > 0]  # as dark as the mask, so that its remains compare with them
    darkest = _PRINTED * max(printed, float(np.quantile(dark, 0.75)) if dark.size else 0.0)
    rules = rules & (1 - written | level & upright)  # where two rules cross, they are as dark as writing
    rest = _without_crumbs(remove_keeping_strokes(mask, rules), level=bool(level.any()), upright=bool(upright.any()))
    return _without_print(rest, darkness, rules, darkest=darkest)


def _may_contain_rules(mask: Mask) -> bool:
    """A cheap first test: in a small picture, ink at two opposite edges."""
    if max(mask.shape) > SMALL_PX:
        return True
    top, bottom, left, right = (cv2.countNonZero(edge) for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))
    return bool((left and right) or (top and bottom))


def _find_rules(mask: Mask) -> tuple[Mask, Mask]:
    """The pixels of level and of upright rules."""
    if _may_span(mask):
        across, down = find_segments(mask, max_thickness_px=max_rule_px(mask))
        rows, columns = _spanning(across, mask.shape[1]), _spanning(down, mask.shape[0])
        level, upright = _bands(across, rows, extend=rows), _bands(down, columns, extend=columns)
    else:
        level, upright = np.zeros_like(mask), np.zeros_like(mask)
    if max(mask.shape) > SMALL_PX:
        tops, sides = _find_frames(mask)
        level, upright = cv2.bitwise_or(level, tops), cv2.bitwise_or(upright, sides)
    return level, upright


def _may_span(mask: Mask) -> bool:
    """A cheap first test: whether ink reaches an edge of the picture, or almost from edge to edge."""
    x, y, width, height = cv2.boundingRect(mask)
    free = min(x, y, mask.shape[1] - x - width, mask.shape[0] - y - height)
    fraction = max((width + _RIM_PX) / mask.shape[1], (height + _RIM_PX) / mask.shape[0])
    return bool(free <= _RIM_PX or fraction >= _SPAN)


def _spanning(segments: Segments, side: int) -> set[int]:
    """The runs from edge to edge; in a larger picture also the remains of rules that a digit interrupts.

    Where there are rules at all, those are the runs that end at an edge, also in corners. Otherwise a pair of them must
    be on one line, or one must be long: near an edge, a stroke may end there too.
    """
    boxes = segments.boxes
    extents = [(box.left, box.right) if segments.level else (box.top, box.bottom) for box in boxes]
    whole = {n for n, (start, end) in enumerate(extents) if end - start >= _SPAN * side}
    if side <= SMALL_PX:
        return whole
    at_start = [n for n, (start, _) in enumerate(extents) if start <= 1]
    at_end = [n for n, (_, end) in enumerate(extents) if end >= side - 1]
    if whole:
        return whole | {*at_start, *at_end}
    middles = [(box.top + box.bottom) / 2 if segments.level else (box.left + box.right) / 2 for box in boxes]
    long = {n for n in {*at_start, *at_end} if extents[n][1] - extents[n][0] >= _ALONE * side}
    parts = {n for n in {*at_start, *at_end} if extents[n][1] - extents[n][0] >= _MIN_PART * side}
    paired = {
        n
        for a in parts.intersection(at_start)
        for b in parts.intersection(at_end)
        if abs(middles[a] - middles[b]) <= _ALIGNED * side
        for n in (a, b)
    }
    return long | paired


def max_rule_px(mask: Mask) -> int:
    """Maximum thickness of a rule in a picture of this size."""
    return max(1, round(int(max(mask.shape)) / 70))


def _bands(segments: Segments, selected: set[int], *, extend: set[int]) -> Mask:
    """The pixels on the straight line through each selected run, as thick as the run and as long.

    Rules are extended to both edges, because one thinner than a pixel is interrupted. Strokes that touch a rule at
    a small angle were joined to its run, but soon leave the band.
    """
    bands = np.zeros_like(segments.pixels)
    side = bands.shape[1 if segments.level else 0]
    for number in selected:
        segment = Segment.fit(*segments.coordinates(number), level=segments.level)
        if segment is not None:
            extended = number in extend and segment.length >= _EXTEND_FROM * side
            (segment.spanning(bands.shape) if extended else segment).draw(bands, margin_px=2)
    return cv2.bitwise_and(bands, segments.pixels)


def _find_frames(mask: Mask) -> tuple[Mask, Mask]:
    """The level and the upright sides of boxes, which are printed thicker than rules."""
    across, down = find_segments(mask, max_thickness_px=_FRAME_THICKNESS * max_rule_px(mask))
    rows: set[int] = set()
    columns: set[int] = set()
    if across.boxes and down.boxes:
        _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        shortest = 0.1 * max(mask.shape)
        for x, y, width, height, _ in stats[1:].tolist():
            if min(width, height) >= shortest:
                _add_sides(Box(x, y, x + width, y + height), across, down, rows, columns)
    return _bands(across, rows, extend=set()), _bands(down, columns, extend=set())


def _add_sides(frame: Box, across: Segments, down: Segments, rows: set[int], columns: set[int]) -> None:
    """Add the runs that are sides of the box, if at least three of its four sides are drawn."""
    band_x, band_y = 0.2 * frame.width, 0.2 * frame.height
    sides: dict[str, set[int]] = {"top": set(), "bottom": set(), "left": set(), "right": set()}
    for number, box in enumerate(across.boxes):
        if box.width >= _SIDE * frame.width and _overlaps(box, frame) and _is_straight(across, number):
            if box.bottom <= frame.top + band_y:
                sides["top"].add(number)
            elif box.top >= frame.bottom - band_y:
                sides["bottom"].add(number)
    for number, box in enumerate(down.boxes):
        if box.height >= _SIDE * frame.height and _overlaps(box, frame) and _is_straight(down, number):
            if box.right <= frame.left + band_x:
                sides["left"].add(number)
            elif box.left >= frame.right - band_x:
                sides["right"].add(number)
    if sum(bool(side) for side in sides.values()) >= 3:
        rows |= sides["top"] | sides["bottom"]
        columns |= sides["left"] | sides["right"]


def _is_straight(segments: Segments, number: int) -> bool:
    """Whether a run lies along one straight segment, as a side of a frame does and the loops of an 8 do not."""
    along, across = segments.coordinates(number)
    segment = Segment.fit(along, across, level=segments.level)
    if segment is None:
        return False
    variance = float(np.mean(np.square(across - segment.across(along))))
    bent = math.sqrt(max(0.0, variance - segment.thickness_px**2 / 12))  # beyond that of a straight line so thick
    return bent <= _BENT * max(segment.length, _SHORT_PX)


def _overlaps(a: Box, b: Box) -> bool:
    return a.left < b.right and b.left < a.right and a.top < b.bottom and b.top < a.bottom


def remove_keeping_strokes(mask: Mask, rules: Mask) -> Mask:
    """The mask without the rules, except where a stroke continues on both sides, in any of eight directions."""
    rest = cv2.bitwise_and(mask, 1 - rules)
    bridged = rest
    for element in _directions(2 * ((max_rule_px(mask) + 5) // 2) + 1):
        bridged = cv2.bitwise_or(bridged, cv2.morphologyEx(rest, cv2.MORPH_CLOSE, element))
    return cast("np.ndarray", cv2.bitwise_and(mask, bridged))


def _without_crumbs(mask: Mask, *, level: bool, upright: bool) -> Mask:
    """The mask without loose remains of removed rules; upright ones only if short, because a 1 is upright too."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    width, height, thickest = stats[:, 2], stats[:, 3], max_rule_px(mask)
    flat = (height <= thickest) & (width > 3 * height)
    thin = (width <= thickest) & (height > 3 * width) & (height < 0.05 * max(mask.shape))
    kept = ~(level & flat | upright & thin)
    kept[0] = False
    return np.asarray(kept.astype(np.uint8)[labels])


def _without_print(mask: Mask, darkness: Float32[np.ndarray, "height width"], rules: Mask, *, darkest: float) -> Mask:
    """The mask without print as pale as the rules: ticks of combs, pieces of rules, and crumbs beside them."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    kept = np.ones(len(stats), np.uint8)
    thickest = max_rule_px(mask) + 1
    beside = np.bincount(labels[cv2.dilate(rules, np.ones((5, 5), np.uint8)) > 0], minlength=len(stats)) > 0
    longer, area = stats[:, 2:4].max(axis=1), stats[:, 4]
    crumbs = beside & (longer <= _CRUMB * max(mask.shape))
    for number in np.flatnonzero(crumbs | (area <= longer * thickest / _IN_BAND)).tolist():
        x, y, width, height, _ = stats[number].tolist()
        inside = labels[y : y + height, x : x + width] == number
        if crumbs[number] or _is_thin_line(inside, thickest):
            part = darkness[y : y + height, x : x + width]
            kept[number] = float(np.quantile(part[inside], 0.75)) > darkest
    kept[0] = 0
    return np.asarray(kept[labels])


def _is_thin_line(part: Bool[np.ndarray, "height width"], thickest_px: int) -> bool:
    """Whether a part is one level or upright line, but for a bit of the rule that a tick stands on."""
    height, width = part.shape
    across = part.sum(axis=0 if height > width else 1)
    inside = int(np.convolve(across, np.ones(thickest_px, np.int64)).max())
    shorter, longer = sorted((height, width))
    return longer > 3 * min(shorter, thickest_px) and longer > 2 * shorter and inside >= _IN_BAND * int(across.sum())


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
