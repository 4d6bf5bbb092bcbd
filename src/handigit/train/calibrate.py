"""From held-out answers to honest ones: temperature, thresholds for wanted error rates, and the floor for non-digits.

It takes logits and labels of validation data only; what it finds goes into the model's card.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own abbreviation
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from handigit.card import Threshold

TARGET_ERRORS = (0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
_DIGITS_LOST = 0.001  # share of validation digits, bent ones included, that the floor may take for something else


@dataclass(frozen=True)
class Calibration:
    """What the card says about confidence."""

    temperature: float
    thresholds: tuple[Threshold, ...]
    digit_floor: float


def calibrate(
    logits: Float[Tensor, "n 10"], labels: Int64[Tensor, " n"], outliers: Float[Tensor, "m 10"] | None = None
) -> Calibration:
    """Temperature, thresholds and the floor for non-digits from held-out answers.

    `outliers` are answers to held-out things that are no digit, as many of them as the digits will meet: reading one
    as a digit is an error that a threshold has to count.
    """
    temperature = fit_temperature(logits, labels)
    confidence, answer = F.softmax(logits / temperature, dim=1).max(dim=1)
    floor = torch.quantile(confidence, _DIGITS_LOST).item()
    right = answer == labels
    if outliers is not None:
        confidence = torch.cat([confidence, F.softmax(outliers / temperature, dim=1).amax(dim=1)])
        right = torch.cat([right, torch.zeros(len(outliers), dtype=torch.bool)])
    return Calibration(temperature, choose_thresholds(confidence, right), floor)


def fit_temperature(logits: Float[Tensor, "n 10"], labels: Int64[Tensor, " n"]) -> float:
    """The divisor of the logits with the least negative log-likelihood (Guo et al. 2017), within 0.05 to 20."""
    logits = logits.double()
    low, high = torch.tensor(0.05).log().item(), torch.tensor(20.0).log().item()
    for _ in range(30):  # ternary search: the loss has one valley in the temperature; ends within 0.01 %
        left, right = low + (high - low) / 3, high - (high - low) / 3
        if _loss_at(left, logits, labels) < _loss_at(right, logits, labels):
            high = right
        else:
            low = left
    return float(torch.tensor((low + high) / 2).exp())


def choose_thresholds(
    confidence: Float[Tensor, " n"], right: Bool[Tensor, " n"], targets: Sequence[float] = TARGET_ERRORS
) -> tuple[Threshold, ...]:
    """For each wanted error rate the least confidence whose answers, and all surer ones, keep to it.

    Where even the surest answers miss the target, the threshold is 1: nothing is read unseen.
    """
    order = confidence.argsort(descending=True)
    sure = confidence[order]
    errors = (~right[order]).double().cumsum(0) / torch.arange(1, len(order) + 1)
    last_of_equals = torch.cat([sure[1:] < sure[:-1], torch.ones(1, dtype=torch.bool)])
    thresholds = []
    for target in targets:
        kept = ((errors <= target) & last_of_equals).nonzero()
        least = sure[kept[-1, 0]].item() if len(kept) else 1.0
        thresholds.append(Threshold(target_error=target, confidence=min(1.0, max(0.0, least))))
    return tuple(thresholds)


def _loss_at(log_temperature: float, logits: Tensor, labels: Tensor) -> float:
    return F.cross_entropy(logits / torch.tensor(log_temperature).exp(), labels).item()


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
