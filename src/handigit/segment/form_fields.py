"""Join the candidates in the cells of one form field.

A field is a row of narrow cells side by side with a digit in each, or one cell with a box's proportions and several
candidates in it.
"""

from collections import Counter
from typing import Final

from handigit.records import Box
from handigit.segment.candidates import Candidate, connected_groups, on_one_row
from handigit.segment.page_rules import PageRules

_NARROW: Final = 1.6
"""Maximum width of a cell for one digit, in heights."""
_MAX_MERGED_CELLS: Final = 2
"""Number of cells that may look like one because their divider is too faint."""
_MAX_DIGIT_ASPECT: Final = 1.6
"""Maximum width of a lone digit in its cell, in heights; anything wider is a number, and the cells are columns."""
_ALIKE: Final = 0.25
"""Maximum difference between top and bottom of a field's cells, as a fraction of their height."""
_MAX_CELL_ASPECT: Final = 5.0
"""Maximum width of a box around one number, in heights."""
_MAX_CELL_HEIGHT: Final = 5.0
"""Maximum height of a cell for one number, in heights of the writing in it."""


def join_fields(candidates: list[Candidate], rules: PageRules) -> list[Candidate]:
    """The candidates with those in one field of a form joined."""
    with_cells = [(candidate, rules.cell(candidate.box)) for candidate in candidates]
    in_cells = [(candidate, cell) for candidate, cell in with_cells if cell is not None]
    in_cells.sort(key=lambda pair: pair[0].box.left)
    return [candidate for candidate, cell in with_cells if cell is None] + _join(in_cells)


def _join(in_cells: list[tuple[Candidate, Box]]) -> list[Candidate]:
    """Join candidates, given with their cells and sorted from the left, that share a field."""
    pairs = []
    for i, (candidate, cell) in enumerate(in_cells):
        reach = cell.right + _NARROW * cell.height
        for j, (next_candidate, next_cell) in enumerate(in_cells[i + 1 :], i + 1):
            if next_candidate.box.left > reach:
                break
            if _share_field(candidate, cell, next_candidate, next_cell):
                pairs.append((i, j))
    fields = [[in_cells[n] for n in group] for group in connected_groups(len(in_cells), pairs)]
    owners = Counter(cell for field in fields for cell in {cell for _, cell in field})
    return [_merge([candidate for candidate, _ in field], [cell for _, cell in field], owners) for field in fields]


def _share_field(a: Candidate, cell: Box, b: Candidate, next_cell: Box) -> bool:
    """Whether two candidates are in the same field of a form."""
    height = min(cell.height, next_cell.height)
    slack = _ALIKE * height
    if abs(cell.top - next_cell.top) > slack or abs(cell.bottom - next_cell.bottom) > slack:
        return False
    if not on_one_row(a.box, b.box) or height > _MAX_CELL_HEIGHT * max(a.box.height, b.box.height):
        return False
    if abs(cell.left - next_cell.left) <= 2 and abs(cell.right - next_cell.right) <= 2:
        return cell.width <= _MAX_CELL_ASPECT * cell.height
    narrow, wide = sorted((cell.width, next_cell.width))
    contained = cell.left - 2 <= next_cell.left and next_cell.right <= cell.right + 2  # a divider ends between them
    if contained and wide <= _MAX_MERGED_CELLS * _NARROW * height:
        return True
    beside = -2 <= next_cell.left - cell.right <= max(8, 0.25 * height)
    if not beside or narrow > _NARROW * height or wide > _MAX_MERGED_CELLS * _NARROW * height:
        return False
    return all(
        candidate.box.width <= _MAX_DIGIT_ASPECT * candidate.box.height * max(1.0, space.width / narrow)
        for candidate, space in ((a, cell), (b, next_cell))
    )


def _merge(candidates: list[Candidate], cells: list[Box], owners: Counter[Box]) -> Candidate:
    """The candidates of one field as one; a lone candidate has a field only if it is alone in a cell that fits it."""
    if len(candidates) == 1:
        cell, writing = cells[0], candidates[0].box
        fits = cell.height <= _MAX_CELL_HEIGHT * writing.height and cell.width <= _MAX_CELL_ASPECT * cell.height
        if not fits or owners[cell] > 1:
            return candidates[0]
    box = Box.around(candidate.box for candidate in candidates)
    return Candidate(box, sum(candidate.parts for candidate in candidates), len(set(cells)))
