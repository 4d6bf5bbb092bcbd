"""Evaluation: how good a reader is, how sure, how steady, and a report that shows it.

It takes arrays or a callable, so that it scores the very file that ships; it knows nothing of data sets, training or
models. Plots and reports (matplotlib, Jinja) are in `evaluate.plots`, `evaluate.report` and `evaluate.compare`, and
are not loaded from here.
"""

from handigit.evaluate.intervals import Interval, clopper_pearson, wilson
from handigit.evaluate.metrics import (
    DISPUTED_MNIST,
    Averages,
    ClassScores,
    ConfusionPair,
    ReadRate,
    ReliabilityBin,
    RiskCoverage,
    Scores,
    calibration_error,
    floor_at_loss,
    read_rate,
    read_rate_at,
    read_rate_of,
    risk_coverage,
    score,
)

__all__ = [
    "DISPUTED_MNIST",
    "Averages",
    "ClassScores",
    "ConfusionPair",
    "Interval",
    "ReadRate",
    "ReliabilityBin",
    "RiskCoverage",
    "Scores",
    "calibration_error",
    "clopper_pearson",
    "floor_at_loss",
    "read_rate",
    "read_rate_at",
    "read_rate_of",
    "risk_coverage",
    "score",
    "wilson",
]
