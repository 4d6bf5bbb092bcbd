"""Fields of forms: the candidates in the cells of one field joined, and columns of marks.

A field is a row of narrow cells side by side with a digit in each, or one cell with a box's proportions and several
candidates in it.
"""

from collections import Counter
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Integer

from handigit.records import Box
from handigit.segment.candidates import Candidate, connected_groups, on_one_row
from handigit.segment.page_rules import PageRules

_NARROW: Final = 1.4
"""Maximum width of a cell for one digit, in heights; columns of a table are wider."""
_SLIVER: Final = 0.25
"""Minimum width of a cell for a digit, in heights; anything narrower is the space between two rules, or a rule and the
edge of the paper."""
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
_FLAT: Final = 2.5
"""Minimum width of a dash in heights."""
_DASH_RIM: Final = 0.1
"""Minimum distance of a dash from the rules above and below its cell, in heights of the cell."""
_FEWEST: Final = 5
"""Written fields from which a column says something."""
_NO_NUMBERS: Final = 0.25
"""Fraction of a column's written fields that are no numbers, from which it is one of marks. On `forms/grades_eg`
columns of digits have at most 0.03, columns of marks at least 0.2."""
_SHARED: Final = 0.5
"""Fraction of the wider of two fields of a column that is above or below the other."""

Side = Float[np.ndarray, " n"] | Integer[np.ndarray, " n"]
Flags = Bool[np.ndarray, " n"]


def join_fields(candidates: list[Candidate], dashes: list[Box], rules: PageRules) -> list[Candidate]:
    """The candidates with those in one field of a form joined, and the dashes in cells that are otherwise empty."""
    flat = {one.box for one in candidates if one.parts == 1 and one.box.width >= _FLAT * one.box.height}
    with_cells = [(one, rules.cell(one.box)) for one in candidates if one.box not in flat]
    in_cells = [(candidate, cell) for candidate, cell in with_cells if cell is not None]
    dashed = _dashes_in_cells([*flat, *dashes], [cell for _, cell in in_cells], rules)
    joined = _join(sorted(in_cells + list(dashed), key=lambda pair: pair[0].box.left))
    flat -= {box for boxes in dashed.values() for box in boxes}
    free = [candidate for candidate, cell in with_cells if cell is None]
    return [*free, *(candidate for candidate in candidates if candidate.box in flat), *joined]


def _dashes_in_cells(dashes: list[Box], owned: list[Box], rules: PageRules) -> dict[tuple[Candidate, Box], list[Box]]:
    """A candidate for the dashes in each cell that contains nothing else and fits them, with the cell; and the dashes.

    A dash is as important as a digit of its width, so the candidate is at least half as high as it is wide.
    """
    found: dict[Box, list[Box]] = {}
    for dash in dashes:
        if any(_is_inside(dash, cell) for cell in owned):
            continue
        cell = next((cell for cell in found if _is_inside(dash, cell)), None) or rules.cell(dash)
        if cell is not None and _is_inside(dash, cell):
            found.setdefault(cell, []).append(dash)
    result = {}
    for cell, boxes in found.items():
        box = Box.around(boxes)
        grow = max(box.width // 2 - box.height, 0) // 2
        writing = Box(box.left, max(box.top - grow, cell.top), box.right, min(box.bottom + grow, cell.bottom))
        if _fits(writing, cell):
            result[Candidate(writing, len(boxes)), cell] = boxes
    return result


def _is_inside(dash: Box, cell: Box) -> bool:
    """Whether a dash is in the middle of a cell, and not the remains of a rule at its rim."""
    rim = _DASH_RIM * cell.height
    is_between = cell.left < dash.left and dash.right < cell.right
    return is_between and cell.top + rim < dash.top and dash.bottom < cell.bottom - rim


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
    level = abs(cell.top - next_cell.top) <= slack, abs(cell.bottom - next_cell.bottom) <= slack
    if not any(level) or not on_one_row(a.box, b.box) or height > _MAX_CELL_HEIGHT * max(a.box.height, b.box.height):
        return False
    if abs(cell.left - next_cell.left) <= 2 and abs(cell.right - next_cell.right) <= 2:
        return cell.width <= _MAX_CELL_ASPECT * cell.height  # one wall may be missing, and mirrored about each
    if not all(level):
        return False
    narrow, wide = sorted((cell.width, next_cell.width))
    contained = cell.left - 2 <= next_cell.left and next_cell.right <= cell.right + 2  # a divider ends between them
    if contained and wide <= _MAX_MERGED_CELLS * _NARROW * height:
        return True
    beside = -2 <= next_cell.left - cell.right <= max(8, 0.25 * height)
    if not beside or not _SLIVER * height <= narrow <= _NARROW * height or wide > _MAX_MERGED_CELLS * _NARROW * height:
        return False
    return all(
        candidate.box.width <= _MAX_DIGIT_ASPECT * candidate.box.height * max(1.0, space.width / narrow)
        for candidate, space in ((a, cell), (b, next_cell))
    )


def _merge(candidates: list[Candidate], cells: list[Box], owners: Counter[Box]) -> Candidate:
    """The candidates of one field as one; a lone candidate has a field only if it is alone in a cell that fits it."""
    if len(candidates) == 1 and not (_fits(candidates[0].box, cells[0]) and owners[cells[0]] == 1):
        return candidates[0]
    box = Box.around(candidate.box for candidate in candidates)
    return Candidate(box, sum(candidate.parts for candidate in candidates), len(set(cells)))


def _fits(writing: Box, cell: Box) -> bool:
    """Whether a cell has the proportions of a box around one number of this size."""
    return cell.height <= _MAX_CELL_HEIGHT * writing.height and cell.width <= _MAX_CELL_ASPECT * cell.height


def are_among_marks(left: Side, right: Side, *, written: Flags, no_number: Flags) -> Flags:
    """Whether each field, given its sides, is in a column of marks, where many written fields are no numbers.

    One to three upright strokes are 1, 11 and 111 in any hand; only the other fields of their column distinguish them.
    """
    width = right - left
    shared = np.minimum(right[:, None], right) - np.maximum(left[:, None], left)
    in_column = shared >= _SHARED * np.maximum(width[:, None], width)
    counts = (in_column & written).sum(axis=1)
    return np.asarray((counts >= _FEWEST) & ((in_column & no_number).sum(axis=1) >= _NO_NUMBERS * counts))
