"""Threads: time per step of small recipes with one thread, with two and as chosen, idle and beside a busy process.

    python -m bench.train.threads
    python -m bench.train.threads --recipes dense lenet5 --steps 100 --rounds 2

Each measurement is its own process, because OpenMP reads its wait policy once. `chosen` is what `handigit train` does:
it times its first steps and takes the best number of threads, and waiting threads sleep (`passive`); `active` is
OpenMP's default (they spin). The busy process keeps one core occupied.
Measurements take turns; the median of the rounds counts. Writes bench/results/threads.json.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.results_io import RESULTS, save_results

CONFIGURATIONS = {
    "1 thread": (1, "passive"),
    "2 threads, passive": (2, "passive"),
    "2 threads, active": (2, "active"),
    "chosen": (0, "passive"),
}
PICKED = "chosen"
_BUSY = "while True: pass"


def measure(recipe_name: str, threads: int, steps: int) -> float:
    """Seconds per step in this process, after a warm-up epoch of the same length; 0 threads: as the trainer chooses."""
    import torch

    from handigit.recipe import load_recipe
    from handigit.train.digit_task import DigitTask, Samples
    from handigit.train.trainer import Callbacks, Trainer, start_model

    torch.set_num_threads(threads or 2)
    recipe = load_recipe(recipe_name).replace(teachers=(), outliers=(), ema=0.0, epoch_share=1.0, blend=1.0)
    generator = torch.Generator().manual_seed(0)
    count = recipe.batch_size * steps
    glyphs = torch.randint(0, 256, (count, 28, 28), dtype=torch.uint8, generator=generator)
    samples = Samples(glyphs, torch.randint(0, 10, (count,), generator=generator))
    trainer = Trainer(DigitTask(recipe, samples), start_model(recipe), threads=threads or None)
    trainer.train_epoch(0, Callbacks())
    started = time.perf_counter()
    trainer.train_epoch(0, Callbacks())
    return (time.perf_counter() - started) / steps


def measure_apart(recipe: str, threads: int, policy: str, steps: int) -> float:
    """`measure` in a process with this wait policy."""
    environment = os.environ | {"OMP_WAIT_POLICY": policy.upper()}
    environment.pop("OMP_NUM_THREADS", None)
    command = [sys.executable, "-m", "bench.train.threads", "--measure", recipe, str(threads), str(steps)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


@contextmanager
def machine(kind: str) -> Iterator[None]:
    """An otherwise idle machine, or one with a process that keeps one core busy."""
    busy = subprocess.Popen([sys.executable, "-c", _BUSY]) if kind == "busy" else None
    try:
        yield
    finally:
        if busy:
            busy.kill()
            busy.wait()


def compare(recipe: str, kind: str, steps: int, rounds: int) -> dict[str, Any]:
    """Median milliseconds per step of each configuration, and the picked one relative to the best."""
    taken: dict[str, list[float]] = {name: [] for name in CONFIGURATIONS}
    with machine(kind):
        for _ in range(rounds):
            for name, (threads, policy) in CONFIGURATIONS.items():
                taken[name].append(1e3 * measure_apart(recipe, threads, policy, steps))
    medians = {name: statistics.median(values) for name, values in taken.items()}
    ratio = medians[PICKED] / min(medians.values())
    return {"recipe": recipe, "machine": kind, "ms": medians, "ratio": ratio, "load_average": os.getloadavg()[0]}


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", nargs="+", default=["dense", "lenet5", "fast", "digit-nano", "digit"])
    parser.add_argument("--machines", nargs="+", choices=["idle", "busy"], default=["idle", "busy"])
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", nargs=3, metavar=("RECIPE", "THREADS", "STEPS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        recipe, threads, steps = arguments.measure
        print(measure(recipe, int(threads), int(steps)))
        return
    rows = []
    for recipe in arguments.recipes:
        for kind in arguments.machines:
            rows.append(compare(recipe, kind, arguments.steps, arguments.rounds))
            print(json.dumps(rows[-1]), flush=True)
    save_results(RESULTS / "threads.json", {"steps": arguments.steps, "rounds": arguments.rounds, "rows": rows})


if __name__ == "__main__":
    main()
