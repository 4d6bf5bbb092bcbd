"""Remove printed rules, boxes and dark table cells from the crop of a number.

A rule is thin and straight and longer than any stroke of a digit, or has straight uprights on it, as boxes and combs
do. An upright is print where it ends at rules. Anything that could be a 1 stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

from handigit.images.background import quantile
from handigit.images.rules import remove_keeping_strokes
from handigit.images.straight_lines import Mask, Segment, Segments, find_segments

_LONG: Final = 1.6
"""Minimum length of a lone rule in heights of the crop: no stroke of a digit is so wide, however tight the crop."""
_MIN_UPRIGHTS: Final = 2
"""Minimum number of uprights of a row of boxes."""
_LONG_WITH_UPRIGHTS: Final = 0.9
"""Minimum length of a rule with uprights on it, in heights of the crop."""
_MIN_SPAN: Final = 0.45
"""Minimum length of a rule in widths of the crop."""
_MAX_THICKNESS: Final = 1 / 16
"""Maximum thickness of a rule in heights of the crop."""
_RULE_FRACTION: Final = 0.5
"""Minimum fraction of a connected part on rules for it to be a part of them."""
_NEAR: Final = 1 / 12
"""Maximum distance, in heights of the crop, between an upright's end and its rule."""
_MIN_UPRIGHT: Final = 0.3
"""Minimum length of an upright in heights of the crop."""
_MIN_INKED: Final = 0.88
"""Minimum inked fraction of a rule: bars of several digits may be collinear, but with gaps."""
_MIN_INKED_AT_EDGE: Final = 0.97
"""The same at the edge of a crop, where the bars of 7s and the feet of 2s are in a tight crop."""
_EDGE_PX: Final = 4
_MAX_SLOPE: Final = 0.15
_CELL_HEIGHT: Final = 0.85
"""Minimum height of a dark cell at the edge, in heights of the crop."""
_MAX_CELL_WIDTH: Final = 0.25
"""Maximum width of a dark cell in widths of the crop; anything wider is a shadow over digits."""
_ABRUPT: Final = 0.7
"""Minimum fraction of a dark cell's darkness lost within `_BLUR_PX` to either side of its border."""
_BLUR_PX: Final = 3


def trim_dark_cells(crop: UInt8[np.ndarray, "height width"]) -> tuple[int, int]:
    """Column range (end exclusive) after trimming solid dark table cells from both ends.

    A cell narrower than a thick pen's stroke may be a 1 and stays. Gradual darkening is a shadow and stays too.
    """
    height, width = crop.shape
    if width < 1.2 * height:
        return 0, width
    rows = crop[:: max(1, height // 20)]
    lightest = np.sort(rows, axis=0)[round(_CELL_HEIGHT * (len(rows) - 1))].astype(float)  # ignores print in the cell
    paper, darkest = quantile(lightest, 0.7), float(crop.min())
    bare = np.flatnonzero(lightest > paper - 0.3 * (paper - darkest) - 4)
    first, last = int(bare[0]), int(bare[-1]) + 1
    narrowest = max(3, round(0.16 * height))
    widest = _MAX_CELL_WIDTH * width
    on_left = narrowest <= first <= widest and _ends_abruptly(lightest, first, paper)
    on_right = narrowest <= width - last <= widest and _ends_abruptly(lightest[::-1], width - last, paper)
    return (first + 1 if on_left else 0), (last - 1 if on_right else width)


def _ends_abruptly(lightest: Float64[np.ndarray, " width"], column: int, paper: float) -> bool:
    """Whether the dark columns up to this one end there instead of fading into the paper."""
    inside, outside = lightest[max(column - _BLUR_PX, 0)], lightest[min(column + _BLUR_PX, len(lightest) - 1)]
    return bool(outside - inside >= _ABRUPT * (paper - np.median(lightest[:column])))


@dataclass(frozen=True, slots=True, eq=False)
class RulesRemoved:
    """The mask (0 or 1) of a crop without rules and boxes; the same object where nothing was certain to be print.

    `maybe_in_cells`: whether the crop contains uprights, and so perhaps cells side by side.
    """

    mask: Mask
    maybe_in_cells: bool = False


def remove_crop_rules(mask: Mask) -> RulesRemoved:
    """Remove rules and boxes from the mask (0 or 1) of a crop."""
    height, width = mask.shape
    if height < 16 or width < height:
        return RulesRemoved(mask)
    across, down = find_segments(mask, max_thickness_px=max(2, round(_MAX_THICKNESS * height)))
    level = _straight_and_inked(across, mask, min_length_px=_MIN_SPAN * width)
    upright = _straight_and_inked(down, mask, min_length_px=_MIN_UPRIGHT * height) if level else []
    rules = [segment for segment in level if _is_rule(segment, upright, height=height, width=width)]
    maybe_in_cells = len(upright) >= _MIN_UPRIGHTS
    if not rules:
        return RulesRemoved(mask, maybe_in_cells)
    printed = np.zeros_like(mask)
    for segment in rules + [segment for segment in upright if _is_side(segment, rules, height=height)]:
        segment.draw(printed, margin_px=2)
    rest = remove_keeping_strokes(mask, cv2.bitwise_and(printed, mask))
    return RulesRemoved(_without_remains(rest, printed, mask), maybe_in_cells)


def _straight_and_inked(segments: Segments, mask: Mask, *, min_length_px: float) -> list[Segment]:
    """The long segments, except steep ones and those that only connect separate strokes."""
    long = [n for n, box in enumerate(segments.boxes) if (box.width if segments.level else box.height) >= min_length_px]
    fitted = (Segment.fit(*segments.coordinates(number), level=segments.level) for number in long)
    straight = [segment for segment in fitted if segment and abs(segment.slope) <= _MAX_SLOPE]
    if not straight:
        return []
    wide = cv2.dilate(mask, np.ones((3, 1) if segments.level else (1, 3), np.uint8))  # a pixel to either side counts
    inked = [segment for segment in straight if _inked_fraction(segment, wide) >= _min_inked(segment, wide)]
    return inked if segments.level else [_extend_along_ink(segment, wide) for segment in inked]


def _inked_fraction(segment: Segment, wide: Mask) -> float:
    pixels = segment.pixels(wide.shape)
    return float(wide[pixels].mean()) if len(pixels[0]) else 0.0


def _min_inked(segment: Segment, wide: Mask) -> float:
    """Minimum inked fraction for a segment to be print."""
    across = segment.across((segment.start + segment.end) / 2)
    breadth = wide.shape[0 if segment.level else 1]
    return _MIN_INKED_AT_EDGE if min(across, breadth - 1 - across) < _EDGE_PX else _MIN_INKED


def _extend_along_ink(segment: Segment, wide: Mask) -> Segment:
    """An upright extended as far as its ink: beside a 1 a border is too thick to be detected as a run."""
    rows, columns = segment.spanning(wide.shape).pixels(wide.shape)
    bare = rows[wide[rows, columns] == 0]
    before, after = bare[bare < segment.start], bare[bare > segment.end]
    start = min(segment.start, int(before[-1]) + 1 if len(before) else int(rows[0]))
    end = max(segment.end, int(after[0]) - 1 if len(after) else int(rows[-1]))
    return replace(segment, start=start, end=end)


def _is_rule(segment: Segment, uprights: Sequence[Segment], *, height: int, width: int) -> bool:
    """Whether a level segment is longer than a stroke of a digit can be, or has two uprights on it."""
    if segment.length >= min(_LONG * height, 0.97 * width):
        return True
    touching = sum(_touches(upright, segment, height) for upright in uprights)
    return segment.length >= _LONG_WITH_UPRIGHTS * height and touching >= _MIN_UPRIGHTS


def _is_side(upright: Segment, rules: Sequence[Segment], *, height: int) -> bool:
    """Whether both ends of an upright are at rules or the crop's edges, at least one of them at a rule."""
    near = _NEAR * height
    held = [
        any(abs(rule.across(x) - y) <= near for rule in rules) or y <= 1 or y >= height - 2 for x, y in upright.ends
    ]
    return all(held) and any(_touches(upright, rule, height) for rule in rules)


def _touches(upright: Segment, rule: Segment, height: int) -> bool:
    """Whether an upright ends at a rule or crosses it."""
    x = upright.across((upright.start + upright.end) / 2)
    y, near = rule.across(x), _NEAR * height
    return rule.start - near <= x <= rule.end + near and upright.start - near <= y <= upright.end + near


def _without_remains(mask: Mask, rules: Mask, before: Mask) -> Mask:
    """The mask without small remains of the rules in the mask `before`: their rims, and pieces between dashes.

    A 1 beside a border, with paper between them, is no remains.
    """
    _, parts = cv2.connectedComponents(before, connectivity=8)
    sizes = np.bincount(parts.ravel())
    of_rules = np.bincount(parts[rules > 0], minlength=len(sizes)) >= _RULE_FRACTION * sizes
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    beside = np.zeros(count, bool)
    beside[labels[(cv2.dilate(rules, np.ones((3, 3), np.uint8)) > 0) & of_rules[parts]]] = True
    slight = (stats[:, 2:4].min(axis=1) <= 3) & (stats[:, 2:4].max(axis=1) < 0.3 * mask.shape[0])
    kept = ~(beside & slight)
    kept[0] = False
    return np.asarray(kept.astype(np.uint8)[labels])
