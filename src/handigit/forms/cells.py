"""Combs read cell by cell with the digit model, and both readings of a comb taken together.

Reading a comb as one line and reading its cells are nearly independent, so their probabilities are multiplied. On 351
drawn fields with real digits (MNIST test) 42 % could be read at 1 % errors by lines alone, 86 % by cells, 94 % by both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from handigit.forms.align import Placement
from handigit.forms.crops import cut
from handigit.forms.page_ink import Grey, ink_mask, ink_of
from handigit.forms.specs import Area, FieldSpec

INSET: Final = 0.04
"""How much of a cell's rim is left out, in heights: its printed edges."""
_EMPTY: Final = 0.02
"""Fraction of ink in the inside of a cell below which it is empty."""
_EMPTY_INSET: Final = 0.1
_BEAM: Final = 24
_TRUST: Final = 0.98
"""Probability that the digit model saw the writing at all."""
_SKIP_READ, _SKIP_STRANGE = 0.002, 0.1
"""Probability that a cell with ink holds no digit, where the digit model reads one and where it does not."""
_SKIP_FILLER: Final = 0.02, 0.6
"""The same in a field whose empty cells may be crossed out."""
_IGNORED: Final = 0.03
"""Probability that somebody wrote without regard to the cells."""
_LINE_FLOOR: Final = 0.05
"""A text that the line model does not list has this fraction of the probability that its texts leave."""


@dataclass(frozen=True, slots=True)
class Cell:
    """The content of a cell: the probabilities of the ten digits, and of no digit at all."""

    digits: tuple[float, ...]
    skip: float


def cell_crops(page: Grey, placement: Placement, field: FieldSpec) -> list[Grey | None]:
    """The inside of each cell of a comb; None where it is empty."""
    crops: list[Grey | None] = []
    for area in _areas(field):
        inside = cut(page, placement, field, area=area.grown(-_EMPTY_INSET * min(area.width, area.height)))
        empty = ink_mask(ink_of(inside)).mean() < _EMPTY
        inset = area.grown(-INSET * field.box.height)
        crops.append(None if empty else cut(page, placement, field, area=inset, tallest_px=80))
    return crops


def _areas(field: FieldSpec) -> list[Area]:
    box, count = field.box, field.cells or 1
    width = box.width / count
    return [Area(box.left + i * width, box.top, box.left + (i + 1) * width, box.bottom) for i in range(count)]


def cell_of(probabilities: Sequence[float] | None, *, strange: bool, filler: bool) -> Cell:
    """A cell from the digit model's answer, None for an empty cell; `strange`: by the model it is a non-digit."""
    if probabilities is None:
        return Cell((0.1,) * 10, 0.99)
    skip = (_SKIP_FILLER if filler else (_SKIP_READ, _SKIP_STRANGE))[strange]
    trust = 0.5 if strange else _TRUST
    return Cell(tuple(trust * share + (1 - trust) / 10 for share in probabilities), skip)


def together(line: Mapping[str, float], cells: Sequence[Cell]) -> dict[str, float]:
    """The probability of each text by line and cells; they sum to less than 1; other texts have the rest."""
    left = max(1 - sum(line.values()), 0.01) * _LINE_FLOOR
    texts = {*line, *_likely_texts(cells)} - {""}
    weights = {text: line.get(text, left) * _probability(text, cells) for text in texts}
    total = sum(weights.values()) + 1e-2 * left
    return {text: weight / total for text, weight in weights.items()}


def _probability(text: str, cells: Sequence[Cell]) -> float:
    """How likely the cells look as they do if the text was written into them, in order, some left out."""
    reached = np.zeros(len(text) + 1)
    reached[0] = 1.0
    digits = [int(character) for character in text]
    for cell in cells:
        step = np.array([cell.digits[digit] for digit in digits])
        moved = np.concatenate([[0.0], reached[:-1] * step * (1 - cell.skip)])
        reached = reached * cell.skip + moved
    return float((1 - _IGNORED) * reached[-1] + _IGNORED * 0.1 ** len(text))


def _likely_texts(cells: Sequence[Cell]) -> list[str]:
    """The likeliest texts by the cells alone."""
    beams = {"": 1.0}
    for cell in cells:
        options = [("", cell.skip), *((str(digit), (1 - cell.skip) * share) for digit, share in enumerate(cell.digits))]
        longer: dict[str, float] = {}
        for text, weight in beams.items():
            for character, share in options:
                longer[text + character] = longer.get(text + character, 0.0) + weight * share
        beams = dict(sorted(longer.items(), key=lambda pair: -pair[1])[:_BEAM])
    return list(beams)
