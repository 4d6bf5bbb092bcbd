"""Training speed: our fast recipes beside other people's, in turn, in one process.

    python -m bench.train.speed                                    # ten seeds each, Keras's five: most of an hour
    python -m bench.train.speed --only fast train_mnist_fast --seeds 3
    python -m bench.train.speed --only fast train_mnist_fast --seeds 3 --busy    # another process keeps one core busy

Time is counted from uint8 glyphs and labels in memory to trained weights. All train on MNIST's 60,000 training images
(or the first --samples of them), with the same number of threads and the same memory settings, after one short warm-up
each. Every seed counts. Our recipes run in the trainer of `handigit train`, without checkpoints and validation.

Each round is added to bench/results/train_speed.json or train_speed_busy.json, and a second call continues there.
`ratio` is the median time over train_mnist_fast's; `cpu_ratio` is the same of processor time, which a busy machine
distorts less. train_mnist_fast runs on --threads, ours on as many of them as its trainer chooses.
"""

import argparse
import os
import statistics
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from bench.results_io import RESULTS, load_results, save_results
from bench.train.peers import train_keras_example, train_mnist_fast
from bench.train.threads import machine
from handigit.data import Dataset, load
from handigit.recipe import load_recipe
from handigit.settings import Settings
from handigit.train.device import pick_device
from handigit.train.digit_task import DigitTask, Samples, predict_logits
from handigit.train.optimizer import keep_freed_memory
from handigit.train.trainer import fit_in_memory

OURS = ("fast", "fast-plus")
RULER = "train_mnist_fast"
KERAS = "keras_example"
_WARM_UP_SAMPLES = 1024


class Train(Protocol):
    """Samples and a seed in, a trained network out."""

    def __call__(self, samples: Samples, *, seed: int) -> nn.Module:
        """The whole training."""


@dataclass(frozen=True)
class Contestant:
    """Somebody's recipe, and how many seeds it is given."""

    train: Train
    seeds: int


@dataclass(frozen=True)
class Conditions:
    """What all rounds in one file must have in common."""

    threads: int
    samples: int
    device: str
    torch: str


@dataclass(frozen=True)
class Round:
    """One training; accuracy in percent of the test set."""

    seed: int
    accuracy: float
    seconds: float
    cpu_seconds: float
    load_average: float


def contestants(*, seeds: int, keras_seeds: int, keras_epochs: int) -> dict[str, Contestant]:
    """Everyone who can take part, by name."""
    ours = {name: Contestant(partial(train_ours, recipe=name), seeds) for name in OURS}
    keras = partial(train_keras_example, epochs=keras_epochs)
    return ours | {RULER: Contestant(train_mnist_fast, seeds), KERAS: Contestant(keras, keras_seeds)}


def train_ours(samples: Samples, *, seed: int, recipe: str) -> nn.Module:
    """A recipe of the package, by the package's own loop."""
    return fit_in_memory(DigitTask(load_recipe(recipe, seed=seed), samples))


def hold(
    taking_part: Mapping[str, Contestant], conditions: Conditions, *, train: Dataset, test: Dataset, file: Path
) -> None:
    """Run every round that the file has not: a seed of each contestant, then the next seed.

    Raises:
        SystemExit: the file holds rounds under other conditions.
    """
    device = torch.device(conditions.device)
    warm_up = train.take(np.arange(min(_WARM_UP_SAMPLES, len(train))))
    for contestant in taking_part.values():
        contestant.train(Samples.of(warm_up, device), seed=0)
    for seed in range(max(contestant.seeds for contestant in taking_part.values())):
        for name, contestant in taking_part.items():
            rounds = known_rounds(file, name, conditions=conditions)
            if seed < contestant.seeds and all(run.seed != seed for run in rounds):
                rounds.append(run_round(contestant.train, seed, device=device, train=train, test=test))
                keep_rounds(file, name, conditions=conditions, rounds=rounds)
                print(f"{name:18} seed {seed}: {rounds[-1].accuracy:.2f} % in {rounds[-1].seconds:.2f} s", flush=True)


def run_round(train_it: Train, seed: int, *, device: torch.device, train: Dataset, test: Dataset) -> Round:
    """Train once against the clock, then score."""
    load_average = os.getloadavg()[0]
    began, cpu_began = time.perf_counter(), time.process_time()
    network = train_it(Samples.of(train, device), seed=seed)
    if device.type == "cuda":
        torch.cuda.synchronize()
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    samples = Samples.of(test, device)
    right = (predict_logits(network, samples).argmax(1) == samples.labels).double().mean().item()
    return Round(seed, 100 * right, seconds, cpu_seconds, load_average)


def known_rounds(file: Path, name: str, *, conditions: Conditions) -> list[Round]:
    """The contestant's rounds in the file.

    Raises:
        SystemExit: they were run under other conditions.
    """
    found = load_results(file).get(name)
    if found is None:
        return []
    for condition, value in asdict(conditions).items():
        if found[condition] != value:
            raise SystemExit(
                f"{file} holds {name} with {condition} = {found[condition]}, not {value}; give another --output, or "
                "delete that file"
            )
    return [Round(**one) for one in found["rounds"]]


def keep_rounds(file: Path, name: str, *, conditions: Conditions, rounds: list[Round]) -> None:
    """Write a contestant's rounds with their summary, and update all ratios."""
    mine = summary(rounds) | asdict(conditions) | {"rounds": [asdict(run) for run in rounds]}
    save_results(file, with_ratios(load_results(file) | {name: mine}))


def summary(rounds: list[Round]) -> dict[str, Any]:
    """What a contestant's rounds come to: mean accuracy and its spread, median times."""
    accuracies = [run.accuracy for run in rounds]
    spread = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
    return {
        "accuracy": {"mean": statistics.mean(accuracies), "sd": spread},
        "seconds": statistics.median(run.seconds for run in rounds),
        "cpu_seconds": statistics.median(run.cpu_seconds for run in rounds),
        "seeds": len(rounds),
        "load_average": max(run.load_average for run in rounds),
    }


def with_ratios(everyone: dict[str, Any]) -> dict[str, Any]:
    """Each contestant's times over the ruler's, as far as that was measured."""
    if ruler := everyone.get(RULER):
        for one in everyone.values():
            one["ratio"] = one["seconds"] / ruler["seconds"]
            one["cpu_ratio"] = one["cpu_seconds"] / ruler["cpu_seconds"]
    return everyone


def main() -> None:
    """Read the command line, run what is missing, print the summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[*OURS, RULER, KERAS], default=[*OURS, RULER, KERAS])
    parser.add_argument("--seeds", type=int, default=10, help="for our recipes and train_mnist_fast")
    parser.add_argument("--keras-seeds", type=int, default=5)
    parser.add_argument("--keras-epochs", type=int, default=12)
    parser.add_argument("--samples", type=int, default=60_000, help="number of training images, from the first")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or auto")
    parser.add_argument("--busy", action="store_true", help="beside a process that keeps one core busy")
    parser.add_argument("--output", type=Path)
    given, data = parser.parse_args(), Settings().data
    file = given.output or RESULTS / ("train_speed_busy.json" if given.busy else "train_speed.json")
    torch.set_num_threads(given.threads)
    keep_freed_memory()
    everyone = contestants(seeds=given.seeds, keras_seeds=given.keras_seeds, keras_epochs=given.keras_epochs)
    train = load("mnist", folder=data, part="train").take(np.arange(given.samples))
    conditions = Conditions(given.threads, len(train), str(pick_device(given.device)), torch.__version__)
    test = load("mnist", folder=data, part="test")
    with machine("busy" if given.busy else "idle"):
        hold({name: everyone[name] for name in given.only}, conditions, train=train, test=test, file=file)
    for name, result in load_results(file).items():
        ratios = f"  {result['ratio']:.3f} of {RULER}'s" if "ratio" in result else ""
        accuracy = result["accuracy"]["mean"]
        print(f"{name:18} {result['seeds']:2} seeds  {accuracy:.3f} %  {result['seconds']:.2f} s{ratios}")


if __name__ == "__main__":
    main()
