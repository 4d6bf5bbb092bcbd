"""Evaluation: accuracy, confidence, robustness, and reports.

It takes arrays or a callable, so that it scores the ONNX file that ships. Plots and reports (Matplotlib, Jinja) are in
`evaluate.plots`, `evaluate.report` and `evaluate.compare`, which are not imported here.
"""

from handigit.evaluate.intervals import Interval, clopper_pearson, wilson
from handigit.evaluate.metrics import (
    DISPUTED_MNIST,
    Averages,
    ClassScores,
    ConfusionPair,
    ReliabilityBin,
    Scores,
    calibration_error,
    score,
)
from handigit.evaluate.read_rates import (
    ReadRate,
    RiskCoverage,
    floor_at_loss,
    read_rate,
    read_rate_at,
    read_rate_of,
    risk_coverage,
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
