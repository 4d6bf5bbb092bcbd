"""What is in each field of a placed page, before any check: texts with their probabilities, marks, codes."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np

from handigit import Box, Outcome
from handigit.forms.align import Placement
from handigit.forms.crops import MARGINS, cut, fraction_on_page
from handigit.forms.marks import MarkReading, read_choice, read_mark, read_present
from handigit.forms.number_reader import NumberReader, Reading
from handigit.forms.page_ink import Grey
from handigit.forms.record import Alone, Field, FieldOutcome, Value
from handigit.forms.template import FieldSpec, Kind
from handigit.forms.values import digits_pattern, value_of

_AGREE: Final = 2
"""Crops of three that must agree for a text to be read."""
_CUT_OFF: Final = 0.97
"""Fraction of a field that must be on the picture."""
_SEPARATORS: Final = " .,-/=$"
_ALTERNATIVES: Final = 5
_LEAST: Final = 1e-4


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
        crops = [cut(page, placement, spec, margin=margin) for spec in specs for margin in MARGINS]
        readings = reader.read(crops, pattern=pattern)
        for place, spec in enumerate(specs):
            votes = readings[place * len(MARGINS) : (place + 1) * len(MARGINS)]
            fields[spec.name], hypotheses[spec.name] = _vote(spec, votes, reader.threshold)
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


def _vote(spec: FieldSpec, votes: Sequence[Reading], threshold: float) -> tuple[Field, Hypotheses]:
    """Three crops of a field as one reading: their mean, read only if two of them agree."""
    sums: dict[str, float] = defaultdict(float)
    for one in votes:
        for text, probability in one.texts:
            sums[text] += probability / len(votes)
    ranked = sorted(sums.items(), key=lambda pair: -pair[1])
    nothing = [one for one in votes if not one.texts]
    if not ranked or len(nothing) >= _AGREE:
        return _without_number(spec, nothing), Hypotheses((), "")
    text, confidence = ranked[0]
    raw = next((one.raw for one in votes if one.texts and one.texts[0][0] == text), text)
    agreeing = sum(bool(one.texts) and one.texts[0][0] == text for one in votes)
    strange = raw.strip(_SEPARATORS + spec.filler)
    value = value_of(spec, text, raw)
    note = ""
    if agreeing < _AGREE:
        note = "the crops disagree"
    elif value is None:
        note = f"{text} is not a {spec.kind}"
    elif any(character not in "0123456789" + _SEPARATORS for character in strange):
        note = f"{raw} has more than digits"
    # Two agreeing crops are as sure as the surer of them: the third one differs by its margin alone.
    sure = max((one.texts[0][1] for one in votes if one.texts and one.texts[0][0] == text), default=0.0)
    confidence = max(confidence, min(sure, 1.5 * confidence))
    outcome = FieldOutcome.READ if not note and confidence >= threshold else FieldOutcome.DOUBT
    field = Field(
        spec.name,
        spec.kind,
        outcome,
        raw=raw,
        text=text,
        value=value,
        confidence=confidence,
        alternatives=tuple(ranked[1 : 1 + _ALTERNATIVES]),
        alone=Alone(text, confidence, outcome),
        note=note,
    )
    return field, Hypotheses(tuple(pair for pair in ranked if pair[1] >= _LEAST), raw)


def _without_number(spec: FieldSpec, votes: Sequence[Reading]) -> Field:
    """An empty field, one crossed out with its filler, or one that holds something else."""
    raws = [one.raw for one in votes if one.outcome is not Outcome.BLANK]
    if len(raws) < _AGREE and sum(one.outcome is Outcome.BLANK for one in votes) >= _AGREE:
        return Field(spec.name, spec.kind, FieldOutcome.BLANK, confidence=1.0)
    raw = raws[0] if raws else ""
    if spec.filler and raws and all(not one.strip(spec.filler + _SEPARATORS) for one in raws):
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
        alone=Alone(text, reading.confidence, _outcome(spec, reading)),
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
        return Field(spec.name, spec.kind, FieldOutcome.READ, raw=texts[0], text=texts[0], value=texts[0], confidence=1.0)
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
