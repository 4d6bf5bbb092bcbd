"""The report of an evaluation, and of a data set: one HTML page that stands alone, JSON beside it, plots as PNG.

It puts together what others measured and drew, and knows nothing of models or of where data comes from.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int64, UInt8

from handigit.evaluate import galleries, plots
from handigit.evaluate.console import summary
from handigit.evaluate.coverage import risk_coverage
from handigit.evaluate.mistakes import describe_mistakes
from handigit.evaluate.pages import Plot, draw, make_room, render, write_page
from handigit.evaluate.scores import Scores

FORMAT = 1


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """One model's answers on one labelled set, with all that a reader of the report should know.

    `card` are facts on the model, by name; `fingerprint` tells the set; `curves` are the epochs of its training, if
    it was trained here: dicts as `plots.Row` has them.
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
        """What `scores.json` holds: everything but the pictures, and the probabilities of what was misread."""
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
        RunError: a file stands where the folder should be.
    """
    make_room(folder)
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
        RunError: a file stands where the folder should be.
    """
    make_room(folder)
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
    """Every fact and figure as a line of text."""
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
    """The plots of what was answered and, where it is known, of the training."""
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
                lambda theme: galleries.misclassified(
                    evaluation.glyphs[wrong], labels[wrong], probabilities[wrong], theme
                ),
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
            lambda theme: galleries.samples(glyphs, labels, theme),
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
