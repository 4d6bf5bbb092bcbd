"""The readings of a field at several margins, and of its cells if it is a comb, taken together as one."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from handigit import Outcome
from handigit.forms.cells import Cell, together
from handigit.forms.number_reader import Reading
from handigit.forms.record import Alone, Field, FieldOutcome
from handigit.forms.specs import FieldSpec, Kind
from handigit.forms.values import value_of

_AGREE: Final = 2
"""Crops that must agree for a text to be read."""
_SURE: Final = 0.99
"""Confidence of a comb's line and cells together from which it is not cut at another margin: of 610 drawn combs 595 are
right, 568 read and 5 of these wrong, as with two crops of each, by 665 crops instead of 1,220."""
_SURELY_EMPTY: Final = 0.9
"""Probability that nothing is in a cell from which it is empty, whatever its printed lines look like."""
_DIGITS: Final = "0123456789"
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


def is_empty(cells: Sequence[Cell] | None) -> bool:
    """Whether all cells of a comb are empty; then it is blank, whatever its line is read as."""
    return cells is not None and all(cell.skip > _SURELY_EMPTY for cell in cells)


def is_sure(field: Field, cells: Sequence[Cell] | None) -> bool:
    """Whether a comb needs no crop at another margin. Other fields always do: only crops that agree are read."""
    return cells is not None and field.outcome is FieldOutcome.READ and field.confidence >= _SURE


def vote(
    spec: FieldSpec, votes: Sequence[Reading], cells: Sequence[Cell] | None, threshold: float
) -> tuple[Field, Hypotheses]:
    """The crops of a field, and its cells if it is a comb, as one reading."""
    shares = _mean([one.shares for one in votes])
    nothing = [one for one in votes if not one.texts]
    empty = is_empty(cells)
    if not shares or len(nothing) >= _AGREE or empty:
        return _without_number(spec, nothing, empty=empty), Hypotheses((), "")
    if cells is not None:
        ranked = listed = _ranked(spec, together(shares, cells))
        (text, confidence), note = ranked[0], ""
    else:
        ranked, listed = _ranked(spec, _mean([dict(one.texts) for one in votes])), _ranked(spec, shares)
        text, confidence = ranked[0]
        agreeing = [one.texts[0][1] for one in votes if one.texts and one.texts[0][0] == text]
        # Agreeing crops are as sure as the surer of them: the third one differs by its margin alone.
        confidence = max(confidence, min(max(agreeing, default=0.0), 1.5 * confidence))
        note = "" if len(agreeing) >= _AGREE else "the crops disagree"
    raw = next((one.raw for one in votes if one.texts and one.texts[0][0] == text), text)
    value = value_of(spec, text, raw)
    strange = raw.strip(_SEPARATORS + spec.filler)
    if value is None:
        note = f"{text} is not a {spec.kind}"
    elif any(character not in _DIGITS + _SEPARATORS for character in strange):
        note = f"{raw} has more than digits"
    outcome = FieldOutcome.READ if not note and confidence >= threshold else FieldOutcome.DOUBT
    texts = tuple(pair for pair in listed[:_LISTED] if pair[1] >= _LEAST)
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


def _mean(votes: Sequence[Mapping[str, float]]) -> dict[str, float]:
    sums: dict[str, float] = defaultdict(float)
    for one in votes:
        for text, share in one.items():
            sums[text] += share / len(votes)
    return sums


def _ranked(spec: FieldSpec, texts: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(_possible(spec, texts).items(), key=lambda pair: -pair[1])


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
    raws = [one.raw for one in votes if one.outcome is not Outcome.BLANK]
    if len(raws) < _AGREE and sum(one.outcome is Outcome.BLANK for one in votes) >= _AGREE:
        return Field(spec.name, spec.kind, FieldOutcome.BLANK, confidence=1.0)
    raw = raws[0] if raws else ""
    if spec.filler and raws and all(not raw.strip(spec.filler + _SEPARATORS) for raw in raws):
        return Field(spec.name, spec.kind, FieldOutcome.BLANK, raw=raw, confidence=0.9, note="crossed out")
    return Field(spec.name, spec.kind, FieldOutcome.DOUBT, raw=raw, note="crossed out, or not a number")
