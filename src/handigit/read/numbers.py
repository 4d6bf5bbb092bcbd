"""Ranked candidates of a crop -> a number: its text, its digits with their boxes, its confidence and outcome."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from jaxtyping import Float64

from handigit.card import Card
from handigit.images.cancellation import check_cancelled
from handigit.images.strip import Strip
from handigit.read.crops import PairReading
from handigit.read.ctc import DIGITS, Constraint, align
from handigit.read.hypotheses import Candidate, Reading, rank_candidates
from handigit.records import Box, Digit, Number, Outcome, parse_value

_MAX_ALTERNATIVES: Final = 12
"""Alternatives of a number, unless more are asked for."""
_MIN_ALTERNATIVE: Final = 1e-4
"""Minimum confidence of an alternative."""
_MAX_DIGIT_WIDTH: Final = 0.8
"""Width of a digit's box, in heights of the strip, beyond which ink at either end belongs to something else."""
_NOT_A_NUMBER_RATIO: Final = 1.5
"""`not_a_number` must be this much more likely than the best number: a doubt costs a glance, a lost number more."""
_MAX_GAPPED: Final = 0.05
"""Probability of an empty cell among the digits from which a number is a doubt."""
_BLANK_FROM: Final = 0.5
"""Probability of no writing at all from which a crop is blank."""
_INKED: Final = 0.3
"""Ink strength from which a pixel counts for a box."""

BLANK: Final = Number(outcome=Outcome.BLANK, text="", confidence=0.0)


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Target error, the allowed texts, the order of a date's digits, and how many alternatives are kept."""

    target_error: float = 0.01
    constraint: Constraint | None = None
    dates: str | None = None
    max_alternatives: int = _MAX_ALTERNATIVES


def combine(pair: PairReading, card: Card, options: ReadOptions, *, size: tuple[int, int]) -> Number:
    """The number in a crop of `size` (height, width), from the readings of one or two models."""
    check_cancelled()
    if is_blank(pair.first, pair.second):
        return BLANK
    second = pair.second.hypotheses if pair.second else None
    candidates = rank_candidates(pair.first.hypotheses, second, card.combination)
    return to_number(pair.first, candidates, card, options, size=size)


def to_number(
    reading: Reading, candidates: Sequence[Candidate], card: Card, options: ReadOptions, *, size: tuple[int, int]
) -> Number:
    """The number in a crop of `size` (height, width), from its first reading and its ranked candidates."""
    numbers = likely_numbers(candidates)
    if not numbers:
        return _not_a_number(reading, candidates, size)
    best = numbers[0]
    confidence = estimate_confidence(best, candidates, card)
    sure = confidence >= card.threshold(options.target_error) and best.gapped <= _MAX_GAPPED
    return Number(
        outcome=Outcome.READ if sure else Outcome.DOUBT,
        text=best.text,
        confidence=confidence,
        digits=_digits(best.raw, reading, card.alphabet, size),
        alternatives=_alternatives(numbers, confidence, options.max_alternatives),
        raw=best.raw.strip(),
        box=_tight_box(reading.strip, 0, reading.strip.width, size=size),
        value=parse_value(best.raw, dates=options.dates),
    )


def likely_numbers(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates that are numbers, best first; none if it probably is not a number."""
    numbers = [candidate for candidate in candidates if candidate.text]
    likely = numbers and _p_not_a_number(candidates) <= _NOT_A_NUMBER_RATIO * numbers[0].probability
    return numbers if likely else []


def _p_not_a_number(candidates: Sequence[Candidate]) -> float:
    return sum(candidate.probability for candidate in candidates if not candidate.text)


def estimate_confidence(best: Candidate, candidates: Sequence[Candidate], card: Card) -> float:
    """The calibrated probability that the best candidate is right, by the card's logistic curve."""
    if card.combination is None:
        return card.confidence(best.probability) * (1 - best.marked)
    return card.combination.confidence(features(best, candidates)) * (1 - best.marked)


def features(best: Candidate, candidates: Sequence[Candidate]) -> dict[str, float]:
    """Features that distinguish right from wrong texts of two models, for a logistic curve."""
    second_best = max((candidate.second for candidate in candidates if candidate is not best), default=0.0)
    return {
        "logit": _logit(best.probability),
        "first": math.log(max(best.first, 1e-5)),
        "second": math.log(max(best.second, 1e-3)),
        "agree": float(best.second > second_best),
        "length": math.log(len(best.text)),
    }


def _logit(probability: float) -> float:
    within = min(max(probability, 1e-6), 1 - 1e-6)
    return math.log(within / (1 - within))


def _not_a_number(reading: Reading, candidates: Sequence[Candidate], size: tuple[int, int]) -> Number:
    """The result for a crop without a number."""
    raw = reading.hypotheses[0].raw if reading.hypotheses else ""
    return Number(
        outcome=Outcome.NOT_A_NUMBER,
        text="",
        confidence=min(1.0, _p_not_a_number(candidates)),
        raw=raw,
        box=_tight_box(reading.strip, 0, reading.strip.width, size=size),
    )


def is_blank(first: Reading, second: Reading | None) -> bool:
    """Whether the crop is empty: by the first model and, if there is one, the second."""
    return _p_empty(first) >= _BLANK_FROM and (second is None or _p_empty(second) >= _BLANK_FROM)


def _p_empty(reading: Reading) -> float:
    return sum(hypothesis.probability for hypothesis in reading.hypotheses if not hypothesis.raw.strip())


def _alternatives(numbers: Sequence[Candidate], confidence: float, count: int) -> tuple[tuple[str, float], ...]:
    """The runners-up share the confidence that the best text leaves, and none exceeds it."""
    best, *others = numbers
    scale = (1 - confidence) / max(1 - best.probability, 1e-9)
    pairs = [(other.text, min(other.probability * scale, confidence)) for other in others[:count]]
    return tuple((text, value) for text, value in pairs if value >= _MIN_ALTERNATIVE)


def _digits(raw: str, reading: Reading, alphabet: str, size: tuple[int, int]) -> tuple[Digit, ...]:
    """Each digit of the text, with its box and the probability of each of the ten."""
    raw = "".join(character for character in raw if character in alphabet)
    strip, probs = reading.strip, reading.probs
    spans = align(probs, [1 + alphabet.index(character) for character in raw])
    columns = _columns(strip, spans * reading.frame_px)
    digits = []
    for character, span, (left, right) in zip(raw, spans, columns, strict=True):
        if character in DIGITS:
            ten = _digit_probabilities(probs[max(span[0], 0) : max(span[1], 1)], alphabet)
            box = _tight_box(strip, left, right, size=size)
            digits.append(Digit(Outcome.READ, int(character), ten[int(character)], ten, box))
    return tuple(digits)


def _digit_probabilities(frames: Float64[np.ndarray, "n classes"], alphabet: str) -> tuple[float, ...]:
    """The ten digits' probabilities in the least blank frame, normalised."""
    clearest = frames[int(frames[:, 0].argmin())]
    ten = np.array([clearest[1 + alphabet.index(digit)] for digit in DIGITS]) + 1e-9
    return tuple((ten / ten.sum()).tolist())


def _columns(strip: Strip, spans_px: Float64[np.ndarray, "characters 2"]) -> list[tuple[int, int]]:
    """The columns of each character; neighbours are cut where there is the least ink between their middles."""
    ink = strip.ink
    sums = ink.sum(axis=0)
    middles = np.minimum(spans_px.mean(axis=1), strip.width - 1)
    cuts = [
        int(first) + int(sums[int(first) : max(int(second), int(first)) + 1].argmin())
        for first, second in pairwise(middles.tolist())
    ]
    written = np.flatnonzero((ink > _INKED).any(axis=0))
    reach = _MAX_DIGIT_WIDTH * len(ink)
    start = max(int(written[0]) if len(written) else 0, int(middles[0] - reach))
    stop = min(int(written[-1]) + 1 if len(written) else strip.width, int(middles[-1] + reach))
    lefts, rights = [min(start, int(middles[0])), *cuts], [*cuts, max(stop, int(middles[-1]) + 1)]
    return [(left, max(right, left + 1)) for left, right in zip(lefts, rights, strict=True)]


def _tight_box(strip: Strip, left: int, right: int, *, size: tuple[int, int]) -> Box:
    """The box in the crop around the ink between these columns of the strip."""
    ink = strip.ink
    rows, columns = np.nonzero(ink[:, left:right] > _INKED)
    if not len(rows):
        return strip.box_of((left, 0, right, len(ink)), size=size)
    edges = left + int(columns.min()), int(rows.min()), left + int(columns.max()) + 1, int(rows.max()) + 1
    return strip.box_of(edges, size=size)
