"""Pieces of ink -> marks: strokes side by side at a small distance, with the dots and dashes among them.

It knows boxes, distances and that a printed line divides; it knows neither brightness nor digits.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Int64, UInt8

from handigit.records import Box
from handigit.segment.page_rules import Ruling

OVERLAP: Final = 0.4
"""Share of the lower one's height over which two pieces must lie side by side to be at one level."""
UNLIKE: Final = 2.2
"""A piece more than so many times as high as its neighbour is another's writing, or print."""
_WORDS_GAP: Final = 1.3
"""Words of a line of print are at most so far apart, in heights."""
_MOST_PIECES: Final = 14
"""More pieces than this close to one another are a line of print, for numbers are shorter."""

Boxes = Int64[np.ndarray, "n 4"]
"""Left, top, right and bottom of each."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Strokes that belong together: the box of their ink, of how many pieces; `cells` of a form's field, 0 outside."""

    box: Box
    pieces: int
    cells: int = 0


def around(boxes: Boxes) -> Box:
    """The box around all of them."""
    left, top = boxes[:, :2].min(axis=0).tolist()
    right, bottom = boxes[:, 2:].max(axis=0).tolist()
    return Box(left, top, right, bottom)


def at_one_level(one: Box, other: Box) -> bool:
    """Whether two boxes lie side by side and not above one another."""
    shared = min(one.bottom, other.bottom) - max(one.top, other.top)
    return shared >= OVERLAP * min(one.height, other.height)


def groups(count: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """The connected parts of a graph of so many nodes."""
    parent = list(range(count))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = node = parent[parent[node]]
        return node

    for one, other in pairs:
        parent[root(one)] = root(other)
    groups = defaultdict(list)
    for node in range(count):
        groups[root(node)].append(node)
    return list(groups.values())


def lines_of_print(marks: list[Mark]) -> list[Mark]:
    """The marks, those that make up a line of print joined: nobody writes numbers of so many pieces."""
    free = [mark for mark in marks if not mark.cells]
    order = sorted(range(len(free)), key=lambda n: free[n].box.left)
    pairs = []
    for place, one in enumerate(order):
        box = free[one].box
        for other in order[place + 1 :]:
            beside = free[other].box
            if beside.left > box.right + _WORDS_GAP * UNLIKE * box.height:
                break
            near = beside.left - box.right <= _WORDS_GAP * min(box.height, beside.height)
            like = max(box.height, beside.height) <= UNLIKE * min(box.height, beside.height)
            if near and like and at_one_level(box, beside):
                pairs.append((one, other))
    marks = [mark for mark in marks if mark.cells]
    for group in groups(len(free), pairs):
        members = [free[n] for n in group]
        pieces = sum(mark.pieces for mark in members)
        if pieces > _MOST_PIECES:
            marks.append(Mark(around(np.array([mark.box.as_list() for mark in members])), pieces))
        else:
            marks += members
    return marks


def in_reading_order(marks: list[Mark]) -> list[Mark]:
    """Row by row from the top, each from the left."""
    rows: list[list[Mark]] = []
    for mark in sorted(marks, key=lambda mark: mark.box.top + mark.box.bottom):
        row = next((row for row in rows[-3:] if _in_row(row[-1].box, mark.box)), None)
        if row is None:
            rows.append([mark])
        else:
            row.append(mark)
    return [mark for row in rows for mark in sorted(row, key=lambda mark: mark.box.left)]


def _in_row(one: Box, other: Box) -> bool:
    """Whether the middle of the second lies at the level of the first."""
    middle = (other.top + other.bottom) / 2
    return one.top + 0.2 * one.height <= middle <= one.bottom - 0.2 * one.height


_LEAST_PX: Final = 9
"""Height of the smallest digit, of pages at the working size; less is dust, a dot or a dash."""
_LEAST_SHARE: Final = 1 / 250
"""The same as a share of the page's longer side: 1.2 mm on A4."""
_GAP: Final = 0.75
"""Pieces of a number are at most so far apart, in heights."""
_GAP_ACROSS_LINE: Final = 0.3
"""The same with a printed line between them: on squared paper digits stand so, in columns of a table they do not."""
_WALL: Final = 0.6
"""Share of the height of two pieces along which a line must run between them to divide them."""
_FRAGMENT_HEIGHT: Final = 0.6
"""A fragment of a mark is at most so many times as high."""
_FRAGMENT_PIECES: Final = 2
_FRAGMENT_REACH: Final = 0.15
"""Heights by which a fragment's middle may lie outside of its mark."""
_RIM: Final = 1 / 250
"""Share of the page's longer side that what remains of a line is wide at most, and lies beside it."""
_LARGEST: Final = 0.3
"""Share of the page's longer side from which a piece is no digit but a frame, a drawing, the edge of a table."""


def find_marks(ink: UInt8[np.ndarray, "height width"], ruling: Ruling) -> list[Mark]:
    """The marks on a page, those in the cells of one field still apart."""
    boxes = _pieces(ink)
    boxes = boxes[~_remains_of_lines(boxes, ruling)]
    height = boxes[:, 3] - boxes[:, 1]
    least = max(_LEAST_PX, _LEAST_SHARE * max(ink.shape))
    main, small = boxes[height >= least], boxes[height < least]
    together = groups(len(main), _side_by_side(main, ruling))
    return _with_fragments(_with_small([Mark(around(main[group]), len(group)) for group in together], small))


def _with_fragments(marks: list[Mark]) -> list[Mark]:
    """The marks, each with those much lower ones that lie in it or at its rim: strokes that a line has cut off."""
    kept: list[Mark] = []
    for mark in sorted(marks, key=lambda mark: -mark.box.height):
        owner = next((n for n, large in enumerate(kept) if _is_fragment(mark, large.box)), None)
        if owner is None:
            kept.append(mark)
        else:
            boxes = np.array([kept[owner].box.as_list(), mark.box.as_list()])
            kept[owner] = replace(kept[owner], box=around(boxes))
    return kept


def _is_fragment(mark: Mark, large: Box) -> bool:
    """Whether a mark is a piece of the large one, whose box this is."""
    rim = _FRAGMENT_REACH * large.height
    x, y = (mark.box.left + mark.box.right) / 2, (mark.box.top + mark.box.bottom) / 2
    inside = large.left - rim <= x <= large.right + rim and large.top - rim <= y <= large.bottom + rim
    return inside and mark.pieces <= _FRAGMENT_PIECES and mark.box.height <= _FRAGMENT_HEIGHT * large.height


def _pieces(ink: UInt8[np.ndarray, "height width"]) -> Boxes:
    """The boxes of connected ink, without dust and without what is too large to be a digit."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    boxes = stats[1:, :4].astype(np.int64)
    boxes[:, 2:] += boxes[:, :2]
    side = np.maximum(stats[1:, 2], stats[1:, 3])
    height, width = ink.shape
    cut = (boxes[:, 0] == 0) | (boxes[:, 1] == 0) | (boxes[:, 2] == width) | (boxes[:, 3] == height)
    edge = cut & (side > 4 * np.minimum(stats[1:, 2], stats[1:, 3]))  # of the paper, or of what lies beside it
    return np.asarray(boxes[(side >= 3) & (side <= _LARGEST * max(ink.shape)) & (stats[1:, 4] >= 6) & ~edge])


def _remains_of_lines(boxes: Boxes, ruling: Ruling) -> Bool[np.ndarray, " n"]:
    """Which pieces are narrow and run along a line: the rims of thick frames, the dark parts of broken ones."""
    narrow = max(5, round(max(ruling.upright.shape) * _RIM))
    remains = np.zeros(len(boxes), bool)
    for lines, across in ((ruling.upright, 0), (np.ascontiguousarray(ruling.level.T), 1)):
        for number in np.flatnonzero(boxes[:, 2 + across] - boxes[:, across] <= narrow).tolist():
            near, start = boxes[number, across], boxes[number, 1 - across]
            far, end = boxes[number, 2 + across], boxes[number, 3 - across]
            beside = lines[start:end, max(near - narrow, 0) : far + narrow]
            remains[number] |= bool(beside.any(axis=1).mean() > 0.7)
    return remains


def _side_by_side(boxes: Boxes, ruling: Ruling) -> list[tuple[int, int]]:
    """The pairs of pieces that stand side by side as those of one number do."""
    order = np.argsort(boxes[:, 0], kind="stable")
    sorted_boxes = boxes[order]
    one, other = _pairs_nearby(sorted_boxes)
    left, right = sorted_boxes[one], sorted_boxes[other]
    first, second = left[:, 3] - left[:, 1], right[:, 3] - right[:, 1]
    level = np.minimum(left[:, 3], right[:, 3]) - np.maximum(left[:, 1], right[:, 1])
    alike = (level >= OVERLAP * np.minimum(first, second)) & (
        np.maximum(first, second) <= UNLIKE * np.minimum(first, second)
    )
    gap = (right[:, 0] - left[:, 2]) / ((first + second) / 2)
    near = alike & (gap <= _GAP)
    near[near] &= (gap[near] <= _GAP_ACROSS_LINE) | ~_divided(left[near], right[near], ruling)
    return list(zip(order[one[near]].tolist(), order[other[near]].tolist(), strict=True))


def _pairs_nearby(boxes: Boxes) -> tuple[np.ndarray, np.ndarray]:
    """Indices of all pairs, sorted from the left, whose second begins before a height after the first ends."""
    count = len(boxes)
    reach = boxes[:, 2] + (boxes[:, 3] - boxes[:, 1]) * _GAP * (1 + UNLIKE) / 2
    ends = np.searchsorted(boxes[:, 0], reach, side="right")
    starts = np.arange(count) + 1
    lengths = np.maximum(ends - starts, 0)
    one = np.repeat(np.arange(count), lengths)
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return one, one + 1 + within


def _divided(left: Boxes, right: Boxes, ruling: Ruling) -> Bool[np.ndarray, " n"]:
    """Whether an upright line runs between the two of each pair, for most of the height that they share."""
    divided = np.zeros(len(left), bool)
    for number, (one, other) in enumerate(zip(left.tolist(), right.tolist(), strict=True)):
        between = ruling.upright_walls[max(one[1], other[1]) : min(one[3], other[3]), one[2] : other[0]]
        divided[number] = between.any() and between.mean(axis=0).max() >= _WALL
    return divided


def _with_small(marks: list[Mark], small: Boxes) -> list[Mark]:
    """The marks with the dots, dashes and bars that stand close to them or in them."""
    if not small.size:
        return marks
    grown = []
    x, y = (small[:, 0] + small[:, 2]) / 2, (small[:, 1] + small[:, 3]) / 2
    for mark in marks:
        box, reach = mark.box, 0.35 * mark.box.height
        close = (small[:, 2] > box.left - reach) & (small[:, 0] < box.right + reach)
        close &= (
            (y > box.top - reach) & (y < box.bottom + reach) & (x > box.left - 2 * reach) & (x < box.right + 2 * reach)
        )
        grown.append(replace(mark, box=around(np.vstack([[box.as_list()], small[close]]))))
    return grown
