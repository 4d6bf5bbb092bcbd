"""The nouns of an evaluation: what `metrics.score` measures, frozen and ready for JSON.

They know neither how a figure is computed nor how it is shown.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64

from handigit.errors import BadDataFile
from handigit.evaluate.intervals import Interval


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
