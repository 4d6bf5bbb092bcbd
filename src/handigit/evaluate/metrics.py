"""Figures from labels and probabilities: right or wrong, how sure, and what is taken for what.

It knows nothing of models, pictures or files, and loads NumPy alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from handigit.errors import BadDataFile, DataError
from handigit.evaluate.intervals import Interval, clopper_pearson, wilson


@dataclass(frozen=True, slots=True)
class ClassScores:
    """One digit's scores. A digit that was never answered has precision 0; one without samples has recall 0."""

    digit: int
    support: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class Averages:
    """Means over the digits that occur among the labels, each counting alike."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The answers whose confidence lies in (low, high]: their mean confidence and the share that was right."""

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


@dataclass(frozen=True, slots=True)
class ReadRate:
    """How much may be accepted by confidence alone if at most the share `error` of it may be wrong.

    Answers with a confidence of at least `threshold` are accepted; None where no threshold keeps the error.
    `bound` is the 95 % Clopper-Pearson interval of the true error, for a threshold chosen beforehand: one chosen on
    these same answers flatters itself a little.
    """

    error: float
    threshold: float | None
    accepted: int
    wrong: int
    n: int
    bound: Interval

    @property
    def share(self) -> float:
        """The share of all answers that is accepted."""
        return self.accepted / self.n

    @property
    def observed(self) -> float:
        """The share of the accepted answers that is wrong."""
        return self.wrong / max(self.accepted, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """All that is measured on one labelled set.

    `masked` are indices left out of `masked_accuracy` only. `reliability` holds the bins that hold any answer.
    `confusion` has true digits as rows and answers as columns. `pairs` come most frequent first, and `misclassified`
    (indices into the set) most confident first. Losses are natural logarithms.
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
        """Plain numbers, lists and dicts, ready for JSON; `from_dict` is the way back."""
        lists = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return {**lists, "confusion": self.confusion.tolist()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Scores":
        """The scores that `as_dict` wrote.

        Raises:
            BadDataFile: a field is missing, too many, or not of its kind.
        """
        try:
            return cls(**{**values, **_nouns(values)})
        except (KeyError, TypeError, ValueError) as problem:
            raise BadDataFile(
                f"these are not the scores of an evaluation: {problem}; evaluate the model again"
            ) from None


def _nouns(values: Mapping[str, Any]) -> dict[str, Any]:
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
    return risk_coverage_of(probabilities.argmax(axis=1) == labels, probabilities.max(axis=1))


def risk_coverage_of(right: Bool[np.ndarray, " n"], confidence: Float[np.ndarray, " n"]) -> RiskCoverage:
    """The same of answers of which only this is known: right or not, and how sure.

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
    """The largest share of answers that a confidence threshold can accept with at most the share `error` wrong.

    Raises:
        DataError: no answers, or an error that is no share.
    """
    return read_rate_of(probabilities.argmax(axis=1) == labels, probabilities.max(axis=1), error=error)


def read_rate_of(
    right: Bool[np.ndarray, " n"], confidence: Float[np.ndarray, " n"], *, error: float = 0.01
) -> ReadRate:
    """The same of answers of which only this is known: right or not, and how sure.

    Raises:
        DataError: no answers, or an error that is no share.
    """
    if not 0 <= error <= 1:
        raise DataError(f"error = {error} is no share of wrong answers; give 0 to 1, such as 0.01")
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
    """What a threshold that was chosen beforehand, for this wanted error, accepts of these answers."""
    accepted = confidence >= threshold
    return _rate(error, threshold, accepted=int(accepted.sum()), wrong=int((accepted & ~right).sum()), n=len(right))


def floor_at_loss(confidence: Float[np.ndarray, " n"], *, loss: float) -> float:
    """The highest floor under which lies at most the share `loss` of these answers.

    Raises:
        DataError: no answers, or a loss that is no share below 1.
    """
    if len(confidence) == 0 or not 0 <= loss < 1:
        raise DataError(f"no floor at a loss of {loss} of {len(confidence)} answers; give answers and 0 <= loss < 1")
    return float(np.sort(confidence)[int(loss * len(confidence))])


def _rate(error: float, threshold: float | None, *, accepted: int, wrong: int, n: int) -> ReadRate:
    """A read rate with the exact bound of its error; of nothing accepted nothing is known."""
    bound = clopper_pearson(wrong, accepted) if accepted else Interval(0.0, 1.0)
    return ReadRate(error, threshold, accepted=accepted, wrong=wrong, n=n, bound=bound)


DISPUTED_MNIST = (947, 1621, 1901, 2130, 2462, 2597, 2654, 3520, 3558, 5937, 6651, 6783, 8527, 9679, 9729)
"""MNIST test images whose label a majority of human raters disputes (Northcutt, Athalye & Mueller 2021,
"Pervasive Label Errors in Test Sets Destabilize Machine Learning Benchmarks", recounted)."""

READ_ERRORS = (0.001, 0.005, 0.01)
"""The wanted error rates for which Scores say how much could be accepted."""

BINS = 15
"""Equal-width bins of the calibration error, as in Guo et al. 2017."""

LEAST_PROBABILITY = 1e-12
"""What a probability of 0 counts as in a logarithm: one certain mistake then costs 27.6, not infinity."""


def score(
    labels: Int64[np.ndarray, " n"], probabilities: Float[np.ndarray, "n 10"], *, masked: Sequence[int] = ()
) -> Scores:
    """Measure answers against labels; the answer is the most probable digit, the lower one of two alike.

    `masked` are indices whose labels are not to be trusted, such as DISPUTED_MNIST: `masked_accuracy` leaves them out,
    all other figures keep them.

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
    """How often each true digit (row) got each answer (column)."""
    return np.bincount(labels * 10 + answers, minlength=100).reshape(10, 10).astype(np.int64)


def confusion_pairs(confusion: Int64[np.ndarray, "10 10"]) -> tuple[ConfusionPair, ...]:
    """The mistakes that happened, most frequent first, then by truth and answer."""
    mistakes = confusion - np.diag(np.diag(confusion))
    pairs = [ConfusionPair(int(t), int(a), int(mistakes[t, a])) for t, a in np.argwhere(mistakes)]
    return tuple(sorted(pairs, key=lambda pair: (-pair.count, pair.truth, pair.answer)))


def class_scores(confusion: Int64[np.ndarray, "10 10"]) -> tuple[ClassScores, ...]:
    """Precision, recall and F1 of each of the ten digits; a share of nothing is 0."""
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
    places = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    return tuple(
        ReliabilityBin(
            low=int(place) / BINS,
            high=(int(place) + 1) / BINS,
            count=int((places == place).sum()),
            confidence=float(confidence[places == place].mean()),
            accuracy=float(right[places == place].mean()),
        )
        for place in np.unique(places)
    )


def calibration_error(right: Bool[np.ndarray, " n"], confidence: Float64[np.ndarray, " n"]) -> float:
    """The expected calibration error over BINS bins (Guo et al. 2017), of at least one answer."""
    return _calibration_error(reliability_bins(right, confidence))


def _calibration_error(reliability: Sequence[ReliabilityBin]) -> float:
    """Mean distance between confidence and accuracy over the bins, each counting by its answers (Guo et al. 2017)."""
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
    return float(-np.log(np.clip(true, LEAST_PROBABILITY, 1.0)).mean())


def _brier(labels: Int64[np.ndarray, " n"], probabilities: Float[np.ndarray, "n 10"]) -> float:
    """Mean squared distance of the probabilities from the truth, 0 to 2 (Brier 1950)."""
    return float(((probabilities.astype(np.float64) - np.eye(10)[labels]) ** 2).sum(axis=1).mean())


def _check(labels: Int64[np.ndarray, " a"], probabilities: Float[np.ndarray, "b 10"], masked: Sequence[int]) -> None:
    """Refuse what would give a figure without meaning."""
    if len(labels) != len(probabilities):
        raise DataError(f"{len(labels)} labels and {len(probabilities)} answers; give one row of probabilities a label")
    if len(labels) == 0:
        raise DataError("nothing to score: 0 labels; give at least one")
    if labels.min() < 0 or labels.max() > 9:
        bad = int(np.flatnonzero((labels < 0) | (labels > 9))[0])
        raise DataError(f"label {labels[bad]} at index {bad} is no digit; labels are 0 to 9")
    totals = probabilities.sum(axis=1, dtype=np.float64)
    odd = np.flatnonzero(~((np.abs(totals - 1) < 1e-3) & (probabilities >= 0).all(axis=1)))
    if len(odd):
        raise DataError(f"row {odd[0]} sums to {totals[odd[0]]:.4g} or is negative; give probabilities, not logits")
    if outside := [index for index in masked if not 0 <= index < len(labels)]:
        raise DataError(f"masked index {outside[0]} is outside a set of {len(labels)}; mask only what is in it")
    if len(set(masked)) == len(labels):
        raise DataError(f"all {len(labels)} labels are masked; leave at least one to score")
