"""An evaluation in the terminal: the figures of one model on one set, as a Rich table.

It knows nothing of files; the full account is the report's.
"""

from rich.table import Table

from handigit.evaluate.scores import Scores

MOST_PAIRS = 5


def describe_scores(scores: Scores, *, title: str) -> Table:
    """What a person asks first: how often right, how sure, and what is taken for what."""
    table = Table(title=title, show_header=False, box=None, title_justify="left", title_style="bold")
    table.add_column(style="dim")
    table.add_column()
    for name, value in summary(scores):
        table.add_row(name, value)
    mistakes = ", ".join(f"{p.truth} as {p.answer} ({p.count} times)" for p in scores.pairs[:MOST_PAIRS])
    table.add_row("most often misread", mistakes or "nothing")
    return table


def summary(scores: Scores) -> list[tuple[str, str]]:
    """Each figure with its name, in the words of the terminal and of the report alike."""
    interval = scores.accuracy_interval
    lines = [
        ("samples", f"{scores.n:,}"),
        ("accuracy", f"{scores.accuracy:.2%} (95% interval {interval.low:.2%} to {interval.high:.2%})"),
        ("misclassified", f"{len(scores.misclassified):,}"),
        ("macro precision, recall, F1", " ".join(f"{v:.2%}" for v in _macro(scores))),
        ("negative log-likelihood", f"{scores.nll:.4f}"),
        ("Brier score", f"{scores.brier:.4f}"),
        ("calibration error", f"{scores.calibration_error:.2%}"),
    ]
    if scores.masked:
        lines.insert(2, (f"accuracy without {len(scores.masked)} disputed", f"{scores.masked_accuracy:.2%}"))
    for rate in scores.read_rates:
        bound = f"true error at most {rate.bound.high:.2%}" if rate.accepted else "no threshold keeps it"
        lines.append((f"read at {rate.error:.1%} error", f"{rate.share:.2%} ({bound})"))
    return lines


def _macro(scores: Scores) -> tuple[float, float, float]:
    return scores.macro.precision, scores.macro.recall, scores.macro.f1
