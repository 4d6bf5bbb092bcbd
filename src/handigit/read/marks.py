"""Marks, strokes on a page that belong together and may be a number: what they are, and in what order they are read.

It knows boxes and distances alone.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Int64

from handigit.records import Box

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
