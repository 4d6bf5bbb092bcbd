"""Fields of forms: marks in the cells of one field become one mark.

It knows marks and the cells around them. A field is a row of narrow cells side by side with a digit in each, or one
cell with a box's proportions and several marks in it.
"""

from collections import Counter
from typing import Final

import numpy as np

from handigit.records import Box
from handigit.segment.candidates import Mark, around, at_one_level, groups
from handigit.segment.page_rules import Ruling

_NARROW: Final = 1.6
"""A cell for one digit is at most so many times as wide as high."""
_DIVIDERS_MISSED: Final = 2
"""So many cells may look like one, their divider being too faint to see."""
_DIGIT_ASPECT: Final = 1.6
"""A digit alone in its cell is at most so many times as wide as high; more is a number, and the cells are columns."""
_ALIKE: Final = 0.25
"""Cells of one field differ in top and bottom by at most this share of their height."""
_CELL_ASPECT: Final = 5.0
"""A box around one number is at most so many times as wide as high."""
_CELL_HEIGHTS: Final = 5.0
"""A cell for one number is at most so many times as high as what is written in it."""


def in_fields(marks: list[Mark], ruling: Ruling) -> list[Mark]:
    """The marks, those that share a field of a form joined."""
    found = [(mark, ruling.cell(mark.box)) for mark in marks]
    inside = sorted(((mark, cell) for mark, cell in found if cell is not None), key=lambda pair: pair[0].box.left)
    return [mark for mark, cell in found if cell is None] + _joined(inside)


def _joined(placed: list[tuple[Mark, Box]]) -> list[Mark]:
    """Marks with their cells, sorted from the left, as marks with fields."""
    pairs = []
    for one, (mark, cell) in enumerate(placed):
        reach = cell.right + _NARROW * cell.height
        for other, (next_mark, next_cell) in enumerate(placed[one + 1 :], one + 1):
            if next_mark.box.left > reach:
                break
            if _share_field(mark, cell, next_mark, next_cell):
                pairs.append((one, other))
    fields = [[placed[n] for n in field] for field in groups(len(placed), pairs)]
    owners = Counter(cell for field in fields for cell in {cell for _, cell in field})
    return [_as_one([mark for mark, _ in field], [cell for _, cell in field], owners) for field in fields]


def _share_field(one: Mark, cell: Box, other: Mark, next_cell: Box) -> bool:
    """Whether two marks stand in the same field of a form."""
    height = min(cell.height, next_cell.height)
    slack = _ALIKE * height
    if abs(cell.top - next_cell.top) > slack or abs(cell.bottom - next_cell.bottom) > slack:
        return False
    if not at_one_level(one.box, other.box) or height > _CELL_HEIGHTS * max(one.box.height, other.box.height):
        return False
    if abs(cell.left - next_cell.left) <= 2 and abs(cell.right - next_cell.right) <= 2:
        return cell.width <= _CELL_ASPECT * cell.height
    narrow, wide = sorted((cell.width, next_cell.width))
    beside = -2 <= next_cell.left - cell.right <= max(8, 0.25 * height)
    if not beside or narrow > _NARROW * height or wide > _DIVIDERS_MISSED * _NARROW * height:
        return False
    return all(
        mark.box.width <= _DIGIT_ASPECT * mark.box.height * max(1.0, space.width / narrow)
        for mark, space in ((one, cell), (other, next_cell))
    )


def _as_one(marks: list[Mark], cells: list[Box], owners: Counter[Box]) -> Mark:
    """Marks of one field as one; a mark by itself has a field where it alone is in a cell that fits it."""
    if len(marks) == 1 and not (_is_field(marks[0].box, cells[0]) and owners[cells[0]] == 1):
        return marks[0]
    box = around(np.array([mark.box.as_list() for mark in marks]))
    return Mark(box, sum(mark.pieces for mark in marks), len(set(cells)))


def _is_field(box: Box, cell: Box) -> bool:
    """Whether a cell is a box for what is written in it alone."""
    return cell.height <= _CELL_HEIGHTS * box.height and cell.width <= _CELL_ASPECT * cell.height
