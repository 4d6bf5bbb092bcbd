"""Read rates: how many answers can be accepted by confidence alone at a target error rate. It imports only NumPy."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from handigit.errors import DataError
from handigit.evaluate.intervals import Interval, clopper_pearson


@dataclass(frozen=True, slots=True)
class ReadRate:
    """How many answers can be accepted by confidence alone at a target error rate.

    Answers with a confidence of at least `threshold` are accepted; None if no threshold meets the target. `bound` is
    the 95 % Clopper-Pearson interval of the true error for a threshold chosen beforehand; for one chosen on the same
    answers it is slightly optimistic.
    """

    error: float
    threshold: float | None
    accepted: int
    wrong: int
    n: int
    bound: Interval

    @property
    def share(self) -> float:
        """Fraction of all answers that is accepted."""
        return self.accepted / self.n

    @property
    def observed(self) -> float:
        """Fraction of the accepted answers that is wrong."""
        return self.wrong / max(self.accepted, 1)


@dataclass(frozen=True, slots=True, eq=False)
class RiskCoverage:
    """Every distinct threshold, from the strictest to none (El-Yaniv & Wiener 2010).

    Accepting answers with at least the confidence `thresholds[k]` accepts `accepted[k]` of them, of which `wrong[k]`
    are wrong. Answers of the same confidence are accepted together.
    """

    thresholds: Float64[np.ndarray, " k"]
    accepted: Int64[np.ndarray, " k"]
    wrong: Int64[np.ndarray, " k"]

    @property
    def coverage(self) -> Float64[np.ndarray, " k"]:
        """Fraction of all answers that is accepted."""
        return np.asarray(self.accepted / self.accepted[-1])

    @property
    def risk(self) -> Float64[np.ndarray, " k"]:
        """Fraction of the accepted answers that is wrong."""
        return np.asarray(self.wrong / self.accepted)


def risk_coverage(labels: Int64[np.ndarray, " n"], probabilities: Float[np.ndarray, "n 10"]) -> RiskCoverage:
    """Accepted and wrong answers at every threshold of confidence.

    Raises:
        DataError: no answers.
    """
    return risk_coverage_of(probabilities.argmax(axis=1) == labels, probabilities.max(axis=1))


def risk_coverage_of(right: Bool[np.ndarray, " n"], confidence: Float[np.ndarray, " n"]) -> RiskCoverage:
    """As above, from correctness and confidence alone.

    Raises:
        DataError: no answers.
    """
    if len(right) == 0:
        raise DataError("no answers to accept or refuse: 0 labels; give at least one")
    confidence = confidence.astype(np.float64)
    order = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum(~right[order])
    ends = np.flatnonzero(np.diff(confidence[order], append=-1.0))
    return RiskCoverage(confidence[order][ends], (ends + 1).astype(np.int64), wrong[ends].astype(np.int64))


def read_rate(
    labels: Int64[np.ndarray, " n"], probabilities: Float[np.ndarray, "n 10"], *, error: float = 0.01
) -> ReadRate:
    """The largest fraction of answers that a confidence threshold can accept with at most the fraction `error` wrong.

    Raises:
        DataError: no answers, or an error outside 0 to 1.
    """
    return read_rate_of(probabilities.argmax(axis=1) == labels, probabilities.max(axis=1), error=error)


def read_rate_of(
    right: Bool[np.ndarray, " n"], confidence: Float[np.ndarray, " n"], *, error: float = 0.01
) -> ReadRate:
    """As above, from correctness and confidence alone.

    Raises:
        DataError: no answers, or an error outside 0 to 1.
    """
    if not 0 <= error <= 1:
        raise DataError(f"error = {error} is not a fraction; give 0 to 1, such as 0.01")
    curve = risk_coverage_of(right, confidence)
    fit = np.flatnonzero(curve.wrong <= error * curve.accepted)
    if len(fit) == 0:
        return _rate(error, None, accepted=0, wrong=0, n=len(right))
    last = fit[-1]
    threshold = float(curve.thresholds[last])
    return _rate(error, threshold, accepted=int(curve.accepted[last]), wrong=int(curve.wrong[last]), n=len(right))


def read_rate_at(
    right: Bool[np.ndarray, " n"], confidence: Float[np.ndarray, " n"], *, threshold: float, error: float
) -> ReadRate:
    """The read rate of a threshold that was chosen beforehand for this target error."""
    accepted = confidence >= threshold
    return _rate(error, threshold, accepted=int(accepted.sum()), wrong=int((accepted & ~right).sum()), n=len(right))


def floor_at_loss(confidence: Float[np.ndarray, " n"], *, loss: float) -> float:
    """The highest floor below which at most the fraction `loss` of these answers falls.

    Raises:
        DataError: no answers, or a loss outside 0 to 1.
    """
    if len(confidence) == 0 or not 0 <= loss < 1:
        raise DataError(f"no floor at a loss of {loss} of {len(confidence)} answers; give answers and 0 <= loss < 1")
    return float(np.sort(confidence)[int(loss * len(confidence))])


def _rate(error: float, threshold: float | None, *, accepted: int, wrong: int, n: int) -> ReadRate:
    """A read rate with the exact bound of its error; 0 to 1 if nothing was accepted."""
    bound = clopper_pearson(wrong, accepted) if accepted else Interval(0.0, 1.0)
    return ReadRate(error, threshold, accepted=accepted, wrong=wrong, n=n, bound=bound)
