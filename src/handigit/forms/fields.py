"""The reading of each field of a placed page, before any check: numbers, marks, codes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import cv2
import numpy as np

from handigit import Box
from handigit.forms.align import Placement
from handigit.forms.cells import Cell, cell_crops, cell_of
from handigit.forms.columns import doubt_among_marks
from handigit.forms.crops import COMB_MARGINS, COMB_PX, MARGINS, WRITING_MARGINS, cut, fraction_on_page
from handigit.forms.marks import MarkReading, read_choice, read_mark, read_present
from handigit.forms.number_reader import NumberReader, Reading
from handigit.forms.page_ink import Grey
from handigit.forms.record import Alone, Field, FieldOutcome, Value
from handigit.forms.specs import FieldSpec, Kind
from handigit.forms.values import digits_pattern
from handigit.forms.votes import Hypotheses, is_empty, is_sure, vote
from handigit.forms.writing import cut_writing, find_small_writing

_CUT_OFF: Final = 0.97
"""Fraction of a field that must be on the picture."""


def read_fields(
    page: Grey, placement: Placement, reader: NumberReader, *, number: int = 0, keep_crops: bool = False
) -> tuple[dict[str, Field], dict[str, Hypotheses]]:
    """The fields of a page as read alone, and the hypotheses of the written ones, by name.

    `number`: the page's place in its source, from 0; `keep_crops`: whether fields keep their pictures.
    """
    fields: dict[str, Field] = {}
    hypotheses: dict[str, Hypotheses] = {}
    groups: dict[str | None, list[FieldSpec]] = defaultdict(list)
    for spec in placement.template.fields_on(placement.page):
        if spec.kind is Kind.IGNORE:
            continue
        if fraction_on_page(page, placement, spec) < _CUT_OFF:
            fields[spec.name] = Field(spec.name, spec.kind, FieldOutcome.DOUBT, note="the page is cut off here")
        elif spec.kind.is_written:
            groups[digits_pattern(spec)].append(spec)
        else:
            fields[spec.name] = _other_field(page, placement, spec)
    for pattern, specs in groups.items():
        combs = _read_combs(page, placement, [spec for spec in specs if _has_cells(spec, placement)], reader)
        for spec, found in _read_written(page, placement, specs, combs, pattern, reader).items():
            fields[spec.name], hypotheses[spec.name] = found
    fields |= doubt_among_marks(fields, [spec for specs in groups.values() for spec in specs])
    order = [spec for spec in placement.template.fields_on(placement.page) if spec.name in fields]
    placed = {
        spec.name: replace(
            fields[spec.name],
            box=_box(placement, spec),
            page=number,
            crop=cut(page, placement, spec, margin=MARGINS[1]) if keep_crops else None,
        )
        for spec in order
    }
    return placed, hypotheses


def _has_cells(spec: FieldSpec, placement: Placement) -> bool:
    """Whether a field is a comb that we printed: grey, and known to a tenth of a millimetre.

    On scanned forms of others, with black boxes known less well, reading cells made more errors than it mended.
    """
    return bool(spec.cells) and placement.template.pages[placement.page - 1].markers


def _read_written(
    page: Grey,
    placement: Placement,
    specs: Sequence[FieldSpec],
    combs: Mapping[str, Sequence[Cell]],
    pattern: str | None,
    reader: NumberReader,
) -> dict[FieldSpec, tuple[Field, Hypotheses]]:
    """Fields of one pattern read at their margins: an empty comb at none, one that is sure then at the first only."""

    def voted(spec: FieldSpec, votes: Sequence[Reading]) -> tuple[Field, Hypotheses]:
        return vote(spec, votes, combs.get(spec.name), reader.threshold)

    crops = {spec: _crops(page, placement, spec) for spec in specs if not is_empty(combs.get(spec.name))}
    firsts = dict(zip(crops, reader.read([one[0] for one in crops.values()], pattern=pattern), strict=True))
    found = {spec: voted(spec, [firsts[spec]] if spec in crops else []) for spec in specs}
    unsure = [spec for spec in crops if not is_sure(found[spec][0], combs.get(spec.name))]
    others = iter(reader.read([crop for spec in unsure for crop in crops[spec][1:]], pattern=pattern))
    for spec in unsure:
        found[spec] = voted(spec, [firsts[spec], *(next(others) for _ in crops[spec][1:])])
    return found


def _crops(page: Grey, placement: Placement, spec: FieldSpec) -> list[Grey]:
    """A field at several margins: around its box, or around its writing where that is much smaller."""
    if _has_cells(spec, placement):
        return [cut(page, placement, spec, margin=margin, tallest_px=COMB_PX) for margin in COMB_MARGINS]
    first = cut(page, placement, spec, margin=MARGINS[0])
    if (writing := find_small_writing(first)) is not None:
        return [cut_writing(first, writing, margin, sides=sides) for margin, sides in WRITING_MARGINS]
    return [first, *(cut(page, placement, spec, margin=margin) for margin in MARGINS[1:])]


def _read_combs(
    page: Grey, placement: Placement, specs: Sequence[FieldSpec], reader: NumberReader
) -> dict[str, list[Cell]]:
    """The cells of each comb, all read in one batch."""
    crops = {spec.name: cell_crops(page, placement, spec) for spec in specs}
    inked = [crop for cells in crops.values() for crop in cells if crop is not None]
    answers = iter(reader.read_digits(inked) if inked else [])
    combs = {}
    for spec in specs:
        cells = []
        for crop in crops[spec.name]:
            probabilities, strange = next(answers) if crop is not None else (None, False)
            cells.append(cell_of(probabilities, strange=strange, filler=bool(spec.filler)))
        combs[spec.name] = cells
    return combs


def _other_field(page: Grey, placement: Placement, spec: FieldSpec) -> Field:
    """Marks, choices, signatures and codes."""
    if spec.kind is Kind.CODE:
        return _read_code(page, placement, spec)
    chosen: str | None = None
    if spec.kind is Kind.CHOICE:
        chosen, reading = read_choice(page, placement, spec)
    elif spec.kind is Kind.PRESENT:
        reading = read_present(page, placement, spec)
    else:
        reading = read_mark(page, placement, spec)
    value: Value = chosen if spec.kind is Kind.CHOICE else reading.present
    text = chosen or "" if spec.kind is Kind.CHOICE else ("yes" if reading.present else "no")
    return Field(
        spec.name,
        spec.kind,
        _outcome(spec, reading),
        raw=text,
        text=text,
        value=value,
        confidence=reading.confidence,
        note=reading.note,
        alone=Alone(text, reading.confidence, _outcome(spec, reading), text, reading.note),
    )


def _outcome(spec: FieldSpec, reading: MarkReading) -> FieldOutcome:
    if not reading.sure:
        return FieldOutcome.DOUBT
    empty = spec.kind in {Kind.CHOICE, Kind.PRESENT} and not reading.present
    return FieldOutcome.BLANK if empty else FieldOutcome.READ


def _read_code(page: Grey, placement: Placement, spec: FieldSpec) -> Field:
    """A barcode or QR code; one that is there but cannot be read is a doubt."""
    import zxingcpp

    crop = cut(page, placement, spec, margin=0.25, tallest_px=1000)
    crop = crop if crop.shape[0] >= 96 else np.asarray(cv2.resize(crop, None, fx=2, fy=2), np.uint8)
    texts = [found.text for found in zxingcpp.read_barcodes(crop) if found.text]
    if len(texts) == 1:
        return Field(
            spec.name, spec.kind, FieldOutcome.READ, raw=texts[0], text=texts[0], value=texts[0], confidence=1.0
        )
    if texts:
        return Field(spec.name, spec.kind, FieldOutcome.DOUBT, note=f"{len(texts)} codes: {', '.join(texts)}")
    if read_present(page, placement, spec).present:
        return Field(spec.name, spec.kind, FieldOutcome.DOUBT, note="the code cannot be read")
    return Field(spec.name, spec.kind, FieldOutcome.BLANK, confidence=1.0)


def _box(placement: Placement, spec: FieldSpec) -> Box:
    """The upright box around a field, in pixels of the page."""
    corners = placement.corners(spec)
    left, top = np.floor(corners.min(axis=0)).astype(int).tolist()
    right, bottom = np.ceil(corners.max(axis=0)).astype(int).tolist()
    return Box(left, top, right, bottom)
