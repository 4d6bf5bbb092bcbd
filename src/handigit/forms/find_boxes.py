"""Boxes, combs, tables, tick boxes and dotted lines found on the picture of a blank."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from handigit import Box
from handigit.forms.page_ink import Grey, ink_mask, ink_of, long_rules
from handigit.forms.specs import Area, FieldSpec, Kind

_PAGE_MM: Final = 297.0
"""Length of the longer side that a page is taken to have: boxes are judged by their size on A4."""
_MARK_MM: Final = (2.0, 6.5)
_CELL_MM: Final = (4.0, 18.0)
"""Side of a tick box, height of a cell that is written in."""
_GAP_MM: Final = 0.9
"""Distance of two cells that adjoin."""
_ALIKE: Final = 0.2
"""Difference in width of the cells of a comb."""
_EMPTY: Final = 0.05
"""Fraction of a cell that may be printed: the short dividers of a comb."""
_LINE_MM: Final = 18.0
"""Length of a line to write on."""


def find_boxes(page: Grey, *, per_mm: float | None = None) -> list[FieldSpec]:
    """The fields on an upright blank, without names; places in pixels.

    `per_mm`: pixels per millimetre; None: as if the page were A4.
    """
    per_mm = per_mm or max(page.shape) / _PAGE_MM
    mask = ink_mask(ink_of(page))
    cells = _cells(mask, per_mm)
    fields: list[FieldSpec] = []
    for row in _rows(cells, per_mm):
        fields += _fields_of(row, per_mm)
    return fields + _lines(mask, cells, per_mm)


def _cells(mask: Grey, per_mm: float) -> list[Box]:
    """The holes in the rules: components of paper that rules close off."""
    length = max(6, round(1.8 * per_mm))
    horizontal, vertical = long_rules(mask, length)
    rules = cv2.dilate(horizontal | vertical, np.ones((3, 3), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats((1 - rules).astype(np.uint8), connectivity=4)
    found = []
    low, high = _MARK_MM[0] * per_mm, _CELL_MM[1] * per_mm
    for left, top, width, height, size in stats[1:count].tolist():
        whole = size > 0.85 * width * height
        inside = mask[top + 2 : top + height - 2, left + 2 : left + width - 2]
        if low <= height <= high and width >= low and whole and inside.size and inside.mean() < _EMPTY:
            found.append(Box(left - 1, top - 1, left + width + 1, top + height + 1))
    return found


def _rows(cells: Sequence[Box], per_mm: float) -> list[list[Box]]:
    """Cells side by side that adjoin, from left to right."""
    rows: list[list[Box]] = []
    for cell in sorted(cells, key=lambda cell: (cell.left, cell.top)):
        for row in rows:
            last = row[-1]
            level = abs(last.top - cell.top) < _GAP_MM * per_mm and abs(last.bottom - cell.bottom) < _GAP_MM * per_mm
            if level and -_GAP_MM * per_mm < cell.left - last.right < _GAP_MM * per_mm:
                row.append(cell)
                break
        else:
            rows.append([cell])
    return rows


def _fields_of(row: Sequence[Box], per_mm: float) -> list[FieldSpec]:
    """A row of cells as one comb, or as single fields where their widths differ: runs of equal cells are combs."""
    runs: list[list[Box]] = []
    for cell in row:
        width = runs[-1][0].width if runs else 0
        comb_like = cell.width < 1.4 * cell.height
        if runs and comb_like and abs(cell.width - width) <= max(_ALIKE * width, 2):
            runs[-1].append(cell)
        else:
            runs.append([cell])
    fields = []
    for run in runs:
        first, last = run[0], run[-1]
        box = Area(first.left, first.top, last.right, last.bottom)
        high, wide = first.height / per_mm, first.width / per_mm
        square = 0.7 < wide / high < 1.4
        if len(run) > 1 and high >= _CELL_MM[0]:
            fields.append(FieldSpec("", Kind.NUMBER, box, cells=len(run)))
        elif len(run) == 1 and square and _MARK_MM[0] <= high <= _MARK_MM[1]:
            fields.append(FieldSpec("", Kind.MARK, box))
        elif high >= 11 and wide >= 35:
            fields.append(FieldSpec("", Kind.PRESENT, box))
        elif high >= _CELL_MM[0]:
            fields += [FieldSpec("", Kind.NUMBER, Area(cell.left, cell.top, cell.right, cell.bottom)) for cell in run]
    return fields


def _lines(mask: Grey, cells: Sequence[Box], per_mm: float) -> list[FieldSpec]:
    """Dotted or whole lines to write on, away from boxes: the room above them is the field."""
    joined = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((1, max(3, round(1.6 * per_mm))), np.uint8))
    length = round(_LINE_MM * per_mm)
    count, _, stats, _ = cv2.connectedComponentsWithStats(long_rules(joined, length)[0], connectivity=8)
    high = round(8 * per_mm)
    found: dict[int, list[FieldSpec]] = defaultdict(list)
    for left, top, width, thick, _ in stats[1:count].tolist():
        middle, reach = left + width // 2, per_mm + 6
        inside_box = any(cell.left - 3 <= middle <= cell.right + 3 and cell.top - reach <= top <= cell.bottom + reach
                         for cell in cells)  # fmt: skip
        above = mask[max(top - high, 0) : max(top - 2, 0), left : left + width]
        if thick <= max(4, 0.75 * per_mm) and not inside_box and above.size and above.mean() < 0.01 and top > high:
            box = Area(left, top - high, left + width, top + thick)
            found[top].append(FieldSpec("", Kind.NUMBER, box))
    return [field for row in found.values() for field in row]
