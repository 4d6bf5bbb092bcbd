"""Gain of fine-tuning the number models on 200 labelled strings: cross-validation on orand_car_a.

    python -m bench.train.tune_numbers [--from published/number] [--second published/number-second] [--folds 3]

Each fold fine-tunes both runs on `--strings` strings (200) with one command, `handigit train number-tune`, and is
scored on all strings of the other folds; the same strings are read by the models of the package. The fine-tuned weights
are discarded: the set is for measuring. Writes bench/results/tune_numbers.json.
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
from handigit.cli.training import MODEL_FILE, train
from handigit.read import Reader
from handigit.recipe import load_recipe
from handigit.records import Outcome
from handigit.settings import Settings
from handigit.train.run import Run


def main() -> None:
    """Tune and score each fold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="start", type=Path, default=Path("published/number"))
    parser.add_argument("--second", type=Path, default=Path("published/number-second"))
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--strings", type=int, default=200)
    given = parser.parse_args()
    torch.set_num_threads(1)
    crops = list(labelled(Settings().data, "orand_car_a"))
    order = np.random.default_rng(0).permutation(len(crops))
    folds = [[crops[index] for index in part] for part in np.array_split(order, given.folds)]
    before, after = [], []
    with tempfile.TemporaryDirectory() as place:
        for number, fold in enumerate(folds):
            others = [crop for other in folds if other is not fold for crop in other]
            tuned = tune(fold[: given.strings], given.start, given.second, Path(place) / f"fold{number}")
            before.append(score(Reader(), others))
            after.append(score(Reader(tuned), others))
            print(f"fold {number}: {before[-1]} before, {after[-1]} after", flush=True)
    seed = Run.open(given.start).recipe.seed
    result = {"strings": given.strings, "seed": seed, "before": summary(before), "after": summary(after)}
    save_results(RESULTS / "tune_numbers.json", result)
    print(result)


def tune(strings: list[Crop], start: Path, second: Path, place: Path) -> Path:
    """Models tuned on these strings, as a user would have them: files, a table, one command."""
    place.mkdir()
    with (place / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "text"])
        for number, crop in enumerate(strings):
            Image.fromarray(crop.pixels).save(place / f"{number}.png")
            table.writerow([f"{number}.png", crop.text])
    recipe = load_recipe("number-tune", strings=(str(place / "labels.csv"),))
    train("number-tune", run=place / "run", from_=str(start), second=second, device="cpu", fields=recipe)
    return place / "run" / MODEL_FILE


def score(reader: Reader, crops: list[Crop]) -> dict[str, float]:
    """Percent of strings right, doubts included; percent read at a target error of 1 %, and of these wrong."""
    numbers = reader.numbers(crop.pixels for crop in crops)
    right = [number.text == crop.text for number, crop in zip(numbers, crops, strict=True)]
    read = [is_right for number, is_right in zip(numbers, right, strict=True) if number.outcome is Outcome.READ]
    return {
        "right": 100 * sum(right) / len(crops),
        "read": 100 * len(read) / len(crops),
        "wrong": 100 * read.count(False) / max(1, len(read)),
    }


def summary(values: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation of each figure over folds."""
    columns = {name: [value[name] for value in values] for name in values[0]}
    return {name: {"mean": statistics.mean(some), "sd": statistics.stdev(some)} for name, some in columns.items()}


if __name__ == "__main__":
    main()
