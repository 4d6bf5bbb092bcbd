"""Rules, boxes and dark cells around and through a written number, told by where they run.

A rule is thin and straight and longer than any stroke of a digit, or has straight uprights on it, as boxes and combs
do; an upright is print where it ends at rules. What could as well be a 1 stays. It knows nothing of characters.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

from handigit.images.background import ranked
from handigit.images.rules import bridged
from handigit.images.straight_lines import Line, Mask, Runs, runs_both_ways

_LONG: Final = 1.6
"""Least length of a lone rule in heights of the crop: no stroke of a digit is so wide, however tightly it is cut."""
_SIDES: Final = 2
"""Fewest uprights of a row of boxes."""
_WITH_SIDES: Final = 0.9
"""Least length of a rule with uprights on it, in heights of the crop."""
_SPAN: Final = 0.45
"""Least length of a rule in widths of the crop."""
_THICKEST: Final = 1 / 16
"""Thickness of print in heights of the crop."""
_OWN: Final = 0.5
"""Least share of a piece of ink that lies on lines where it is theirs."""
_NEAR: Final = 1 / 12
"""So near to a rule, in heights of the crop, does an upright end that stands on it or hangs from it."""
_TALL: Final = 0.3
"""Least length of an upright in heights of the crop."""
_INKED: Final = 0.88
"""Least share of a line on which there is ink: the bars of several digits lie on one line, but with gaps."""
_INKED_AT_EDGE: Final = 0.97
"""The same at the edge of a crop, where the bars of 7s and the feet of 2s lie if it is cut tightly."""
_EDGE_PX: Final = 4
"""So near to the edge of a crop a line lies at it."""
_STEEPEST: Final = 0.15
"""Most slope of print."""
_CELL: Final = 0.85
"""Least height of a dark cell at the edge, in heights of the crop."""
_WIDEST_CELL: Final = 0.25
"""Greatest width of a dark cell in widths of the crop."""
_ABRUPT: Final = 0.7
"""Least share of a dark cell's darkness that it loses within `_BLURRED_PX` to either side of its border."""
_BLURRED_PX: Final = 3


def inside_cells(crop: UInt8[np.ndarray, "height width"]) -> tuple[int, int]:
    """The first and the last column (excluded) between what is dark all over at either side: a table's header cell.

    Narrower than a stroke of a thick pen it may be a 1, and stays; what darkens little by little lies in the shade.
    """
    height, width = crop.shape
    if width < 1.2 * height:
        return 0, width
    rows = crop[:: max(1, height // 20)]
    lightest = np.sort(rows, axis=0)[round(_CELL * (len(rows) - 1))].astype(float)  # but for print in the cell
    paper, darkest = ranked(lightest, 0.7), float(crop.min())
    bare = np.flatnonzero(lightest > paper - 0.3 * (paper - darkest) - 4)
    first, last = int(bare[0]), int(bare[-1]) + 1
    least = max(3, round(0.16 * height))
    most = _WIDEST_CELL * width  # wider, it is a shadow over digits
    on_left = least <= first <= most and _is_edge(lightest, first, paper)
    on_right = least <= width - last <= most and _is_edge(lightest[::-1], width - last, paper)
    return (first + 1 if on_left else 0), (last - 1 if on_right else width)


def _is_edge(lightest: Float64[np.ndarray, " width"], first: int, paper: float) -> bool:
    """Whether what is dark up to this column ends there, and does not fade into the paper."""
    inside, outside = lightest[max(first - _BLURRED_PX, 0)], lightest[min(first + _BLURRED_PX, len(lightest) - 1)]
    return bool(outside - inside >= _ABRUPT * (paper - np.median(lightest[:first])))


@dataclass(frozen=True, slots=True, eq=False)
class Bare:
    """The mask (0 or 1) of a crop without rules and boxes; the mask itself where none were sure to be print.

    `boxed`: whether the crop may be of cells side by side, for there are rules and uprights in it.
    """

    mask: Mask
    boxed: bool = False


def without_print(mask: Mask) -> Bare:
    """Take rules and boxes out of the mask (0 or 1) of a crop."""
    height, width = mask.shape
    if height < 16 or width < height:
        return Bare(mask)
    across, down = runs_both_ways(mask, thickest_px=max(2, round(_THICKEST * height)))
    level = _straight(across, mask, at_least_px=_SPAN * width)
    upright = _straight(down, mask, at_least_px=_TALL * height) if level else []
    rules = [line for line in level if _is_rule(line, upright, height=height, width=width)]
    boxed = len(upright) >= _SIDES
    if not rules:
        return Bare(mask, boxed)
    lines = np.zeros_like(mask)
    for line in rules + [line for line in upright if _is_side(line, rules, height=height)]:
        line.draw(lines, margin_px=2)
    return Bare(_without_remains(bridged(mask, cv2.bitwise_and(lines, mask)), lines, mask), boxed)


def _straight(runs: Runs, mask: Mask, *, at_least_px: float) -> list[Line]:
    """The lines through runs so long, but for steep ones and those that only string strokes together."""
    long = [n for n, box in enumerate(runs.boxes) if (box.width if runs.level else box.height) >= at_least_px]
    lines = (Line.through(*runs.places(number), level=runs.level) for number in long)
    straight = [line for line in lines if line and abs(line.slope) <= _STEEPEST]
    if not straight:
        return []
    wide = cv2.dilate(mask, np.ones((3, 1) if runs.level else (1, 3), np.uint8))  # a pixel to either side counts
    inked = [line for line in straight if _inked(line, wide) >= _least_inked(line, wide)]
    return inked if runs.level else [_followed(line, wide) for line in inked]


def _inked(line: Line, wide: Mask) -> float:
    """The share of a line's length on which there is ink."""
    places = line.pixels(wide.shape)
    return float(wide[places].mean()) if len(places[0]) else 0.0


def _least_inked(line: Line, wide: Mask) -> float:
    """The share of a line that must be ink for it to be print."""
    across = line.across((line.start + line.end) / 2)
    breadth = wide.shape[0 if line.level else 1]
    return _INKED_AT_EDGE if min(across, breadth - 1 - across) < _EDGE_PX else _INKED


def _followed(line: Line, wide: Mask) -> Line:
    """An upright as far as its ink goes on: a 1 beside a border makes it too thick there to be seen as one."""
    rows, columns = line.spanning(wide.shape).pixels(wide.shape)
    bare = rows[wide[rows, columns] == 0]
    before, after = bare[bare < line.start], bare[bare > line.end]
    start = min(line.start, int(before[-1]) + 1 if len(before) else int(rows[0]))
    end = max(line.end, int(after[0]) - 1 if len(after) else int(rows[-1]))
    return replace(line, start=start, end=end)


def _is_rule(line: Line, upright: Sequence[Line], *, height: int, width: int) -> bool:
    """Whether a level line is longer than a stroke of a digit can be, or two uprights stand on it."""
    if line.length >= min(_LONG * height, 0.97 * width):
        return True
    return line.length >= _WITH_SIDES * height and sum(_touches(other, line, height) for other in upright) >= _SIDES


def _is_side(line: Line, rules: Sequence[Line], *, height: int) -> bool:
    """Whether an upright is held at both ends by rules or the crop's edges, at one end at least by a rule."""
    near = _NEAR * height
    held = [any(abs(rule.across(x) - y) <= near for rule in rules) or y <= 1 or y >= height - 2 for x, y in line.ends]
    return all(held) and any(_touches(line, rule, height) for rule in rules)


def _touches(upright: Line, rule: Line, height: int) -> bool:
    """Whether an upright ends at a rule or crosses it."""
    x = upright.across((upright.start + upright.end) / 2)
    y, near = rule.across(x), _NEAR * height
    within = rule.start - near <= x <= rule.end + near
    return within and upright.start - near <= y <= upright.end + near


def _without_remains(mask: Mask, lines: Mask, before: Mask) -> Mask:
    """The mask without small pieces of the lines that were in it `before`: their rims, and what lay between dashes.

    A 1 beside a border, with paper between them, is no piece of it.
    """
    _, parts = cv2.connectedComponents(before, connectivity=8)
    sizes = np.bincount(parts.ravel())
    of_lines = np.bincount(parts[lines > 0], minlength=len(sizes)) >= _OWN * sizes
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    beside = np.zeros(count, bool)
    beside[labels[(cv2.dilate(lines, np.ones((3, 3), np.uint8)) > 0) & of_lines[parts]]] = True
    slight = (stats[:, 2:4].min(axis=1) <= 3) & (stats[:, 2:4].max(axis=1) < 0.3 * mask.shape[0])
    kept = ~(beside & slight)
    kept[0] = False
    return np.asarray(kept.astype(np.uint8)[labels])
