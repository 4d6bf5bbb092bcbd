"""What confidence buys: how many answers can be accepted at which error.

It knows labels and probabilities, nothing of how a reader's threshold is stored or used.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64

from handigit.errors import DataError
from handigit.evaluate.intervals import Interval, clopper_pearson
from handigit.evaluate.scores import ReadRate


@dataclass(frozen=True, slots=True, eq=False)
class RiskCoverage:
    """Every threshold that tells answers apart, from the strictest to none (El-Yaniv & Wiener 2010).

    Accepting answers with at least the confidence `thresholds[k]` accepts `accepted[k]` of them, of which `wrong[k]`
    are wrong. Answers of the same confidence are accepted together.
    """

    thresholds: Float64[np.ndarray, " k"]
    accepted: Int64[np.ndarray, " k"]
    wrong: Int64[np.ndarray, " k"]

    @property
    def coverage(self) -> Float64[np.ndarray, " k"]:
        """The share of all answers that is accepted."""
        return np.asarray(self.accepted / self.accepted[-1])

    @property
    def risk(self) -> Float64[np.ndarray, " k"]:
        """The share of the accepted answers that is wrong."""
        return np.asarray(self.wrong / self.accepted)


def risk_coverage(labels: Int64[np.ndarray, " n"], probabilities: Float[np.ndarray, "n 10"]) -> RiskCoverage:
    """Accepted and wrong answers at every threshold of confidence.

    Raises:
        DataError: no answers.
    """
    if len(labels) == 0:
        raise DataError("no answers to accept or refuse: 0 labels; give at least one")
    confidence = probabilities.max(axis=1).astype(np.float64)
    order = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum(probabilities.argmax(axis=1)[order] != labels[order])
    ends = np.flatnonzero(np.diff(confidence[order], append=-1.0))
    return RiskCoverage(confidence[order][ends], (ends + 1).astype(np.int64), wrong[ends].astype(np.int64))


def read_rate(
    labels: Int64[np.ndarray, " n"], probabilities: Float[np.ndarray, "n 10"], *, error: float = 0.01
) -> ReadRate:
    """The largest share of answers that a confidence threshold can accept with at most the share `error` wrong.

    Raises:
        DataError: no answers, or an error that is no share.
    """
    if not 0 <= error <= 1:
        raise DataError(f"error = {error} is no share of wrong answers; give 0 to 1, such as 0.01")
    curve = risk_coverage(labels, probabilities)
    fit = np.flatnonzero(curve.wrong <= error * curve.accepted)
    if len(fit) == 0:
        return ReadRate(error, None, accepted=0, wrong=0, n=len(labels), bound=Interval(0.0, 1.0))
    accepted, wrong = int(curve.accepted[fit[-1]]), int(curve.wrong[fit[-1]])
    return ReadRate(
        error,
        float(curve.thresholds[fit[-1]]),
        accepted=accepted,
        wrong=wrong,
        n=len(labels),
        bound=clopper_pearson(wrong, accepted),
    )
