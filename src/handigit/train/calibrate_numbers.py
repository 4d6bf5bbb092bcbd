"""From held-out answers to honest confidences of whole numbers: a logistic curve, and thresholds for error rates.

It takes probabilities and whether each answer was right; what it finds goes into the model's card.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own abbreviation
from jaxtyping import Bool, Float64

from handigit.card import Threshold
from handigit.train.calibrate import choose_thresholds

_LEAST = 1e-9


@dataclass(frozen=True)
class NumberCalibration:
    """What the card says about confidence; as it stands, that nothing was calibrated."""

    steepness: float = 1.0
    shift: float = 0.0
    thresholds: tuple[Threshold, ...] = ()


def calibrate_numbers(probability: Float64[np.ndarray, " n"], right: Bool[np.ndarray, " n"]) -> NumberCalibration:
    """The curve of Platt (1999) through held-out answers, and thresholds on what it gives."""
    logits = torch.from_numpy(probability).clamp(_LEAST, 1 - _LEAST).logit()
    truth = torch.from_numpy(right)
    curve = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([curve], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = F.binary_cross_entropy_with_logits(curve[0] * logits + curve[1], truth.double())
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    steepness, shift = curve.detach().tolist()
    confidence = torch.sigmoid(steepness * logits + shift)
    return NumberCalibration(max(steepness, 1e-3), shift, choose_thresholds(confidence, truth))
