"""Calibration on held-out data: confidence curve, thresholds per target error rate, floor for non-digits.

The result goes into the model's card; the test set is never used.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own abbreviation
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from handigit.card import Combination, Threshold

TARGET_ERRORS = (0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
NUMBER_TARGET_ERRORS = (0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.015, 0.01, 0.007, 0.005, 0.003, 0.002, 0.001, 0.0005)
_RIDGE = 1e-3
"""Penalty on the squares of a logistic curve's coefficients, which are for standardised features."""
_FLOOR_QUANTILE = 0.001
"""Fraction of validation digits, augmented copies included, that the floor may take for non-digits."""


@dataclass(frozen=True)
class Calibration:
    """The card's fields about confidence; the defaults mean "not calibrated".

    A digit's confidence is its softmax at `temperature`; a number's is the logistic curve of `steepness` and `shift`.
    """

    temperature: float = 1.0
    steepness: float = 1.0
    shift: float = 0.0
    thresholds: tuple[Threshold, ...] = ()
    digit_floor: float = 0.0
    combination: Combination | None = None


@dataclass(frozen=True, eq=False)
class Logistic:
    """A fitted logistic curve: intercept, coefficient of each feature, and its value for each fitted reading."""

    intercept: float
    coefficients: dict[str, float]
    confidence: Float64[np.ndarray, " n"]


def calibrate_digits(
    logits: Float[Tensor, "n 10"], labels: Int64[Tensor, " n"], outliers: Float[Tensor, "m 10"] | None = None
) -> Calibration:
    """Temperature, thresholds and floor from held-out logits.

    `outliers` are logits for held-out non-digits, in the proportion in which they are expected: reading one as a digit
    is an error that the thresholds count.
    """
    temperature = fit_temperature(logits, labels)
    confidence, answer = F.softmax(logits / temperature, dim=1).max(dim=1)
    floor = torch.quantile(confidence, _FLOOR_QUANTILE).item()
    correct = answer == labels
    if outliers is not None:
        confidence = torch.cat([confidence, F.softmax(outliers / temperature, dim=1).amax(dim=1)])
        correct = torch.cat([correct, torch.zeros(len(outliers), dtype=torch.bool)])
    thresholds = choose_thresholds(confidence, correct)
    return Calibration(temperature=temperature, thresholds=thresholds, digit_floor=floor)


def calibrate_numbers(
    logit: Float64[np.ndarray, " n"], correct: Bool[np.ndarray, " n"], weights: Float64[np.ndarray, " n"]
) -> Calibration:
    """The logistic curve (Platt 1999) and thresholds from held-out readings, each with its text's log-odds."""
    curve = fit_logistic({"logit": logit}, correct, weights)
    thresholds = choose_cautious_thresholds(curve.confidence, correct, weights)
    return Calibration(steepness=max(curve.coefficients["logit"], 1e-3), shift=curve.intercept, thresholds=thresholds)


def fit_logistic(
    features: dict[str, Float64[np.ndarray, " n"]], correct: Bool[np.ndarray, " n"], weights: Float64[np.ndarray, " n"]
) -> Logistic:
    """A logistic curve over features of weighted held-out readings, and its confidence in each of them."""
    names = sorted(features)
    values = np.stack([features[name] for name in names], axis=1)
    mean, scale = values.mean(axis=0), values.std(axis=0) + 1e-9
    inputs, truth = torch.from_numpy((values - mean) / scale), torch.from_numpy(correct).double()
    share = torch.from_numpy(weights / weights.sum())
    curve = torch.zeros(len(names) + 1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([curve], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.binary_cross_entropy_with_logits(inputs @ curve[1:] + curve[0], truth, share, reduction="sum")
        value = value + _RIDGE * curve[1:].square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    fitted = curve.detach()
    confidence = torch.sigmoid(inputs @ fitted[1:] + fitted[0]).numpy()
    slopes = fitted[1:].numpy() / scale
    coefficients = dict(zip(names, slopes.tolist(), strict=True))
    return Logistic(float(fitted[0]) - float(slopes @ mean), coefficients, confidence)


def choose_cautious_thresholds(
    confidence: Float64[np.ndarray, " n"],
    correct: Bool[np.ndarray, " n"],
    weights: Float64[np.ndarray, " n"],
    targets: Sequence[float] = NUMBER_TARGET_ERRORS,
) -> tuple[Threshold, ...]:
    """For each target, the lowest confidence above which the error rate of weighted readings is expected to meet it.

    One more error, of the largest weight, is counted than there are among the held-out readings, as in conformal risk
    control (Angelopoulos et al. 2022): what is promised for new readings must not rest on luck with few. Where that
    leaves nothing to read, the counted error alone decides: such a threshold is the best that is known, not a promise.
    It is 1 where not even the most confident readings meet the target.
    """
    order = np.argsort(-confidence, kind="stable")
    ranked, most = confidence[order], weights.max()
    count, wrong = weights[order].cumsum(), (weights * ~correct)[order].cumsum()
    thresholds, strictest = [], 0.0
    for target in sorted(targets, reverse=True):
        met = np.flatnonzero((wrong + most) / (count + most) <= target)
        if not len(met):
            met = np.flatnonzero(wrong / count <= target)
        strictest = max(strictest, float(ranked[met[-1]]) if len(met) else 1.0)
        thresholds.append(Threshold(target_error=target, confidence=strictest))
    return tuple(thresholds)


def fit_temperature(logits: Float[Tensor, "n 10"], labels: Int64[Tensor, " n"]) -> float:
    """The temperature with the smallest negative log-likelihood (Guo et al. 2017), between 0.05 and 20."""
    logits = logits.double()

    def loss(log_temperature: float) -> float:
        return F.cross_entropy(logits / np.exp(log_temperature), labels).item()

    low, high = float(np.log(0.05)), float(np.log(20.0))
    for _ in range(30):  # ternary search of a unimodal function; ends within 0.01 %
        left, right = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return float(np.exp((low + high) / 2))


def choose_thresholds(
    confidence: Float[Tensor, " n"], correct: Bool[Tensor, " n"], targets: Sequence[float] = TARGET_ERRORS
) -> tuple[Threshold, ...]:
    """For each target error rate, the lowest confidence at and above which the answers meet it.

    The threshold is 1 where even the most confident answers miss the target, so that nothing is read automatically.
    """
    order = confidence.argsort(descending=True)
    ranked = confidence[order]
    error_rates = (~correct[order]).double().cumsum(0) / torch.arange(1, len(order) + 1)
    last_of_ties = torch.cat([ranked[1:] < ranked[:-1], torch.ones(1, dtype=torch.bool)])
    thresholds = []
    for target in targets:
        accepted = ((error_rates <= target) & last_of_ties).nonzero()
        lowest = ranked[accepted[-1, 0]].item() if len(accepted) else 1.0
        thresholds.append(Threshold(target_error=target, confidence=min(1.0, max(0.0, lowest))))
    return tuple(thresholds)
