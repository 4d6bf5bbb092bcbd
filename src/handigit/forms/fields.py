"""The reading of each field of a placed page, before any check: texts with their probabilities, marks, codes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np

from handigit import Box, Outcome
from handigit.forms.align import Placement
from handigit.forms.cells import Cell, cell_crops, cell_of, together
from handigit.forms.crops import COMB_MARGINS, COMB_PX, MARGINS, WRITING_MARGINS, cut, fraction_on_page
from handigit.forms.marks import MarkReading, read_choice, read_mark, read_present
from handigit.forms.number_reader import NumberReader, Reading
from handigit.forms.page_ink import Grey
from handigit.forms.record import Alone, Field, FieldOutcome, Value
from handigit.forms.specs import FieldSpec, Kind
from handigit.forms.values import digits_pattern, value_of
from handigit.forms.writing import cut_writing, find_small_writing

_AGREE: Final = 2
"""Crops that must agree for a text to be read."""
_SURELY_EMPTY: Final = 0.9
"""A comb all of whose cells are skipped with this probability is blank, whatever its printed lines look like."""
_DIGITS: Final = "0123456789"
_CUT_OFF: Final = 0.97
"""Fraction of a field that must be on the picture."""
_SEPARATORS: Final = " .,-/=$"
_NO_DATE: Final = 1e-3
"""Weight of a text that is no date, beside one that is."""
_DATES: Final = 0.04
"""Fraction of random texts that are dates or times."""
_ALTERNATIVES: Final = 5
_LISTED: Final = 48
"""Hypotheses that joint decoding works with."""
_LEAST: Final = 1e-5


@dataclass(frozen=True, slots=True)
class Hypotheses:
    """The texts that a field may hold, the likeliest first, with their probabilities; `raw` as written."""

    texts: tuple[tuple[str, float], ...]
    raw: str


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
        crops = [crop for spec in specs for crop in _crops(page, placement, spec)]
        readings = iter(reader.read(crops, pattern=pattern))
        combs = _read_combs(page, placement, [spec for spec in specs if _has_cells(spec, placement)], reader)
        for spec in specs:
            votes = [next(readings) for _ in (COMB_MARGINS if _has_cells(spec, placement) else MARGINS)]
            fields[spec.name], hypotheses[spec.name] = _vote(spec, votes, combs.get(spec.name), reader.threshold)
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


def _vote(
    spec: FieldSpec, votes: Sequence[Reading], cells: Sequence[Cell] | None, threshold: float
) -> tuple[Field, Hypotheses]:
    """The crops of a field, and its cells if it is a comb, as one reading."""
    sums: dict[str, float] = defaultdict(float)
    for vote in votes:
        for text, probability in vote.texts:
            sums[text] += probability / len(votes)
    nothing = [vote for vote in votes if not vote.texts]
    empty = cells is not None and all(cell.skip > _SURELY_EMPTY for cell in cells)
    if not sums or len(nothing) >= _AGREE or empty:
        return _without_number(spec, nothing, empty=empty), Hypotheses((), "")
    if cells is not None:
        ranked = sorted(_possible(spec, together(sums, cells)).items(), key=lambda pair: -pair[1])
        (text, confidence), note = ranked[0], ""
    else:
        ranked = sorted(_possible(spec, sums).items(), key=lambda pair: -pair[1])
        text, confidence = ranked[0]
        agreeing = [vote.texts[0][1] for vote in votes if vote.texts and vote.texts[0][0] == text]
        # Agreeing crops are as sure as the surer of them: the third one differs by its margin alone.
        confidence = max(confidence, min(max(agreeing, default=0.0), 1.5 * confidence))
        note = "" if len(agreeing) >= _AGREE else "the crops disagree"
    raw = next((vote.raw for vote in votes if vote.texts and vote.texts[0][0] == text), text)
    value = value_of(spec, text, raw)
    strange = raw.strip(_SEPARATORS + spec.filler)
    if value is None:
        note = f"{text} is not a {spec.kind}"
    elif any(character not in _DIGITS + _SEPARATORS for character in strange):
        note = f"{raw} has more than digits"
    outcome = FieldOutcome.READ if not note and confidence >= threshold else FieldOutcome.DOUBT
    texts = tuple(pair for pair in ranked[:_LISTED] if pair[1] >= _LEAST)
    field = Field(
        spec.name,
        spec.kind,
        outcome,
        raw=raw,
        text=text,
        value=value,
        confidence=confidence,
        alternatives=tuple(pair for pair in ranked[1 : 1 + _ALTERNATIVES] if pair[1] >= _LEAST),
        alone=Alone(text, confidence, outcome, raw, note, texts),
        note=note,
    )
    return field, Hypotheses(texts, raw)


def _possible(spec: FieldSpec, texts: Mapping[str, float]) -> Mapping[str, float]:
    """The probabilities with those texts held back that are no date or time, as there is no 76th of May."""
    if spec.kind not in {Kind.DATE, Kind.TIME}:
        return texts
    weights = {text: share * (1.0 if value_of(spec, text) is not None else _NO_DATE) for text, share in texts.items()}
    left = max(1 - sum(texts.values()), 0.0)
    total = sum(weights.values()) + left * _DATES
    return {text: weight / max(total, 1e-12) for text, weight in weights.items()}


def _without_number(spec: FieldSpec, votes: Sequence[Reading], *, empty: bool) -> Field:
    """An empty field, one crossed out with its filler, or one that holds something else."""
    if empty:
        return Field(spec.name, spec.kind, FieldOutcome.BLANK, confidence=0.99)
    raws = [vote.raw for vote in votes if vote.outcome is not Outcome.BLANK]
    if len(raws) < _AGREE and sum(vote.outcome is Outcome.BLANK for vote in votes) >= _AGREE:
        return Field(spec.name, spec.kind, FieldOutcome.BLANK, confidence=1.0)
    raw = raws[0] if raws else ""
    if spec.filler and raws and all(not raw.strip(spec.filler + _SEPARATORS) for raw in raws):
        return Field(spec.name, spec.kind, FieldOutcome.BLANK, raw=raw, confidence=0.9, note="crossed out")
    return Field(spec.name, spec.kind, FieldOutcome.DOUBT, raw=raw, note="crossed out, or not a number")


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
