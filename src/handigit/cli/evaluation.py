"""`handigit evaluate`, `compare`, `submit` and `models`: scores of models and runs."""

from pathlib import Path
from typing import Literal

from handigit.cli.data import Output
from handigit.cli.shared import (
    card_facts,
    count_shared,
    find_model,
    labels_of,
    load_data,
    summarise_run,
)
from handigit.cli.terminal import complain, out, say
from handigit.settings import Settings


def evaluate(
    model: str,
    /,
    *,
    data: str = "mnist",
    part: Literal["train", "test"] = "test",
    report: Path | None = None,
) -> None:
    """Score an ONNX model on a data set and write a report.

    Examples:
        handigit evaluate embedded --data mnist
        handigit evaluate out/runs/lenet5-seed0

    Args:
        model: An ONNX file, a run's folder, or "embedded" for the model inside the package.
        data: A data set: a name in the data folder, or a path.
        part: Which part, if the set has two.
        report: Folder of the report [default: evaluation/ beside the model, or out/evaluation].
    """
    from handigit.evaluate.metrics import DISPUTED_MNIST, score
    from handigit.evaluate.report import Evaluation, describe_scores, write_report
    from handigit.read import Engine

    named = find_model(model)
    engine = Engine(named.path, threads=Settings().threads)
    dataset = load_data(data, part)
    labels = labels_of(dataset)
    probabilities = engine.probabilities(dataset.as_floats())
    masked = DISPUTED_MNIST if (data, part) == ("mnist", "test") else ()
    shared = count_shared(engine.card, dataset) if part == "test" else None
    evaluation = Evaluation(
        title=f"{engine.card.name} on {dataset.name}",
        model=engine.card.name,
        card=card_facts(engine, shared),
        data=dataset.name,
        fingerprint=dataset.fingerprint,
        scores=score(labels, probabilities, masked=masked),
        glyphs=dataset.glyphs,
        labels=labels,
        probabilities=probabilities,
        curves=tuple(named.run.metrics()) if named.run else (),
        code_version=engine.card.code_version,
    )
    page = write_report(report or named.folder / "evaluation", evaluation)
    out.print(describe_scores(evaluation.scores, title=evaluation.title))
    if shared:
        complain(f"warning: {shared} of these glyphs are also in the model's training data")
    say(f"wrote {page}")


def compare(*runs: Path, report: Path | None = None) -> None:
    """Compare training runs: the settings that differ, and their scores.

    Examples:
        handigit compare out/runs/lenet5-seed0 out/runs/cnn-seed0

    Args:
        runs: The runs' folders.
        report: Folder in which to write the same as a page with learning curves.
    """
    from handigit.evaluate.compare import compare as comparison_table
    from handigit.evaluate.compare import write_comparison

    summaries = [summarise_run(path) for path in runs]
    out.print(comparison_table(summaries, width=out.width))
    if report:
        say(f"wrote {write_comparison(report, summaries)}")


def submit(model: str, table: Path, /, *, output: Output) -> None:
    """Answer Kaggle's test.csv with a submission of ImageId,Label.

    Examples:
        handigit submit embedded test.csv -o submission.csv

    Args:
        model: An ONNX file, a run's folder, or "embedded".
        table: Kaggle's test.csv: 784 columns of pixels.
        output: The file to write, such as submission.csv.
    """
    import numpy as np

    from handigit.data import write_submission
    from handigit.data.table import load_table
    from handigit.read import Engine

    engine = Engine(find_model(model).path, threads=Settings().threads)
    glyphs = load_table(table).as_floats()
    write_submission(output, np.argmax(engine.logits(glyphs), axis=1).astype(np.int64))
    say(f"wrote {output}: {len(glyphs)} answers by {engine.card.name}")


def list_models() -> None:
    """List the architectures: parameters, multiplications per glyph or four-digit line, and paper.

    Examples:
        handigit models
    """
    from rich.table import Table

    from handigit.models import ARCHITECTURES, NUMBER_ARCHITECTURES, describe

    table = Table("model", "parameters", "MACs", "paper", box=None)
    for column in table.columns[1:3]:
        column.justify = "right"
    for architecture in map(describe, ARCHITECTURES | NUMBER_ARCHITECTURES):
        table.add_row(architecture.name, f"{architecture.parameters:,}", f"{architecture.macs:,}", architecture.paper)
    out.print(table)
