"""Accuracy on MNIST's test set: each recipe trained with several seeds, exported, and the ONNX file scored once.

    python -m bench.train.accuracy dense lenet5 --seeds 3
    python -m bench.train.accuracy --seeds 5 --ensemble digit-large digit

Runs are stored under --runs and resumed, so a second call only scores. The test set chooses nothing: every seed counts,
and each run keeps the weights of its last epoch. Besides each model's own accuracy, the same images are read by
`Reader.digits` as raw uint8 pictures of unknown polarity. The ensemble is the mean of the probabilities of every seed
of the recipes named, with equal weights. Adds to bench/results/accuracy.json, by name.
"""

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.results_io import PROJECT, RESULTS, load_results, save_results
from handigit.data import Dataset, load
from handigit.evaluate.metrics import DISPUTED_MNIST, score
from handigit.models import describe
from handigit.read import Engine, Reader
from handigit.recipe import Recipe, load_recipe
from handigit.settings import Settings
from handigit.train.digit_data import DigitData, load_digit_data
from handigit.train.digit_task import DigitTask
from handigit.train.export import export
from handigit.train.export_digits import DigitExporter
from handigit.train.run import Run
from handigit.train.trainer import Callbacks, fit, start_model

CPU = torch.device("cpu")
BASES = {"digit": "digit-wide", "digit-second": "digit-first"}
"""Recipes that start from another one's run of the same seed."""
INT8 = ("digit", "digit-second")
"""Recipes whose models ship in eight bits, and are scored so."""


def find_recipe(name: str, **changes: Any) -> Recipe:
    """A recipe of the package, or one of the shipped models' lineage."""
    lineage = PROJECT / "published" / "digit" / "lineage" / f"{name}.toml"
    return load_recipe(str(lineage) if lineage.is_file() else name, **changes)


def train_and_export(recipe_name: str, seed: int, runs: Path, data: Path) -> Path:
    """The run's ONNX file, as this recipe's ship; trained first where the run is missing or unfinished."""
    int8 = recipe_name in INT8
    model = runs / f"{recipe_name}-seed{seed}" / ("model-int8.onnx" if int8 else "model.onnx")
    if not model.is_file():
        run, digit_data = train_run(recipe_name, seed, runs, data)
        export(run, model, DigitExporter(run.recipe, digit_data), bits=8 if int8 else 32)
    return model


def train_run(recipe_name: str, seed: int, runs: Path, data: Path) -> tuple[Run, DigitData]:
    """A finished run, started from the run of its base recipe where it has one."""
    recipe = find_recipe(recipe_name, seed=seed)
    path = runs / f"{recipe_name}-seed{seed}"
    digit_data = load_digit_data(recipe, folder=data, device=CPU)
    started = (path / "recipe.toml").is_file()
    run = Run.resume(path, recipe) if started else Run.create(path, recipe, digit_data.metadata)
    if not run.finished:
        base = train_run(BASES[recipe_name], seed, runs, data)[0] if recipe_name in BASES else None
        callbacks = Callbacks(epoch=lambda row: print(f"{path.name}: {row}", flush=True))
        task = DigitTask.of(recipe, digit_data, device=CPU)
        fit(run, task, start_model(recipe, from_run=base), callbacks=callbacks)
    return run, digit_data


def score_file(model: Path, test: Dataset, threads: int | None) -> dict[str, float]:
    """Percent right on the test set: the file itself, without the disputed labels, and through the reader."""
    found = score_probabilities(Engine(model, threads=threads).probabilities(test.as_floats()), test)
    read = Reader(model, threads=threads).digits(list(test.glyphs))
    right = np.array([digit.value for digit in read]) == test.labels
    return found | {"through_reader": 100 * float(right.mean())}


def score_ensemble(models: Sequence[Path], test: Dataset, threads: int | None) -> dict[str, float]:
    """Percent right of the mean of the files' probabilities."""
    return score_probabilities(mean_probabilities(models, test.as_floats(), threads), test)


def mean_probabilities(models: Sequence[Path], glyphs: np.ndarray, threads: int | None) -> np.ndarray:
    """What the files say of the glyphs together, each weighing alike."""
    members = (Engine(model, threads=threads).probabilities(glyphs) for model in models)
    return np.asarray(sum(members) / len(models))


def score_probabilities(probabilities: np.ndarray, test: Dataset) -> dict[str, float]:
    """Percent right, and the calibration error, of one row of probabilities a glyph."""
    assert test.labels is not None
    scores = score(test.labels, probabilities, masked=DISPUTED_MNIST)
    return {
        "accuracy": 100 * scores.accuracy,
        "accuracy_without_disputed": 100 * scores.masked_accuracy,
        "calibration_error": 100 * scores.calibration_error,
    }


def facts(recipe_name: str, model: Path) -> dict[str, float]:
    """What a model of this recipe costs."""
    architecture = describe(find_recipe(recipe_name).model)
    return {"parameters": architecture.parameters, "macs": architecture.macs, "file_bytes": model.stat().st_size}


def summarise(seeds: list[dict[str, float]]) -> dict[str, Any]:
    """Each figure's mean and spread over the seeds; of a single one there is no spread."""
    summary: dict[str, Any] = {"seeds": seeds}
    for name in seeds[0]:
        values = [seed[name] for seed in seeds]
        spread = round(statistics.stdev(values), 4) if len(values) > 1 else None
        summary[name] = {"mean": round(statistics.mean(values), 4), "sd": spread}
    return summary


def summarise_ensemble(recipes: dict[str, list[Path]], test: Dataset, threads: int | None) -> dict[str, Any]:
    """The one score of all members together, and what they cost together."""
    costs = [facts(name, file) for name, files in recipes.items() for file in files]
    total = {name: sum(cost[name] for cost in costs) for name in costs[0]}
    members = [file.parent.name for files in recipes.values() for file in files]
    found = score_ensemble([file for files in recipes.values() for file in files], test, threads)
    return {"members": members, **total, **summarise([found])}


def show(name: str, summary: dict[str, Any]) -> None:
    """The figures of each seed, and of all."""
    for key in ("accuracy", "accuracy_without_disputed", "through_reader"):
        if key in summary:
            each = " ".join(f"{seed[key]:.2f}" for seed in summary["seeds"])
            print(f"{name}  {key}: {each}  mean {summary[key]['mean']:.3f}, sd {summary[key]['sd']}", flush=True)


def main() -> None:
    """Train what is missing, score everything, print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*")
    parser.add_argument(
        "--ensemble", nargs="+", default=[], metavar="RECIPE[:SEEDS]", help="all seeds of these, weighing alike"
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--output", type=Path, default=RESULTS / "accuracy.json")
    given, settings = parser.parse_args(), Settings()
    test = load("mnist", folder=settings.data, part="test")

    def files_of(name: str, seeds: int = given.seeds) -> list[Path]:
        return [train_and_export(name, seed, given.runs, settings.data) for seed in range(seeds)]

    for name in given.recipes:
        files = files_of(name)
        summary = summarise([score_file(file, test, settings.threads) for file in files])
        save_results(given.output, load_results(given.output) | {name: facts(name, files[0]) | summary})
        show(name, summary)
    if given.ensemble:
        members = (name.partition(":") for name in given.ensemble)
        recipes = {name: files_of(name, int(count or given.seeds)) for name, _, count in members}
        summary = summarise_ensemble(recipes, test, settings.threads)
        save_results(given.output, load_results(given.output) | {"ensemble": summary})
        show("ensemble", summary)


if __name__ == "__main__":
    main()
