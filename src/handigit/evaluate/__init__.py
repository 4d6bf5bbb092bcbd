"""Evaluation: how good a reader is, how sure, how steady, and a report that shows it.

It takes arrays or a callable, so that it scores the very file that ships; it knows nothing of data sets, training or
models. Plots and reports (matplotlib, Jinja) are in `evaluate.plots`, `evaluate.report` and `evaluate.compare`, and
are not loaded from here.
"""

from handigit.evaluate.coverage import RiskCoverage, read_rate, risk_coverage
from handigit.evaluate.intervals import Interval, clopper_pearson, wilson
from handigit.evaluate.metrics import DISPUTED_MNIST, score
from handigit.evaluate.scores import Averages, ClassScores, ConfusionPair, ReadRate, ReliabilityBin, Scores

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
    "clopper_pearson",
    "read_rate",
    "risk_coverage",
    "score",
    "wilson",
]
