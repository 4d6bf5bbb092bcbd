"""The command line: one function a verb, each a few lines that put rooms together.

It knows which rooms a verb needs and how an answer is shown, and nothing of how the work is done. Heavy packages are
imported by the verb that needs them, so that `handigit read` starts fast and runs without the learning half.
"""

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, ArgumentCollection, CycloptsError, Parameter, validators
from cyclopts import config as sources
from pydantic import ValidationError

import handigit
from handigit.cli.data import Output, data
from handigit.cli.numbers import export_number, is_number_model, train_number
from handigit.cli.shared import (
    card_facts,
    conclude_run,
    count_shared,
    export_run,
    find_model,
    labels_of,
    limit_torch,
    limits_of,
    load_data,
    summarise_run,
)
from handigit.cli.store import models, serve, store
from handigit.cli.terminal import complain, counted, err, out, say, watch_training
from handigit.errors import HandigitError, RecipeError
from handigit.recipe import Recipe, read_recipe
from handigit.records import ANYTHING, Expected
from handigit.settings import Settings

if TYPE_CHECKING:
    from handigit.read.output import Reading
    from handigit.train.run import Row

DONE, SOME_FAILED, WRONG_USAGE = 0, 1, 2
_APP_PACKAGES = frozenset({"alembic", "argon2", "fastapi", "prometheus_client", "sqlalchemy", "uvicorn"})

Share = Annotated[float, Parameter(validator=validators.Number(gt=0, lt=1))]
RecipeFields = Annotated[Recipe, Parameter(name="*", group="Recipe")]


def fill_from_recipe(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Give each flag that was not given the recipe file's value; the dataclass has the defaults of the rest."""
    if commands and commands[0] in ("train", "tune"):
        names = [token.value for argument in arguments if argument.name == "RECIPE" for token in argument.tokens]
        if names:
            fields = sources.Dict(read_recipe(names[0]), use_commands_as_keys=False, source=f"recipe {names[0]}")
            fields(app, commands, arguments)


app = App(
    name="handigit",
    help="Reads handwritten numbers: train, evaluate, read real images, know when it is unsure.",
    version=handigit.__version__,
    config=fill_from_recipe,
    result_action="return_value",
)
app.command(data)
app.command(models)
app.command(serve)
app.command(store)


@app.command(sort_key=1)
def read(
    *paths: Path,
    as_: Annotated[Literal["digit", "number", "page"], Parameter(name="--as")] = "digit",
    format: Annotated[Literal["table", "json", "jsonl", "csv"], Parameter(name="--format")] = "table",  # noqa: A002
    annotate: Path | None = None,
    target_error: Share = 0.01,
    model: Path | None = None,
    expected: Annotated[Expected, Parameter(name="*", group="Numbers")] = ANYTHING,
) -> int:
    """Read the handwritten digit or number in each picture, or every number on each page.

    Args:
        paths: Pictures, folders of pictures (with all below them), or patterns such as "scans/*.png".
        as_: What each picture holds: one digit, one number, or a page with any numbers on it.
        format: How answers are printed; jsonl prints each as soon as it is there.
        annotate: Folder in which to write each picture with what was found drawn on it.
        target_error: Wanted share of wrong answers among those whose outcome is "read".
        model: An ONNX file, or a folder with digit.onnx and number.onnx; none: the embedded models.
        expected: What is known of the numbers.
    """
    from handigit.read.output import Reading, print_answers, read_files
    from handigit.read.reader import Reader

    if not paths:
        complain("nothing to read: give pictures, folders, or patterns in quotes")
        return WRONG_USAGE
    settings = Settings()
    where = model or settings.model_dir
    reader = Reader(where, target_error=target_error, threads=settings.threads, limits=limits_of(settings))
    failed = 0

    def answered() -> Iterator["Reading"]:
        nonlocal failed
        for item in read_files(paths, reader, kind=as_, expected=expected, annotate_into=annotate):
            if isinstance(item, Reading):
                yield item
            else:
                failed += 1
                complain(item)

    # JSON lines and CSV rows come one by one and are their own progress.
    readings = counted(answered(), "answers so far") if format in ("table", "json") else answered()
    print_answers(readings, format=format, console=out)
    return SOME_FAILED if failed else DONE


@models.default
def list_models() -> None:
    """List the architectures with their weights, multiplications for one glyph or a line of four digits, and papers."""
    from rich.table import Table

    from handigit.models import ARCHITECTURES, NUMBER_ARCHITECTURES, describe

    table = Table("model", "parameters", "MACs", "paper", box=None)
    for column in table.columns[1:3]:
        column.justify = "right"
    for one in map(describe, ARCHITECTURES | NUMBER_ARCHITECTURES):
        table.add_row(one.name, f"{one.parameters:,}", f"{one.macs:,}", one.paper)
    out.print(table)


@app.command
def train(
    recipe: str,
    /,
    *,
    run: Path | None = None,
    resume: bool = False,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    device: str = "auto",
    fields: RecipeFields = Recipe(),
) -> None:
    """Train a network by a recipe; the run's folder keeps all of it, and an ONNX file to read with.

    Args:
        recipe: A recipe of the package by name, or the path of a .toml file; each flag below changes one field.
        run: The run's folder; none: a folder by the recipe's name and seed under HANDIGIT_RUNS.
        resume: Go on with the run in that folder after an interruption.
        from_: Start from the weights of this run (a folder) instead of random ones: fine-tuning.
        device: auto, cpu, cuda, mps.
        fields: Fields of the recipe to change.
    """
    from handigit.train.digit_data import prepare
    from handigit.train.loop import fit, pick_device, start_model
    from handigit.train.run import Run

    limit_torch()
    settings, processor = Settings(), pick_device(device)
    place = run or settings.runs / f"{Path(recipe).stem}-seed{fields.seed}"
    if is_number_model(fields.model):
        train_number(place, fields, resume=resume, from_=from_)
        return
    existing = Run.resume(place, fields) if resume else None
    prepared = prepare(fields, folder=settings.data, device=processor)
    start = start_model(fields, from_run=Run.open(Path(from_)) if from_ else None)
    current = existing or Run.create(place, fields, prepared.facts | ({"from": from_} if from_ else {}))
    say(f"{current.path}: {prepared}")
    with watch_training(fields.epochs) as watch:
        fit(current, prepared, device=processor, start=start, watch=watch)
    conclude_run(current, prepared)


@app.command
def tune(
    recipe: str,
    /,
    *,
    trials: int = 20,
    run: Path | None = None,
    device: str = "auto",
    fields: RecipeFields = Recipe(),
) -> None:
    """Search a recipe's hyper-parameters with Optuna; called again, it goes on where it stopped.

    Args:
        recipe: The recipe to vary, by name or path.
        trials: Trials in all, those of earlier calls counted in.
        run: The search's folder; none: a folder by the recipe's name under HANDIGIT_RUNS.
        device: auto, cpu, cuda, mps.
        fields: Fields of the recipe to change.
    """
    from handigit.train.digit_data import prepare
    from handigit.train.loop import pick_device
    from handigit.train.tune import tune as search

    limit_torch()
    settings, processor = Settings(), pick_device(device)
    prepared = prepare(fields, folder=settings.data, device=processor)
    place = run or settings.runs / f"tune-{Path(recipe).stem}"

    def after_epoch(trial: int, row: "Row") -> None:
        say(f"trial {trial}  epoch {row['epoch']}  validation accuracy {row['validation_accuracy']:.4f}")

    tuned = search(fields, prepared, place, trials=trials, device=processor, watch=after_epoch)
    say(f"best of {tuned.trials} trials ({tuned.pruned} cut short): validation accuracy {tuned.accuracy:.4f}")
    say(f"train it with: handigit train {tuned.path / 'best.toml'}")


@app.command
def export(
    run: Path,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    name: str | None = None,
    int8: bool = False,
) -> None:
    """Write a run's network as one ONNX file with its card inside, checked against PyTorch on real glyphs.

    Args:
        run: The run's folder.
        output: The file to write, such as digit.onnx.
        name: The model's name in its card; none: the architecture's.
        int8: Compute in eight bits: a quarter of the size, twice as fast.
    """
    from handigit.train.digit_data import prepare
    from handigit.train.loop import pick_device
    from handigit.train.run import Run

    limit_torch()
    source = Run.open(run)
    if is_number_model(source.recipe.model):
        export_number(source, output, name=name, int8=int8)
        return
    prepared = prepare(source.recipe, folder=Settings().data, device=pick_device("cpu"))
    export_run(source, output, prepared, name=name, int8=int8)


@app.command
def evaluate(
    model: str,
    /,
    *,
    data: str = "mnist",
    part: Literal["train", "test"] = "test",
    report: Path | None = None,
) -> None:
    """Score an ONNX model on a data set and write a report.

    Args:
        model: An ONNX file, a run's folder, or "embedded" for the model inside the package.
        data: A set in the data folder by name, or a path.
        part: Which part, where the set has two.
        report: Folder of the report; none: evaluation/ beside the model, or out/evaluation for the embedded.
    """
    from handigit.evaluate.metrics import DISPUTED_MNIST, score
    from handigit.evaluate.report import Evaluation, describe_scores, write_report
    from handigit.read import Engine

    named = find_model(model)
    engine = Engine(named.path, threads=Settings().threads)
    dataset = load_data(data, part)
    labels = labels_of(dataset)
    shares = engine.probabilities(dataset.as_floats())
    masked = DISPUTED_MNIST if (data, part) == ("mnist", "test") else ()
    shared = count_shared(engine.card, dataset) if part == "test" else None
    evaluation = Evaluation(
        title=f"{engine.card.name} on {dataset.name}",
        model=engine.card.name,
        card=card_facts(engine, shared),
        data=dataset.name,
        fingerprint=dataset.fingerprint,
        scores=score(labels, shares, masked=masked),
        glyphs=dataset.glyphs,
        labels=labels,
        probabilities=shares,
        curves=tuple(named.run.metrics()) if named.run else (),
        code_version=engine.card.code_version,
    )
    page = write_report(report or named.folder / "evaluation", evaluation)
    out.print(describe_scores(evaluation.scores, title=evaluation.title))
    if shared:
        complain(f"warning: {shared} of these glyphs are also in the model's training data")
    say(f"wrote {page}")


@app.command
def compare(*runs: Path, report: Path | None = None) -> None:
    """Put runs side by side: what differs in their recipes, and how they came out.

    Args:
        runs: The runs' folders.
        report: Folder in which to write the same as a page with the curves.
    """
    from handigit.evaluate.compare import compare as put_side_by_side
    from handigit.evaluate.compare import write_comparison

    summaries = [summarise_run(path) for path in runs]
    out.print(put_side_by_side(summaries))
    if report:
        say(f"wrote {write_comparison(report, summaries)}")


@app.command
def submit(model: str, table: Path, /, *, output: Output) -> None:
    """Answer Kaggle's test.csv with a submission of ImageId,Label.

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


@app.meta.default
def launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative="")] = False,
) -> Any:
    """Handigit.

    Args:
        tokens: The verb and what belongs to it.
        verbose: Say on stderr what is being done.
    """
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(name)s: %(message)s")
    return app(tokens, exit_on_error=False, error_console=err)


def main() -> None:
    """The program: 0 done, 1 some inputs could not be used, 2 wrong usage."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run a command line and return its exit status; every error of ours becomes one line on stderr."""
    try:
        return int(app.meta(arguments, exit_on_error=False, error_console=err) or DONE)
    except CycloptsError:
        return WRONG_USAGE  # already printed
    except ValidationError as problem:
        first = problem.errors()[0]
        complain(f"HANDIGIT_{str(first['loc'][0]).upper()} = {first['input']!r}: {first['msg']}; set it otherwise")
        return WRONG_USAGE
    except BrokenPipeError:
        # Who read our output has gone; the interpreter would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SOME_FAILED
    except (HandigitError, OSError) as problem:
        complain(problem)
        return WRONG_USAGE if isinstance(problem, RecipeError) else SOME_FAILED
    except ModuleNotFoundError as problem:
        extra = "app" if problem.name in _APP_PACKAGES else "train"
        complain(f"this needs {problem.name}: pip install 'handigit[{extra}]'")
        return SOME_FAILED
    except KeyboardInterrupt:
        return 130
