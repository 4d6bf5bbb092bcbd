"""Figures from labels and probabilities: right or wrong, how sure, and what is taken for what.

It knows nothing of models, pictures or files, and loads NumPy alone.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from handigit.errors import DataError
from handigit.evaluate.coverage import read_rate
from handigit.evaluate.intervals import wilson
from handigit.evaluate.scores import Averages, ClassScores, ConfusionPair, ReliabilityBin, Scores

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
