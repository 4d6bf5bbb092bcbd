"""Combine predictions from several views of one picture.

The digit as cut out is classified first. If the model is sure of it and it is not oversized, or if the picture has no
other view, that is the result. Otherwise the other views are classified too. Each view votes with a weight that falls
with its entropy, so that a model trained to answer non-digits with a flat distribution ignores views without a digit.
The result is the weighted mean, never the most confident view: views that contradict each other end in doubt.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float32, Float64

from handigit.images import Views
from handigit.read.digit_engine import Engine, decide_outcome
from handigit.records import Box, Digit, Outcome

_SURE: Final = 0.97
"""Probability from which the first view is accepted alone."""
_OVERSIZED_WEIGHT: Final = 0.25
"""Factor on the vote of an oversized digit: between 0.1 and 0.5 it makes no difference."""
_MIN_RIVAL: Final = 0.4
"""Minimum vote weight of a view that can contradict a confident first one."""
_SURE_OF_FRAME: Final = 0.9
"""Probability from which a frame without ink is accepted: of 2,000 empty ones with grain, fog or slopes, one was."""
BLANK_DIGIT: Final = Digit(outcome=Outcome.BLANK, value=None, confidence=0.0, probabilities=(0.1,) * 10, box=None)


@dataclass(frozen=True, slots=True, eq=False)
class DigitPrediction:
    """The probability of each digit, the glyph with the largest weight, and the box around the ink."""

    probs: Float64[np.ndarray, " 10"]
    glyph: Float32[np.ndarray, "28 28"]
    box: Box


def read_digits(engine: Engine, views: Sequence[Views], *, target_error: float) -> list[Digit]:
    """The digit in each picture, with its outcome."""
    return [
        BLANK_DIGIT if prediction is None else _to_digit(engine, prediction, target_error)
        for prediction in predict_digits(engine, views)
    ]


def _to_digit(engine: Engine, prediction: DigitPrediction, target_error: float) -> Digit:
    probs = prediction.probs.tolist()
    confidence = max(probs)
    outcome = decide_outcome(engine.card, confidence=confidence, target_error=target_error)
    return Digit(
        outcome=outcome,
        value=None if outcome is Outcome.NOT_A_NUMBER else probs.index(confidence),
        confidence=confidence,
        probabilities=tuple(probs),
        box=prediction.box,
        glyph=prediction.glyph,
    )


def predict_digits(engine: Engine, views: Sequence[Views]) -> list[DigitPrediction | None]:
    """The model's prediction for each picture; None for a blank one."""
    predictions = _predict_first_views(engine, views)
    others = {n: glyphs for n, first in enumerate(predictions) if (glyphs := _views_needed(first, views[n]))}
    if others:
        probs = iter(engine.probabilities(np.stack([glyph for glyphs in others.values() for glyph in glyphs])))
        for n, glyphs in others.items():
            whole = Box(0, 0, *glyphs[0].shape[::-1])
            more = [DigitPrediction(next(probs), glyph, whole) for glyph in glyphs]
            predictions[n] = _combine(predictions[n], more, oversized=views[n].oversized)
    return predictions


def _predict_first_views(engine: Engine, views: Sequence[Views]) -> list[DigitPrediction | None]:
    """The predictions for the digits that were cut out."""
    digits = [view.found for view in views]
    glyphs = [digit.glyph for digit in digits if digit is not None]
    probs: Iterator[np.ndarray] = iter(engine.probabilities(np.stack(glyphs)) if glyphs else ())
    return [None if digit is None else DigitPrediction(next(probs), digit.glyph, digit.box) for digit in digits]


def _views_needed(first: DigitPrediction | None, views: Views) -> tuple[Float32[np.ndarray, "28 28"], ...]:
    """The other views, unless the first one settles it."""
    settled = first is not None and first.probs.max() >= _SURE and not views.oversized and views.inverted is None
    return () if settled else views.others()


def _combine(
    first: DigitPrediction | None, others: Sequence[DigitPrediction], *, oversized: bool
) -> DigitPrediction | None:
    """The weighted mean of the first prediction and those for the other views."""
    if first is not None and first.probs.max() >= _SURE and not oversized:  # the polarity was doubtful
        others = [other for other in others if _vote_weight(other.probs) >= _MIN_RIVAL]
    predictions = [first, *others] if first else others
    weights = np.array([_vote_weight(prediction.probs) for prediction in predictions])
    if oversized:
        weights[0] *= _OVERSIZED_WEIGHT
    mean = weights @ np.stack([prediction.probs for prediction in predictions]) / weights.sum()
    if first is None and mean.max() < _SURE_OF_FRAME:
        return None
    return DigitPrediction(mean, predictions[int(weights.argmax())].glyph, predictions[0].box)


def _vote_weight(probs: Float64[np.ndarray, " 10"]) -> float:
    """(1 - normalised entropy) squared: 1 for a certain view, almost 0 for a flat one."""
    entropy = -float(probs @ np.log(np.maximum(probs, 1e-12)))
    return max(1 - entropy / math.log(len(probs)), 1e-6) ** 2
