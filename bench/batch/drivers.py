"""Measure `handigit batch`: one process, the pool and Ray side by side, and batches killed at random moments.

    python -m bench.batch.drivers speed --count 20000    # each driver, median of --repeats
    python -m bench.batch.drivers kills --count 200 --kills 100
    python -m bench.batch.drivers kills --count 200 --kills 30 --seed 1 --add    # to the kills in the results so far
    python -m bench.batch.drivers memory --counts 500 2000 8000
    python -m bench.batch.drivers memory --counts 2000 20000 --as digit    # ten times as fast, rows as large

Results are merged into bench/results/batch.json. Processor time is the sum over the driver and everything it started;
on a busy machine it says more than wall time.
"""

import argparse
import json
import os
import random
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.results_io import RESULTS, load_results, save_results
from handigit.synth.crops import draw_crop

FILE = RESULTS / "batch.json"
DRIVERS = {"one process": ["--jobs", "1"], "pool": ["--jobs", "2"], "ray": ["--jobs", "2", "--on", "ray"]}
SEPARATE = "two batches"
"""Two batches of one process at once, half of the inputs each: nothing is shared but the machine."""
FEW = 64
"""Inputs of the batch whose time counts as start-up: two chunks per process."""
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_SAMPLE_S = 0.1


class DriverFailed(Exception):
    """A batch ended by itself before all inputs were read; its rows say nothing about kills."""


@dataclass
class Usage:
    """What a process and its descendants used: processor seconds in all, and the driver's peak memory in bytes."""

    seconds: float = 0.0
    driver_peak: int = 0
    exit_status: int = 0
    processor: dict[int, float] = field(default_factory=dict)

    @property
    def processor_s(self) -> float:
        """Processor seconds of all processes."""
        return sum(self.processor.values())


def draw_crops(folder: Path, count: int) -> Path:
    """Synthetic crops of numbers as PNG files."""
    rng = np.random.default_rng(11)
    folder.mkdir(parents=True)
    for index in range(count):
        cv2.imwrite(str(folder / f"{index:06d}.png"), draw_crop(rng).pixels)
    return folder


def command(source: Path, out: Path, *more: str, kind: str = "number") -> list[str]:
    """The command line of a batch of crops."""
    base = [sys.executable, "-m", "handigit.cli", "batch", str(source), "--out", str(out), "--as", kind]
    return [*base, "--format", "jsonl", *more]


def driver_command(driver: str, source: Path, out: Path) -> list[str]:
    """The command line of a batch with a driver."""
    if driver != SEPARATE:
        return command(source, out, *DRIVERS[driver])
    halves = [
        shlex.join(command(source, out.with_name(f"{out.name}-{i}"), "--jobs", "1", "--shard", f"{i}/2"))
        for i in (1, 2)
    ]
    return ["sh", "-c", f"{halves[0]} & {halves[1]} & wait"]


def measure(arguments: Sequence[str]) -> Usage:
    """Run a command to its end."""
    usage = Usage()
    started = time.monotonic()
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
    stop = threading.Event()
    sampler = threading.Thread(target=_sample, args=(process.pid, usage, stop))
    sampler.start()
    usage.exit_status = process.wait()
    usage.seconds = time.monotonic() - started
    stop.set()
    sampler.join()
    return usage


def environment() -> dict[str, str]:
    """One thread per process, so that drivers are compared and not thread pools."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "HANDIGIT_THREADS": "1", "RAY_DISABLE_IMPORT_WARNING": "1"}


def _sample(driver: int, usage: Usage, stop: threading.Event) -> None:
    known = {driver}
    while not stop.wait(_SAMPLE_S):
        for pid, parent, processor_s, memory in _processes():
            if parent in known or pid in known:
                known.add(pid)
                usage.processor[pid] = max(usage.processor.get(pid, 0.0), processor_s)
                if pid == driver:
                    usage.driver_peak = max(usage.driver_peak, memory)


def _processes() -> Iterator[tuple[int, int, float, int]]:
    """Each process's id, parent, processor seconds and resident bytes."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        yield (
            int(stat.parent.name),
            int(fields[1]),
            (int(fields[11]) + int(fields[12])) / _TICKS,
            (int(fields[21]) * _PAGE_BYTES),
        )


def measure_speed(count: int, repeats: int, drivers: Sequence[str]) -> dict[str, Any]:
    """Rates per driver, in turns, so that changes in the machine's load affect all of them."""
    runs: dict[str, list[Usage]] = {driver: [] for driver in drivers}
    with scratch() as folder:
        source, few = draw_crops(folder / "crops", count), draw_crops(folder / "few", FEW)
        start_up = {
            driver: measure(driver_command(driver, few, folder / f"few-{i}")) for i, driver in enumerate(drivers)
        }
        for repeat in range(repeats):
            for driver in drivers:
                out = folder / f"{driver}-{repeat}".replace(" ", "-")
                runs[driver].append(measure(driver_command(driver, source, out)))
                print(
                    f"{driver}: {runs[driver][-1].seconds:.1f} s, {runs[driver][-1].processor_s:.1f} s processor",
                    flush=True,
                )
    results = {driver: _speed_of(count, start_up[driver], usages) for driver, usages in runs.items()}
    if "one process" in results:
        base = results["one process"]
        for result in results.values():
            result["wall_ratio"] = round(result["inputs_per_s"] / base["inputs_per_s"], 2)
            result["processor_ratio"] = round(base["processor_ms_per_input"] / result["processor_ms_per_input"], 3)
    return {"inputs": count, "repeats": repeats, "load_average": os.getloadavg()[0], "drivers": results}


def _speed_of(count: int, start_up: Usage, usages: Sequence[Usage]) -> dict[str, float]:
    """Medians. A batch of `FEW` inputs, enough to start every process, is measured apart and taken off."""
    seconds = statistics.median(usage.seconds for usage in usages)
    processor = statistics.median(usage.processor_s for usage in usages)
    return {
        "seconds": round(seconds, 1),
        "start_s": round(start_up.seconds, 1),
        "inputs_per_s": round((count - FEW) / max(seconds - start_up.seconds, 1e-3), 2),
        "processor_ms_per_input": round(1000 * (processor - start_up.processor_s) / (count - FEW), 2),
        "start_processor_s": round(start_up.processor_s, 1),
        "driver_peak_mb": round(max(usage.driver_peak for usage in usages) / 1e6),
    }


def measure_memory(counts: Sequence[int], kind: str) -> dict[str, Any]:
    """The driver's peak memory for batches of growing size."""
    peaks = {}
    with scratch() as folder:
        source = draw_crops(folder / "crops", min(counts))
        for count in counts:
            copies = folder / f"copies-{count}"
            copies.mkdir()
            for index in range(count):
                os.link(source / f"{index % min(counts):06d}.png", copies / f"{index:07d}.png")
            arguments = command(copies, folder / f"out-{count}", "--jobs", "2", "--part-size", "500", kind=kind)
            usage = measure(arguments)
            peaks[str(count)] = round(usage.driver_peak / 1e6, 1)
            manifest = sum(path.stat().st_size for path in (folder / f"out-{count}" / "commits").iterdir())
            rows = sum(path.stat().st_size for path in (folder / f"out-{count}" / "parts").iterdir())
            print(f"{count}: driver {peaks[str(count)]} MB, manifest {manifest} B, rows {rows} B")
    return {
        "driver_peak_mb": peaks,
        "manifest_bytes_per_input": round(manifest / count),
        "jsonl_bytes_per_input": round(rows / count),
    }


def measure_kills(count: int, kills: int, seed: int) -> dict[str, Any]:
    """Kill the driver or workers at random moments; compare the rows with those of an undisturbed batch."""
    rng, done = random.Random(seed), Counter[str]()  # noqa: S311
    with scratch() as folder:
        source = draw_crops(folder / "crops", count)
        subprocess.run(
            command(source, folder / "whole", "--jobs", "2"), check=False, env=environment(), capture_output=True
        )
        expected = rows_of(folder / "whole")
        lost = doubled = changed = batches = 0
        while done.total() < kills:
            batches += 1
            out = folder / f"batch-{batches}"
            done += _disturb(source, out, rng, left=kills - done.total())
            found = rows_of(out)
            lost += len(expected.keys() - found.keys())
            doubled += sum(len(rows) - 1 for rows in found.values()) + len(found.keys() - expected.keys())
            for key in expected.keys() & found.keys():
                if expected[key] != found[key]:
                    changed += 1
                    print(f"{key}: {expected[key]} became {found[key]}")
            shutil.rmtree(out)
            print(
                f"{done.total()} kills, {batches} batches: {lost} lost, {doubled} doubled, {changed} changed",
                flush=True,
            )
    totals = {"rows_lost": lost, "rows_doubled": doubled, "rows_changed": changed}
    return {"inputs": count, "kills": dict(done), "batches": batches, **totals}


def add_kills(earlier: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """The figures of two measurements together."""
    counts = ("batches", "rows_lost", "rows_doubled", "rows_changed")
    total = {name: earlier[name] + found[name] for name in counts}
    return {"inputs": found["inputs"], "kills": dict(Counter(earlier["kills"]) + Counter(found["kills"])), **total}


def _disturb(source: Path, out: Path, rng: random.Random, *, left: int) -> Counter[str]:
    """One batch to its end, with a kill every few seconds; resumed whenever its driver dies."""
    done: Counter[str] = Counter()
    more: tuple[str, ...] = ()
    while True:
        arguments = command(source, out, "--jobs", "2", "--part-size", "4", *more)
        with (out.with_suffix(".log")).open("w") as log:
            process = subprocess.Popen(arguments, env=environment(), stdout=subprocess.DEVNULL, stderr=log)
            while process.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=rng.uniform(0.5, 12.0) if done.total() < left else None)
                if process.poll() is None:
                    target = rng.choice(["driver", "worker", "half of the workers"])
                    done[target] += _kill(process.pid, target, rng)
        if (out / "summary.json").exists():
            return done
        if process.returncode >= 0:  # not killed: it could not start, or not go on
            raise DriverFailed(f"status {process.returncode}: {out.with_suffix('.log').read_text()}")
        more = ("--resume",) if (out / "batch.json").exists() else ()


def _kill(driver: int, target: str, rng: random.Random) -> bool:
    """Kill -9; whether anything was killed."""
    victims = [driver]
    if target != "driver":
        workers = [pid for pid, parent, _, _ in _processes() if parent == driver]
        victims = rng.sample(workers, min(len(workers), 1 if target == "worker" else -(-len(workers) // 2)))
    for victim in victims:
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
    return bool(victims)


def rows_of(out: Path) -> dict[str, list[str]]:
    """The rows of committed parts: what is written, by source, page and place on it."""
    found: dict[str, list[str]] = {}
    for commit in (out / "commits").glob("part-*.json"):
        for line in (out / "parts" / commit.with_suffix(".jsonl").name).read_text().splitlines():
            row = json.loads(line)
            key = json.dumps([row[name] for name in ("source", "digest", "page", "index")])
            found.setdefault(key, []).append(line)
    return found


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder."""
    with tempfile.TemporaryDirectory(prefix="handigit-batch-") as name:
        yield Path(name)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    speed = verbs.add_parser("speed")
    speed.add_argument("--count", type=int, default=20_000)
    speed.add_argument("--repeats", type=int, default=3)
    choices = [*DRIVERS, SEPARATE]
    speed.add_argument("--drivers", nargs="+", default=choices, choices=choices)
    kills = verbs.add_parser("kills")
    kills.add_argument("--count", type=int, default=200)
    kills.add_argument("--kills", type=int, default=100)
    kills.add_argument("--seed", type=int, default=0)
    kills.add_argument("--add", action="store_true")
    memory = verbs.add_parser("memory")
    memory.add_argument("--counts", type=int, nargs="+", default=[500, 2000, 8000])
    memory.add_argument("--as", dest="kind", choices=["digit", "number"], default="number")
    chosen = parser.parse_args()
    if chosen.verb == "speed":
        found = measure_speed(chosen.count, chosen.repeats, chosen.drivers)
    elif chosen.verb == "kills":
        found = measure_kills(chosen.count, chosen.kills, chosen.seed)
    else:
        found = measure_memory(chosen.counts, chosen.kind)
    line, results = " ".join(["python -m bench.batch.drivers", *sys.argv[1:]]), load_results(FILE)
    if chosen.verb == "kills" and chosen.add and (earlier := results.get("kills")):
        line, found = f"{earlier['command']}; {line}", add_kills(earlier, found)
    save_results(FILE, results | {chosen.verb: {"command": line, **found}})
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
