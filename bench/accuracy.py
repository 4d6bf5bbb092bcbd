"""Accuracy on MNIST's test set: each recipe trained with several seeds, exported, and the ONNX file scored once.

    python bench/accuracy.py dense lenet5 --seeds 3

Runs are kept under --runs and taken up again, so a second call only scores. The test set chooses nothing here: every
seed counts, and each run keeps the weights of its last epoch. Beside each model's own accuracy stands what
`Reader.digits` gives on the same images as raw uint8 pictures of unknown polarity. Writes bench/results/accuracy.json.
"""

import argparse
import json
import statistics
from pathlib import Path

import numpy as np
import torch

from handigit.data import Dataset, load
from handigit.evaluate.metrics import DISPUTED_MNIST, score
from handigit.models import describe
from handigit.read import Engine, Reader
from handigit.recipe import load_recipe
from handigit.settings import Settings
from handigit.train.export import export
from handigit.train.fit import Watch, fit, start_model
from handigit.train.prepare import Prepared, prepare
from handigit.train.run import Run

RESULTS = Path(__file__).with_name("results") / "accuracy.json"
CPU = torch.device("cpu")
BASES = {"digit": "digit-base"}
"""Recipes that start from another one's run of the same seed."""


def train_and_export(recipe_name: str, seed: int, runs: Path, data: Path) -> Path:
    """The run's ONNX file; trained first where the run is missing or unfinished."""
    model = runs / f"{recipe_name}-seed{seed}" / "model.onnx"
    if not model.is_file():
        run, prepared = train_run(recipe_name, seed, runs, data)
        export(run, model, prepared)
    return model


def train_run(recipe_name: str, seed: int, runs: Path, data: Path) -> tuple[Run, Prepared]:
    """A finished run, started from the run of its base recipe where it has one."""
    recipe = load_recipe(recipe_name, seed=seed)
    path = runs / f"{recipe_name}-seed{seed}"
    prepared = prepare(recipe, folder=data, device=CPU)
    begun = (path / "recipe.toml").is_file()
    run = Run.resume(path, recipe) if begun else Run.create(path, recipe, prepared.facts)
    if not run.finished:
        base = train_run(BASES[recipe_name], seed, runs, data)[0] if recipe_name in BASES else None
        watch = Watch(epoch=lambda row: print(f"{path.name}: {row}", flush=True))
        fit(run, prepared, device=CPU, start=start_model(recipe, from_run=base), watch=watch)
    return run, prepared


def score_file(model: Path, test: Dataset) -> dict[str, float]:
    """Percent right on the test set: the file itself, without the disputed labels, and through the reader."""
    engine = Engine(model)
    assert test.labels is not None
    scores = score(test.labels, engine.probabilities(test.as_floats()), masked=DISPUTED_MNIST)
    read = Reader(model).digits(list(test.glyphs))
    right = np.array([digit.value for digit in read]) == test.labels
    return {
        "accuracy": 100 * scores.accuracy,
        "accuracy_without_disputed": 100 * scores.masked_accuracy,
        "through_reader": 100 * float(right.mean()),
        "calibration_error": 100 * scores.calibration_error,
    }


def summarise(recipe_name: str, seeds: list[dict[str, float]], files: list[Path]) -> dict[str, object]:
    """Mean and spread over the seeds of one recipe."""
    architecture = describe(load_recipe(recipe_name).model)
    summary: dict[str, object] = {
        "recipe": recipe_name,
        "parameters": architecture.parameters,
        "macs": architecture.macs,
        "file_bytes": files[0].stat().st_size,
        "seeds": seeds,
    }
    for name in seeds[0]:
        values = [seed[name] for seed in seeds]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        summary[name] = {"mean": round(statistics.mean(values), 4), "sd": round(spread, 4)}
    return summary


def main() -> None:
    """Train what is missing, score everything, print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="+")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    given = parser.parse_args()
    data = Settings().data
    test = load("mnist", folder=data, part="test")
    kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    for name in given.recipes:
        files = [train_and_export(name, seed, given.runs, data) for seed in range(given.seeds)]
        kept[name] = summarise(name, [score_file(file, test) for file in files], files)
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
        mean = {key: kept[name][key] for key in ("accuracy", "through_reader")}
        print(f"{name:10} {given.seeds} seeds  {mean}", flush=True)


if __name__ == "__main__":
    main()
