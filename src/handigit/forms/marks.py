"""Tick boxes, choices and signatures, by the ink of their inside beyond the print."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from handigit.forms.align import Placement
from handigit.forms.crops import cut
from handigit.forms.page_ink import Grey, ink_mask, ink_of
from handigit.forms.specs import Area, FieldSpec

_SIDE_PX: Final = 48
"""Shorter side of a box when its ink is counted."""
_INSIDE: Final = 0.14
"""Rim of a box, in heights, that belongs to its printed edge."""
_EMPTY, _MARKED = 0.012, 0.045
"""Fraction of a tick box that is ink: below the first it is empty, from the second it is marked."""
_FILLED: Final = 0.6
"""Fraction from which a box may have been filled to take its tick back."""
_UNSIGNED, _SIGNED = 0.004, 0.015
"""The same for a signature, whose strokes fill less of a larger box."""


@dataclass(frozen=True, slots=True)
class MarkReading:
    """Whether there is a mark, with what confidence, and whether that suffices."""

    present: bool
    confidence: float
    sure: bool
    note: str = ""


def read_mark(page: Grey, placement: Placement, field: FieldSpec, *, area: Area | None = None) -> MarkReading:
    """A tick box: marked or empty; a little ink, or a box filled all over, is a doubt."""
    ink = _ink_fraction(page, placement, field, area or field.box)
    if ink >= _FILLED:
        return MarkReading(True, 0.5, sure=False, note="filled all over: marked, or taken back")
    return _judge(ink, _EMPTY, _MARKED, "little ink")


def read_present(page: Grey, placement: Placement, field: FieldSpec) -> MarkReading:
    """Whether a field such as a signature has writing in it; a smudge is a doubt."""
    crop = _crop(page, placement, field.box.grown(-_INSIDE * min(field.box.height, 0.3 * field.box.width)), field)
    mask = ink_mask(ink_of(crop))
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    widths = stats[1:, cv2.CC_STAT_WIDTH] if count > 1 else np.zeros(1)
    reading = _judge(float(mask.mean()), _UNSIGNED, _SIGNED, "a smudge or little ink")
    # Writing has a long stroke; a smudge is one compact blot.
    if reading.present and reading.sure and widths.max() < 0.35 * crop.shape[0]:
        return MarkReading(True, 0.6, sure=False, note="a smudge or little ink")
    return reading


def read_choice(page: Grey, placement: Placement, field: FieldSpec) -> tuple[str | None, MarkReading]:
    """Which box of a choice is marked; two marked boxes are a doubt, none is a blank."""
    readings = [(value, read_mark(page, placement, field, area=area)) for value, area in field.choices]
    marked = [value for value, reading in readings if reading.present]
    confidence = min(reading.confidence for _, reading in readings)
    sure = all(reading.sure for _, reading in readings)
    if len(marked) > 1:
        return None, MarkReading(True, 0.5, sure=False, note=f"{' and '.join(marked)} are marked")
    note = next((reading.note for _, reading in readings if not reading.sure), "")
    return (marked[0] if marked else None), MarkReading(bool(marked), confidence, sure, note)


def _judge(ink: float, empty: float, marked: float, note: str) -> MarkReading:
    """Below, between and above two bounds; the confidence is even in the middle, on a logarithmic scale."""
    position = (np.log(max(ink, 1e-4)) - np.log(empty)) / (np.log(marked) - np.log(empty))
    probability = float(1 / (1 + np.exp(-6 * (position - 0.5))))
    sure = ink < empty or ink >= marked
    return MarkReading(probability >= 0.5, max(probability, 1 - probability), sure, "" if sure else note)


def _ink_fraction(page: Grey, placement: Placement, field: FieldSpec, area: Area) -> float:
    """Ink in the inside of a box; the rule of a box that is a little off touches its rim only and is left out."""
    crop = _crop(page, placement, area.grown(-_INSIDE * area.height), field)
    mask = ink_mask(ink_of(_with_paper(crop, page, placement, field, area)))
    rim = (mask.shape[0] - crop.shape[0]) // 2, (mask.shape[1] - crop.shape[1]) // 2
    inside = mask[rim[0] : rim[0] + crop.shape[0], rim[1] : rim[1] + crop.shape[1]]
    return float(_without_edges(np.asarray(inside)).mean())


def _crop(page: Grey, placement: Placement, area: Area, field: FieldSpec) -> Grey:
    crop = cut(page, placement, field, area=area)
    scale = _SIDE_PX / min(crop.shape)
    return np.asarray(cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else
                                 cv2.INTER_LINEAR), np.uint8)  # fmt: skip


def _with_paper(crop: Grey, page: Grey, placement: Placement, field: FieldSpec, area: Area) -> Grey:
    """The crop in a frame as bright as the paper around the box, so that a filled box is not taken for paper."""
    around = cut(page, placement, field, area=area, margin=0.6)
    paper = int(np.quantile(around, 0.9))
    return np.asarray(cv2.copyMakeBorder(crop, 60, 60, 60, 60, cv2.BORDER_CONSTANT, value=paper), np.uint8)


def _without_edges(mask: Grey) -> Grey:
    """Without straight lines along the borders, which are the printed box."""
    mask = mask.copy()
    high, wide = mask.shape
    edge = max(2, min(high, wide) // 8)
    for rows in (slice(0, edge), slice(high - edge, high)):
        part = mask[rows]
        mask[rows] = np.where(part.mean(axis=1, keepdims=True) > 0.6, 0, part)
    for columns in (slice(0, edge), slice(wide - edge, wide)):
        part = mask[:, columns]
        mask[:, columns] = np.where(part.mean(axis=0, keepdims=True) > 0.6, 0, part)
    return mask
