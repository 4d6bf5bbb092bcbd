"""Reports of an evaluation and of a data set: a self-contained HTML page, JSON, and plots as PNG."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int64, UInt8
from PIL import Image
from rich.table import Table

from handigit.evaluate import plots
from handigit.evaluate.metrics import Scores
from handigit.evaluate.page import Plot, data_uri, draw, make_folders, render, write_page
from handigit.evaluate.read_rates import risk_coverage

BAR_PX, FLOOR_PX, FULL_PX = 10, 25, 24
"""Bar chart: width of a bar with its gap, height of the baseline, height of probability 1."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """A misread digit; `rest`, `truth_bar` and `answer_bar` are SVG paths, `words` is their description."""

    index: int
    truth: int
    answer: int
    confidence: float
    disputed: bool
    image: str
    rest: str
    truth_bar: str
    answer_bar: str
    words: str


def describe_mistakes(
    indices: Sequence[int],
    glyphs: UInt8[np.ndarray, "n 28 28"],
    labels: Int64[np.ndarray, " n"],
    probabilities: Float[np.ndarray, "n 10"],
    *,
    disputed: Sequence[int],
) -> list[Mistake]:
    """The digits at these indices, in this order."""
    return [
        _describe(index, glyphs[index], int(labels[index]), probabilities[index], disputed=index in disputed)
        for index in indices
    ]


def _describe(
    index: int, glyph: UInt8[np.ndarray, "28 28"], truth: int, probabilities: Float[np.ndarray, "10"], *, disputed: bool
) -> Mistake:
    answer = int(probabilities.argmax())
    ranked = [int(digit) for digit in np.argsort(-probabilities, kind="stable") if probabilities[digit] >= 0.0005]
    return Mistake(
        index=index,
        truth=truth,
        answer=answer,
        confidence=float(probabilities[answer]),
        disputed=disputed,
        image=data_uri(_picture(glyph)),
        rest=_bars((digit for digit in range(10) if digit not in (truth, answer)), probabilities),
        truth_bar=_bars([truth], probabilities),
        answer_bar=_bars([answer], probabilities),
        words="Probabilities: " + ", ".join(f"{digit} {probabilities[digit]:.1%}" for digit in ranked),
    )


def _bars(digits: Iterable[int], probabilities: Float[np.ndarray, "10"]) -> str:
    """Bars as an SVG path; the smallest probability is still a visible line."""
    heights = ((digit, max(float(probabilities[digit]) * FULL_PX, 0.3)) for digit in digits)
    return "".join(
        f"M{digit * BAR_PX + 1} {FLOOR_PX}v-{height:.1f}h{BAR_PX - 2}v{height:.1f}z" for digit, height in heights
    )


def _picture(glyph: UInt8[np.ndarray, "28 28"]) -> bytes:
    """The glyph as a PNG in 16 shades, which halves its size."""
    file = BytesIO()
    Image.fromarray(glyph // 17 * 17).quantize(16).save(file, "PNG", optimize=True)
    return file.getvalue()


MOST_PAIRS = 5


def describe_scores(scores: Scores, *, title: str) -> Table:
    """The main scores as a table for the terminal."""
    table = Table(title=title, show_header=False, box=None, title_justify="left", title_style="bold")
    table.add_column(style="dim")
    table.add_column()
    for name, value in summary(scores):
        table.add_row(name, value)
    mistakes = ", ".join(f"{p.truth} as {p.answer} ({p.count} times)" for p in scores.pairs[:MOST_PAIRS])
    table.add_row("most often misread", mistakes or "nothing")
    return table


def summary(scores: Scores) -> list[tuple[str, str]]:
    """Each score with its name, for the terminal and the report."""
    interval, macro = scores.accuracy_interval, scores.macro
    lines = [
        ("samples", f"{scores.n:,}"),
        ("accuracy", f"{scores.accuracy:.2%} (95% interval {interval.low:.2%} to {interval.high:.2%})"),
        ("misclassified", f"{len(scores.misclassified):,}"),
        ("macro precision, recall, F1", f"{macro.precision:.2%} {macro.recall:.2%} {macro.f1:.2%}"),
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


FORMAT = 1


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """One model's answers on one labelled set, with the facts that a report shows.

    `card` has facts about the model by name; `fingerprint` identifies the set; `curves` are the epochs of its training
    (`plots.Row`), if it was trained here.
    """

    title: str
    model: str
    card: Mapping[str, str]
    data: str
    fingerprint: str
    scores: Scores
    glyphs: UInt8[np.ndarray, "n 28 28"]
    labels: Int64[np.ndarray, " n"]
    probabilities: Float[np.ndarray, "n 10"]
    curves: tuple[plots.Row, ...] = ()
    code_version: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The content of `scores.json`: the scores, and the probabilities of misread digits."""
        answers = {
            str(index): {
                "label": int(self.labels[index]),
                "probabilities": [round(float(p), 6) for p in self.probabilities[index]],
            }
            for index in self.scores.misclassified
        }
        return {
            "format": FORMAT,
            "title": self.title,
            "model": self.model,
            "card": dict(self.card),
            "data": self.data,
            "fingerprint": self.fingerprint,
            "code_version": self.code_version,
            "scores": self.scores.as_dict(),
            "misclassified": answers,
            "curves": [dict(row) for row in self.curves],
        }


def write_report(folder: Path, evaluation: Evaluation) -> Path:
    """Write report.html, scores.json and plots/ into the folder; returns the page's path.

    Raises:
        RunError: the folder cannot be made.
    """
    make_folders(folder)
    scores = evaluation.scores
    drawn = {plot.name: plot for plot in [*_score_plots(evaluation), *_set_plots(evaluation.glyphs, evaluation.labels)]}
    text = render(
        "evaluation.html",
        title=evaluation.title,
        evaluation=evaluation,
        scores=scores,
        matrix=scores.confusion.tolist(),
        mistakes=describe_mistakes(
            scores.misclassified,
            evaluation.glyphs,
            evaluation.labels,
            evaluation.probabilities,
            disputed=scores.masked,
        ),
        known=_known(evaluation),
        plots={"curves": None, **drawn},
        sections=_sections(evaluation),
    )
    page = write_page(folder, "report.html", text, list(drawn.values()))
    (folder / "scores.json").write_text(json.dumps(evaluation.as_dict(), indent=1), encoding="utf-8")
    return page


def write_data_report(
    folder: Path,
    *,
    name: str,
    glyphs: UInt8[np.ndarray, "n 28 28"],
    labels: Int64[np.ndarray, " n"] | None,
    fingerprint: str,
) -> Path:
    """Write report.html and plots/ on a data set into the folder; returns the page's path.

    Raises:
        RunError: the folder cannot be made.
    """
    make_folders(folder)
    drawn = {plot.name: plot for plot in _set_plots(glyphs, labels)}
    known = [
        ("name", name),
        ("samples", f"{len(glyphs):,}"),
        ("labels", "none" if labels is None else f"{len(np.unique(labels))} different digits"),
        ("mean pixel value", f"{glyphs.mean():.1f} of 255" if len(glyphs) else "none"),
        ("fingerprint", fingerprint),
    ]
    content = {"n": len(glyphs), "known": known, "plots": {"balance": None, **drawn}}
    return write_page(folder, "report.html", render("data.html", title=name, **content), list(drawn.values()))


def _known(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Every fact and score as a line of text."""
    return [
        ("model", evaluation.model),
        *((name, str(value)) for name, value in evaluation.card.items()),
        ("data", evaluation.data),
        ("fingerprint", evaluation.fingerprint),
        *summary(evaluation.scores),
    ]


def _sections(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Anchors and names, in the order of the page."""
    sections = [
        ("confusion", "Confusion"),
        ("misclassified", "Misclassified"),
        ("classes", "Digit by digit"),
        ("confidence", "Confidence"),
        ("data", "Data"),
        ("curves", "Training"),
        ("model", "Model"),
        ("method", "Method"),
    ]
    return [section for section in sections if section[0] != "curves" or evaluation.curves]


def _score_plots(evaluation: Evaluation) -> list[Plot]:
    """The plots of the scores and, if known, of the training."""
    scores, labels, probabilities = evaluation.scores, evaluation.labels, evaluation.probabilities
    wrong = np.array(scores.misclassified, dtype=np.int64)
    curve = risk_coverage(labels, probabilities)
    drawn = [
        draw(
            "confusion",
            lambda theme: plots.confusion_matrix(scores.confusion, theme),
            caption="Each mistake is coloured, stronger where there are more; right answers are grey.",
            alt="Confusion matrix; the table below has the same counts.",
        ),
        draw(
            "calibration",
            lambda theme: plots.calibration(scores.reliability, theme),
            caption="Answers sorted by confidence: how many were right, with 95% intervals, and how many there were.",
            alt=f"Reliability diagram; the calibration error is {scores.calibration_error:.2%}.",
        ),
        draw(
            "coverage",
            lambda theme: plots.coverage(curve, scores.read_rates, theme),
            caption="The more answers are accepted, the more of them are wrong.",
            alt="Risk against coverage; the table below has the marked points.",
        ),
    ]
    if len(wrong):
        drawn.append(
            draw(
                "misclassified",
                lambda theme: plots.misclassified(evaluation.glyphs[wrong], labels[wrong], probabilities[wrong], theme),
                caption="The most confident mistakes.",
                alt="Misclassified digits, each with its label, answer and probability.",
            )
        )
    if evaluation.curves:
        drawn.append(
            draw(
                "curves",
                lambda theme: plots.curves(evaluation.curves, theme),
                caption="Loss and accuracy by epoch.",
                alt=f"Loss and accuracy on training and validation data over {len(evaluation.curves)} epochs.",
            )
        )
    return drawn


def _set_plots(glyphs: UInt8[np.ndarray, "n 28 28"], labels: Int64[np.ndarray, " n"] | None) -> list[Plot]:
    """The plots of a set, with or without labels."""
    drawn = [
        draw(
            "samples",
            lambda theme: plots.samples(glyphs, labels, theme),
            caption="The first samples of the set." if labels is None else "The first samples of each digit.",
            alt="Rows of handwritten digits.",
        ),
        draw(
            "intensity",
            lambda theme: plots.intensity(glyphs, theme),
            caption="How the pixels spread from paper to ink, on a logarithmic scale.",
            alt=f"Histogram of pixel values; their mean is {glyphs.mean() if len(glyphs) else 0:.1f} of 255.",
        ),
    ]
    if labels is not None:
        counts = np.bincount(labels, minlength=10)
        drawn.append(
            draw(
                "balance",
                lambda theme: plots.class_balance(labels, theme),
                caption="How many samples each digit has.",
                alt="Samples of each digit: " + ", ".join(f"{d}: {count:,}" for d, count in enumerate(counts)) + ".",
            )
        )
    return drawn
