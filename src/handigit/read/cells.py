"""A number written into cells side by side: read cell by cell, and compared with the reading as one line."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from handigit.card import Card
from handigit.read.ctc import UNKNOWN
from handigit.read.numbers import ReadOptions
from handigit.records import Box, Number, Outcome, parse_value

_TRUST_LINE_FROM: Final = 0.5
"""Confidence from which the line wins over cells that lack some of its digits."""


def join_cells(cells: Sequence[Number]) -> Number | None:
    """The number formed by cells that were read one by one; None if they contain no digit, or a word.

    Its confidence is the product of theirs, its outcome a doubt. Empty or crossed-out cells are skipped.
    """
    if any(UNKNOWN in cell.raw for cell in cells):
        return None
    boxed = [(cell.box, cell) for cell in cells if cell.text and cell.box]
    if not boxed:
        return None
    ordered = [cell for _, cell in sorted(boxed, key=lambda pair: pair[0].left)]
    text = "".join(cell.text for cell in ordered)
    return Number(
        outcome=Outcome.DOUBT,
        text=text,
        confidence=math.prod(cell.confidence for cell in ordered),
        digits=tuple(digit for cell in ordered for digit in cell.digits),
        raw=text,
        box=Box.around(box for box, _ in boxed),
        value=parse_value(text),
    )


def pick_line_or_cells(line: Number, cells: Number | None, options: ReadOptions, card: Card) -> Number:
    """The more confident of a number read as one line and the same read cell by cell.

    Where they differ it is a doubt, because a digit may have been removed with the frame of its cell. Cells with
    fewer digits win only where the line is more likely wrong than right: strokes may have been taken for cells.
    """
    if cells is None or (options.constraint is not None and not options.constraint.allows(cells.text)):
        return line
    if cells.text == line.text:
        confidence = max(cells.confidence, line.confidence)
        sure = confidence >= card.threshold(options.target_error)
        return replace(line, confidence=confidence, outcome=Outcome.READ if sure else Outcome.DOUBT)
    enough = _TRUST_LINE_FROM if len(cells.text) < len(line.text) else cells.confidence
    if line.text and line.confidence >= min(enough, cells.confidence):
        return replace(line, outcome=Outcome.DOUBT)
    return cells
