"""Scores from labels and probabilities: accuracy, calibration, confusions, read rates. It imports only NumPy."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from handigit.errors import BadDataFile, DataError
from handigit.evaluate.intervals import Interval, wilson
from handigit.evaluate.read_rates import ReadRate, read_rate


@dataclass(frozen=True, slots=True)
class ClassScores:
    """Scores of one digit. Precision is 0 if it was never predicted, recall is 0 if it has no samples."""

    digit: int
    support: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class Averages:
    """Macro averages over the digits that occur among the labels."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Answers with confidence in (low, high]: their mean confidence and accuracy."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class ConfusionPair:
    """How often the digit `truth` was read as `answer`."""

    truth: int
    answer: int
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Everything measured on one labelled set.

    `masked` are indices left out of `masked_accuracy` only. `reliability` has the non-empty bins.
    `confusion` has true digits as rows and answers as columns. `pairs` are sorted by frequency, `misclassified`
    (indices into the set) by confidence, highest first. Losses are natural logarithms.
    """

    n: int
    accuracy: float
    accuracy_interval: Interval
    masked: tuple[int, ...]
    masked_accuracy: float
    classes: tuple[ClassScores, ...]
    macro: Averages
    nll: float
    brier: float
    calibration_error: float
    reliability: tuple[ReliabilityBin, ...]
    confusion: Int64[np.ndarray, "10 10"]
    pairs: tuple[ConfusionPair, ...]
    misclassified: tuple[int, ...]
    read_rates: tuple[ReadRate, ...]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scores) and self.as_dict() == other.as_dict()

    __hash__ = None  # type: ignore[assignment]  # equal by value, and it holds an array

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and dicts for JSON; `from_dict` is the inverse."""
        lists = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return {**lists, "confusion": self.confusion.tolist()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Scores":
        """The inverse of `as_dict`.

        Raises:
            BadDataFile: a field is missing, unknown, or of the wrong type.
        """
        try:
            return cls(**{**values, **_rebuild(values)})
        except (KeyError, TypeError, ValueError) as problem:
            raise BadDataFile(
                f"these are not the scores of an evaluation: {problem}; evaluate the model again"
            ) from None


def _rebuild(values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of Scores that JSON has no type for."""
    return {
        "accuracy_interval": Interval(**values["accuracy_interval"]),
        "masked": tuple(values["masked"]),
        "classes": tuple(ClassScores(**item) for item in values["classes"]),
        "macro": Averages(**values["macro"]),
        "reliability": tuple(ReliabilityBin(**item) for item in values["reliability"]),
        "confusion": np.array(values["confusion"], dtype=np.int64).reshape(10, 10),
        "pairs": tuple(ConfusionPair(**item) for item in values["pairs"]),
        "misclassified": tuple(values["misclassified"]),
        "read_rates": tuple(ReadRate(**{**item, "bound": Interval(**item["bound"])}) for item in values["read_rates"]),
    }


DISPUTED_MNIST = (947, 1621, 1901, 2130, 2462, 2597, 2654, 3520, 3558, 5937, 6651, 6783, 8527, 9679, 9729)
"""MNIST test images whose label a majority of human raters disputes (Northcutt, Athalye & Mueller 2021,
"Pervasive Label Errors in Test Sets Destabilize Machine Learning Benchmarks", recounted)."""

READ_ERRORS = (0.001, 0.005, 0.01)
"""Target error rates for which Scores report read rates."""

BINS = 15
"""Equal-width bins of the calibration error, as in Guo et al. 2017."""

MIN_PROBABILITY = 1e-12
"""Smallest probability in a logarithm: one certain mistake costs 27.6 instead of infinity."""


def score(
    labels: Int64[np.ndarray, " n"], probabilities: Float[np.ndarray, "n 10"], *, masked: Sequence[int] = ()
) -> Scores:
    """Score probabilities against labels; the answer is the most probable digit, the lower one in a tie.

    `masked` are indices with unreliable labels, such as DISPUTED_MNIST: only `masked_accuracy` leaves them out.

    Raises:
        DataError: nothing to score, lengths that differ, labels outside 0..9, an index outside the set, or rows that
            are no probabilities.
    """
    _check(labels, probabilities, masked)
    answers = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = answers == labels
    confusion = confusion_matrix(labels, answers)
    classes = class_scores(confusion)
    reliability = reliability_bins(right, confidence)
    wrong = np.flatnonzero(~right)
    return Scores(
        n=len(labels),
        accuracy=float(right.mean()),
        accuracy_interval=wilson(int(right.sum()), len(labels)),
        masked=tuple(int(index) for index in masked),
        masked_accuracy=float(np.delete(right, list(masked)).mean()),
        classes=classes,
        macro=_averages(classes),
        nll=_nll(labels, probabilities),
        brier=_brier(labels, probabilities),
        calibration_error=_calibration_error(reliability),
        reliability=reliability,
        confusion=confusion,
        pairs=confusion_pairs(confusion),
        misclassified=tuple(wrong[np.argsort(-confidence[wrong], kind="stable")].tolist()),
        read_rates=tuple(read_rate(labels, probabilities, error=error) for error in READ_ERRORS),
    )


def confusion_matrix(labels: Int64[np.ndarray, " n"], answers: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, "10 10"]:
    """Counts of each true digit (row) and answer (column)."""
    return np.bincount(labels * 10 + answers, minlength=100).reshape(10, 10).astype(np.int64)


def confusion_pairs(confusion: Int64[np.ndarray, "10 10"]) -> tuple[ConfusionPair, ...]:
    """The confusions that occur, most frequent first, then by truth and answer."""
    mistakes = confusion - np.diag(np.diag(confusion))
    pairs = [ConfusionPair(int(t), int(a), int(mistakes[t, a])) for t, a in np.argwhere(mistakes)]
    return tuple(sorted(pairs, key=lambda pair: (-pair.count, pair.truth, pair.answer)))


def class_scores(confusion: Int64[np.ndarray, "10 10"]) -> tuple[ClassScores, ...]:
    """Precision, recall and F1 of each digit; 0 where undefined."""
    hits = np.diag(confusion)
    answered, support = confusion.sum(axis=0), confusion.sum(axis=1)
    precision = hits / np.maximum(answered, 1)
    recall = hits / np.maximum(support, 1)
    f1 = 2 * hits / np.maximum(answered + support, 1)
    return tuple(
        ClassScores(digit, int(support[digit]), float(precision[digit]), float(recall[digit]), float(f1[digit]))
        for digit in range(10)
    )


def reliability_bins(
    right: Bool[np.ndarray, " n"], confidence: Float64[np.ndarray, " n"]
) -> tuple[ReliabilityBin, ...]:
    """The answers sorted into BINS bins of equal width by confidence; empty bins are left out."""
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    return tuple(
        ReliabilityBin(
            low=int(index) / BINS,
            high=(int(index) + 1) / BINS,
            count=int((bins == index).sum()),
            confidence=float(confidence[bins == index].mean()),
            accuracy=float(right[bins == index].mean()),
        )
        for index in np.unique(bins)
    )


def calibration_error(right: Bool[np.ndarray, " n"], confidence: Float64[np.ndarray, " n"]) -> float:
    """The expected calibration error over BINS bins (Guo et al. 2017), of at least one answer."""
    return _calibration_error(reliability_bins(right, confidence))


def _calibration_error(reliability: Sequence[ReliabilityBin]) -> float:
    """Mean gap between confidence and accuracy over the bins, weighted by answers (Guo et al. 2017)."""
    distance = sum(item.count * abs(item.accuracy - item.confidence) for item in reliability)
    return distance / sum(item.count for item in reliability)


def _averages(classes: Sequence[ClassScores]) -> Averages:
    present = [item for item in classes if item.support]
    return Averages(
        precision=sum(item.precision for item in present) / len(present),
        recall=sum(item.recall for item in present) / len(present),
        f1=sum(item.f1 for item in present) / len(present),
    )


def _nll(labels: Int64[np.ndarray, " n"], probabilities: Float[np.ndarray, "n 10"]) -> float:
    """Mean negative logarithm of the true digit's probability."""
    true = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.clip(true, MIN_PROBABILITY, 1.0)).mean())


def _brier(labels: Int64[np.ndarray, " n"], probabilities: Float[np.ndarray, "n 10"]) -> float:
    """Mean squared distance of the probabilities from the truth, 0 to 2 (Brier 1950)."""
    return float(((probabilities.astype(np.float64) - np.eye(10)[labels]) ** 2).sum(axis=1).mean())


def _check(labels: Int64[np.ndarray, " a"], probabilities: Float[np.ndarray, "b 10"], masked: Sequence[int]) -> None:
    """Reject input that has no meaningful score."""
    if len(labels) != len(probabilities):
        raise DataError(f"{len(labels)} labels but {len(probabilities)} answers; give one row per label")
    if len(labels) == 0:
        raise DataError("nothing to score: 0 labels; give at least one")
    if labels.min() < 0 or labels.max() > 9:
        bad = int(np.flatnonzero((labels < 0) | (labels > 9))[0])
        raise DataError(f"label {labels[bad]} at index {bad} is not a digit; labels are 0 to 9")
    totals = probabilities.sum(axis=1, dtype=np.float64)
    invalid = np.flatnonzero(~((np.abs(totals - 1) < 1e-3) & (probabilities >= 0).all(axis=1)))
    if len(invalid):
        raise DataError(
            f"row {invalid[0]} sums to {totals[invalid[0]]:.4g} or is negative; give probabilities, not logits"
        )
    if outside := [index for index in masked if not 0 <= index < len(labels)]:
        raise DataError(f"masked index {outside[0]} is outside a set of {len(labels)}; mask only what is in it")
    if len(set(masked)) == len(labels):
        raise DataError(f"all {len(labels)} labels are masked; leave at least one to score")
