"""From a model's scores to how sure it is and what to do about it.

It knows what a card says (temperature, thresholds, the floor for non-digits), not how those were bought: that is the
learning half's work. It sees scores only, never pictures.
"""

import numpy as np
from jaxtyping import Float32, Float64

from handigit.card import Card
from handigit.records import Outcome


def probabilities(logits: Float32[np.ndarray, "n 10"], *, temperature: float) -> Float64[np.ndarray, "n 10"]:
    """How probable each digit is for each glyph."""
    return softmax(logits, temperature=temperature)


def softmax(logits: Float32[np.ndarray, "n classes"], *, temperature: float) -> Float64[np.ndarray, "n classes"]:
    """The softmax of the logits over the temperature: calibration by temperature scaling (Guo et al. 2017)."""
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def outcome(card: Card, *, confidence: float, target_error: float) -> Outcome:
    """What becomes of an input that has ink on it."""
    if confidence < card.digit_floor:
        return Outcome.NOT_A_NUMBER
    return Outcome.READ if confidence >= card.threshold(target_error) else Outcome.DOUBT
