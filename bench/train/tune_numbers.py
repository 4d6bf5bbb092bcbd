"""Gain of fine-tuning the number model on 200 labelled strings: cross-validation on orand_car_a.

    python -m bench.train.tune_numbers [--from published/number] [--folds 3] [--strings 200]

Each fold fine-tunes the run on that many strings with the recipe `number-tune` and is scored on all strings of the
other folds; the same strings are read by the original run, exported the same way. The fine-tuned weights are discarded:
the set is for measuring. Writes bench/results/tune_numbers.json.
"""

import argparse
import csv
import statistics
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from bench.read.strings import Crop, labelled
from bench.results_io import RESULTS, save_results
from handigit.cli.training import export_run
from handigit.read import Reader
from handigit.recipe import load_recipe
from handigit.settings import Settings
from handigit.train.run import Run
from handigit.train.tasks import load_start, load_task
from handigit.train.trainer import fit


def main() -> None:
    """Tune and score each fold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="start", type=Path, default=Path("published/number"))
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--strings", type=int, default=200)
    given = parser.parse_args()
    torch.set_num_threads(1)
    crops = list(labelled(Settings().data, "orand_car_a"))
    order = np.random.default_rng(0).permutation(len(crops))
    folds = [[crops[index] for index in part] for part in np.array_split(order, given.folds)]
    before, after = [], []
    with tempfile.TemporaryDirectory() as place:
        plain = exported(Run.open(given.start), Path(place) / "plain.onnx")
        for number, fold in enumerate(folds):
            others = [crop for other in folds if other is not fold for crop in other]
            tuned = tune(fold[: given.strings], given.start, Path(place) / f"fold{number}")
            before.append(right(plain, others))
            after.append(right(tuned, others))
            print(f"fold {number}: {before[-1]:.2f} % before, {after[-1]:.2f} % after", flush=True)
    seed = Run.open(given.start).recipe.seed
    result = {"strings": given.strings, "seed": seed, "before": summary(before), "after": summary(after)}
    save_results(RESULTS / "tune_numbers.json", result)
    print(result)


def tune(strings: list[Crop], start: Path, place: Path) -> Path:
    """A model tuned on these strings, as a user would have them: files and a table."""
    place.mkdir()
    with (place / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "text"])
        for number, crop in enumerate(strings):
            Image.fromarray(crop.pixels).save(place / f"{number}.png")
            table.writerow([f"{number}.png", crop.text])
    recipe = load_recipe("number-tune", strings=(str(place / "labels.csv"),))
    run = Run.create(place / "run", recipe, {"from": str(start)})
    task = load_task(recipe, folder=Settings().data, device=torch.device("cpu"))
    fit(run, task, load_start(recipe, folder=Settings().runs / "published", from_run=Run.open(start)))
    return exported(run, place / "tuned.onnx")


def exported(run: Run, path: Path) -> Path:
    """The run's file."""
    task = load_task(run.recipe, folder=Settings().data, device=torch.device("cpu"))
    export_run(run, path, task)
    return path


def right(model: Path, crops: list[Crop]) -> float:
    """Percent of strings read right, doubts included."""
    numbers = Reader(model).numbers(crop.pixels for crop in crops)
    return 100 * sum(number.text == crop.text for number, crop in zip(numbers, crops, strict=True)) / len(crops)


def summary(values: list[float]) -> dict[str, float]:
    """Mean and standard deviation over folds."""
    return {"mean": statistics.mean(values), "sd": statistics.stdev(values)}


if __name__ == "__main__":
    main()
