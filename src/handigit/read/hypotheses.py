"""The readings of one crop by two number models -> ranked candidates.

The models were trained independently, so that a text both prefer is far more likely right than either alone. A text's
score is the product of its probabilities, the second's weakened by an exponent and never below a floor: one model's
blindness must not veto the other.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64

from handigit.card import Combination
from handigit.images.cancellation import check_cancelled
from handigit.images.strip import Strip
from handigit.read.ctc import GAP, UNKNOWN, Constraint, Hypothesis, decode
from handigit.read.number_engine import NumberEngine, padded_width

_MIN_PROBABILITY: Final = 1e-5
"""Probability of a text that the first model's beam does not contain."""
_MIN_SECOND: Final = 0.02
"""Probability from which a text is a candidate that only the second model has."""
_FORBIDDEN_WEIGHT: Final = 0.2
"""Weight of the probability that a constraint forbids: constraints are right far more often than a model is certain,
but a text that the picture contradicts must not become certain because nothing else is allowed."""
_OTHER: Final = "other"
_MIN_MARKED_DIGITS: Final = 2
"""Digits from which a text with one unknown mark is still a number, for a person to look at."""


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """One model's result for one crop: the strip it saw, its frame probabilities, and the texts, best first.

    `frame_px`: width of a frame in pixels of the strip.
    """

    strip: Strip
    probs: Float64[np.ndarray, "frames classes"]
    frame_px: float
    hypotheses: Sequence[Hypothesis]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A number that may be written in a crop, or, with an empty text, that none is.

    `probability`: according to all models; `first` and `second`: according to each. `marked` and `gapped`: fractions
    of the first model's probability in which an unknown mark, or an empty cell, is among the digits.
    """

    text: str
    raw: str
    probability: float
    first: float
    second: float = 0.0
    marked: float = 0.0
    gapped: float = 0.0


def read_strips(
    engine: NumberEngine, strips: Sequence[Strip], *, constraint: Constraint | None = None
) -> list[Reading]:
    """Run one model on strips and decode the result; a constraint reduces the texts to those it allows."""
    readings = []
    all_probs = engine.probabilities([strip.pixels for strip in strips])
    for strip, probs in zip(strips, all_probs, strict=True):
        check_cancelled()
        hypotheses = _condition(decode(probs, engine.card.alphabet, constraint=constraint), constraint)
        readings.append(Reading(strip, probs, padded_width(strip.width) / len(probs), hypotheses))
    return readings


def _condition(hypotheses: list[Hypothesis], constraint: Constraint | None) -> list[Hypothesis]:
    """The probabilities given that a constraint holds, as far as it is trusted."""
    if constraint is None:
        return hypotheses
    allowed = sum(hypothesis.probability for hypothesis in hypotheses)
    scale = 1 / max(allowed + _FORBIDDEN_WEIGHT * (1 - allowed), 1e-30)
    return [Hypothesis(h.raw, min(1.0, h.probability * scale)) for h in hypotheses]


@dataclass(slots=True)
class _Mass:
    """The probability of one text, over all ways to write it, and its most likely way."""

    raw: str
    best: float = 0.0
    total: float = 0.0
    marked: float = 0.0
    gapped: float = 0.0


def _by_text(hypotheses: Sequence[Hypothesis]) -> dict[str, _Mass]:
    """The probability of each number, of no number (the empty text), and of everything else (`_OTHER`)."""
    masses: dict[str, _Mass] = {}
    for hypothesis in hypotheses:
        marks = hypothesis.raw.count(UNKNOWN)
        text = hypothesis.text
        if marks > 1 or (marks and len(text) < _MIN_MARKED_DIGITS):
            text = ""
        mass = masses.setdefault(text, _Mass(hypothesis.raw))
        mass.total += hypothesis.probability
        mass.marked += hypothesis.probability * bool(marks)
        mass.gapped += hypothesis.probability * (GAP in hypothesis.raw.strip())
        if hypothesis.probability > mass.best:
            mass.raw, mass.best = hypothesis.raw, hypothesis.probability
    masses.setdefault("", _Mass(""))
    masses[_OTHER] = _Mass("", total=max(0.0, 1 - sum(mass.total for mass in masses.values())))
    return masses


def rank_candidates(
    first: Sequence[Hypothesis], second: Sequence[Hypothesis] | None = None, combination: Combination | None = None
) -> list[Candidate]:
    """The candidates of a crop, best first; their probabilities sum to at most 1.

    The rest belongs to texts that are forbidden or too improbable to be listed. Without a second model, probabilities
    are the first's.
    """
    ours = _by_text(first)
    if second is None or combination is None:
        return _sorted([_candidate(text, mass.raw, ours, mass.total) for text, mass in ours.items() if text != _OTHER])
    theirs = _by_text(second)
    raws = {text: mass.raw for text, mass in theirs.items() if mass.total >= _MIN_SECOND or text == _OTHER}
    raws |= {text: mass.raw for text, mass in ours.items()}
    scores = {
        text: math.log(max(_total(ours, text), _MIN_PROBABILITY))
        + combination.weight * math.log(max(_total(theirs, text), combination.floor))
        for text in raws
    }
    highest = max(scores.values())
    weights = {text: math.exp(score - highest) for text, score in scores.items()}
    scale = 1 / sum(weights.values())
    candidates = (
        _candidate(text, raws[text], ours, weight * scale, _total(theirs, text))
        for text, weight in weights.items()
        if text != _OTHER
    )
    return _sorted(list(candidates))


def _total(masses: dict[str, _Mass], text: str) -> float:
    return masses[text].total if text in masses else 0.0


def _candidate(text: str, raw: str, ours: dict[str, _Mass], probability: float, second: float = 0.0) -> Candidate:
    mass = ours.get(text, _Mass(raw))
    total = max(mass.total, 1e-30)
    return Candidate(text, raw, probability, mass.total, second, marked=mass.marked / total, gapped=mass.gapped / total)


def _sorted(candidates: list[Candidate]) -> list[Candidate]:
    return sorted(candidates, key=lambda candidate: -candidate.probability)
