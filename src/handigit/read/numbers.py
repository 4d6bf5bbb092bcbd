"""A decoded line -> a number: its text, its digits with their boxes, its confidence and outcome."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from jaxtyping import Float64, UInt8

from handigit.card import Card
from handigit.images.line import INK_PX, LINE_PX, Line, find_line
from handigit.read.ctc import DIGITS, Constraint, Hypothesis, align
from handigit.read.hypotheses import DecodedLine
from handigit.records import Box, Digit, Number, Outcome, parse_value

_MAX_ALTERNATIVES: Final = 4
_MIN_ALTERNATIVE: Final = 1e-4
"""Minimum confidence of an alternative."""
_MAX_DIGIT_WIDTH: Final = 1.3
"""Width of a digit's box, in heights, beyond which ink at either end belongs to something else."""
_NOT_A_NUMBER_RATIO: Final = 1.5
"""`not_a_number` must be 1.5 times as likely as the best number: a false doubt costs a glance, a lost number more."""
_INKED: Final = 0.3
"""Ink strength in a line from which a pixel counts for a box."""

BLANK: Final = Number(outcome=Outcome.BLANK, text="", confidence=0.0)


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Target error, the allowed texts, the model's classes that cannot occur, and the order of a date's digits."""

    target_error: float = 0.01
    constraint: Constraint | None = None
    excluded: tuple[int, ...] = ()
    dates: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CropWithLine:
    """A crop, ink dark on light, and the line found in it; None where nothing is written."""

    line: Line | None
    crop: UInt8[np.ndarray, "height width"]

    @classmethod
    def of(cls, crop: UInt8[np.ndarray, "height width"]) -> "CropWithLine":
        """Find the line in a crop."""
        return cls(find_line(crop), crop)

    @property
    def size(self) -> tuple[int, int]:
        """The crop's height and width in pixels."""
        return self.crop.shape[0], self.crop.shape[1]


def to_number(crop: CropWithLine, decoded: DecodedLine, card: Card, options: ReadOptions) -> Number:
    """The number on a decoded line; boxes are in pixels of the crop."""
    line, size = crop.line, crop.size
    assert line is not None
    numbers = _likely_numbers(decoded.hypotheses)
    if not numbers:
        return _no_number(decoded.hypotheses, line, size)
    best = numbers[0]
    confidence = card.confidence(best.probability)
    sure = confidence >= card.threshold(options.target_error)
    return Number(
        outcome=Outcome.READ if sure else Outcome.DOUBT,
        text=best.text,
        confidence=confidence,
        digits=_digits(best.raw, line, decoded.probs, card, size),
        alternatives=_alternatives(numbers, confidence),
        raw=best.raw,
        box=_tight_box(line, 0, line.width, size=size),
        value=parse_value(best.raw, dates=options.dates),
    )


def best_number(hypotheses: Sequence[Hypothesis]) -> Hypothesis | None:
    """The most likely number among the texts of a line; None where there probably is none."""
    return next(iter(_likely_numbers(hypotheses)), None)


def _likely_numbers(hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
    """The numbers among the texts of a line, best first; none if it probably is not a number.

    Numbers that differ only in separators are merged.
    """
    merged: dict[str, Hypothesis] = {}
    for hypothesis in hypotheses:
        if hypothesis.is_number:
            first = merged.get(hypothesis.text)
            raw, before = (first.raw, first.probability) if first else (hypothesis.raw, 0.0)
            merged[hypothesis.text] = Hypothesis(raw, min(1.0, before + hypothesis.probability))
    numbers = sorted(merged.values(), key=lambda number: -number.probability)
    likely = numbers and _p_not_a_number(hypotheses) <= _NOT_A_NUMBER_RATIO * numbers[0].probability
    return numbers if likely else []


def _p_not_a_number(hypotheses: Sequence[Hypothesis]) -> float:
    return min(1.0, sum(hypothesis.probability for hypothesis in hypotheses if not hypothesis.is_number))


def _no_number(hypotheses: Sequence[Hypothesis], line: Line, size: tuple[int, int]) -> Number:
    """The result for a line without a number: blank, or something else."""
    if hypotheses and not hypotheses[0].raw:
        return BLANK
    return Number(
        outcome=Outcome.NOT_A_NUMBER,
        text="",
        confidence=_p_not_a_number(hypotheses),
        raw=hypotheses[0].raw if hypotheses else "",
        box=_tight_box(line, 0, line.width, size=size),
    )


def _alternatives(numbers: Sequence[Hypothesis], confidence: float) -> tuple[tuple[str, float], ...]:
    """The runners-up share the confidence that the best text leaves, and none exceeds it."""
    best, *others = numbers
    scale = (1 - confidence) / max(1 - best.probability, 1e-9)
    pairs = [(other.text, min(other.probability * scale, confidence)) for other in others[:_MAX_ALTERNATIVES]]
    return tuple((text, value) for text, value in pairs if value >= _MIN_ALTERNATIVE)


def _digits(
    raw: str, line: Line, probs: Float64[np.ndarray, "frames classes"], card: Card, size: tuple[int, int]
) -> tuple[Digit, ...]:
    """Each digit of the text, with its box and the probability of each of the ten."""
    spans = align(probs, [1 + card.alphabet.index(character) for character in raw])
    columns = _columns(line, spans * (line.width / len(probs)))
    digits = []
    for character, span, (left, right) in zip(raw, spans, columns, strict=True):
        if character in DIGITS:
            ten = _digit_probabilities(probs[span[0] : span[1]], card.alphabet)
            box = _tight_box(line, left, right, size=size)
            digits.append(Digit(Outcome.READ, int(character), ten[int(character)], ten, box))
    return tuple(digits)


def _digit_probabilities(frames: Float64[np.ndarray, "n classes"], alphabet: str) -> tuple[float, ...]:
    """The ten digits' probabilities in the least blank frame, normalised."""
    clearest = frames[int(frames[:, 0].argmin())]
    ten = np.array([clearest[1 + alphabet.index(digit)] for digit in DIGITS]) + 1e-9
    return tuple((ten / ten.sum()).tolist())


def _columns(line: Line, spans_px: Float64[np.ndarray, "characters 2"]) -> list[tuple[int, int]]:
    """The columns of each character; neighbours are cut where there is the least ink between their middles."""
    ink = line.pixels.sum(axis=0)
    middles = spans_px.mean(axis=1)
    cuts = [
        int(first) + int(ink[int(first) : max(int(second), int(first)) + 1].argmin())
        for first, second in pairwise(middles.tolist())
    ]
    written = np.flatnonzero((line.pixels > _INKED).any(axis=0))
    reach = _MAX_DIGIT_WIDTH * INK_PX
    start = max(int(written[0]) if len(written) else 0, int(middles[0] - reach))
    stop = min(int(written[-1]) + 1 if len(written) else line.width, int(middles[-1] + reach))
    lefts, rights = [min(start, int(middles[0])), *cuts], [*cuts, max(stop, int(middles[-1]) + 1)]
    return [(left, max(right, left + 1)) for left, right in zip(lefts, rights, strict=True)]


def _tight_box(line: Line, left: int, right: int, *, size: tuple[int, int]) -> Box:
    """The box in the crop around the ink between these columns of the line."""
    rows, columns = np.nonzero(line.pixels[:, left:right] > _INKED)
    if not len(rows):
        return line.box_of((left, 0, right, LINE_PX), size=size)
    edges = left + int(columns.min()), int(rows.min()), left + int(columns.max()) + 1, int(rows.max()) + 1
    return line.box_of(edges, size=size)
