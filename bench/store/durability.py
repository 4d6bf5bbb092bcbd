"""Durability and speed of the store: kill -9 during corrections, sixteen concurrent writers, cost per reading.

    python -m bench.store.durability                   200 kills, 60 s of 16 writers, a queue of 100,000
    python -m bench.store.durability --kills 5 --seconds 5 --queue 2000
    python -m bench.store.durability --parts adding    this part only; the others keep their last figures
    python -m bench.store.durability --url postgresql://user@host/empty    an empty PostgreSQL database

Kills: after each, the database is checked as by `handigit store check`. Every acknowledged correction must be there
exactly once, and every attempted one exactly once after it is tried again. Writers: four processes of four threads,
three corrections per new reading; targets are no error and a p99 of at most 250 ms. Queue: waiting time for the next
review item with this many waiting and as many finished. Adding: processor time to store a digit with its picture, one
at a time and in batches of the service's queue.

Results go to bench/results/store.json.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import func, select

from bench.results_io import RESULTS, load_results, save_results
from bench.store import hammer
from bench.timing import seconds as seconds_of
from handigit.records import Box, Digit, Number, Outcome
from handigit.store import NewPage, Store, Truth
from handigit.store.integrity import check
from handigit.store.tables import corrections

PROCESSES = 4


def kill_often(url: str, files: Path, *, kills: int, seed: int = 0) -> dict[str, Any]:
    """Kill a correcting program again and again; what was lost or doubled, of how much."""
    chance = random.Random(seed)  # noqa: S311 - not a secret
    with Store.open(url, files=files, policy=hammer.POLICY) as store:
        hammer.seed_readings(store)
    totals: Counter[str] = Counter(acknowledged=0, in_doubt=0, lost=0, doubled=0, findings=0)
    for number in range(kills):
        after_s = chance.uniform(0, 0.1)
        killed = hammer.correct_and_be_killed(url, files, name=f"kill{number}", after_s=after_s)
        with Store.open(url, files=files, policy=hammer.POLICY) as store:
            totals.update(count_lost(store, killed))
    return {"kills": kills, **totals}


def count_lost(store: Store, killed: hammer.Killed) -> dict[str, int]:
    found = _copies(store)
    lost = sum(key not in found for key in killed.acknowledged)
    for key in killed.tried:
        reading, truth = hammer.correction_of(key)
        store.decide(reading, truth, by="hammer", key=key)
    again = _copies(store)
    return {
        "acknowledged": len(killed.acknowledged),
        "in_doubt": len(killed.tried - killed.acknowledged),
        "lost": lost + sum(key not in again for key in killed.tried),
        "doubled": sum(count > 1 for count in again.values()),
        "findings": len(check(store)),
    }


def _copies(store: Store) -> dict[str, int]:
    """How often each key is there."""
    counted = select(corrections.c.key, func.count()).group_by(corrections.c.key)
    with store.database.reading() as connection:
        return {row[0]: row[1] for row in connection.execute(counted)}


def write_together(url: str, files: Path, *, seconds: float, threads: int = 4) -> dict[str, Any]:
    """Sixteen writers in four processes; how many writes a second, how long they took, what went wrong."""
    with Store.open(url, files=files, policy=hammer.POLICY) as store:
        hammer.seed_readings(store)
    command = [sys.executable, hammer.__file__, "write", url, str(files), "--threads", str(threads)]
    started = [
        subprocess.Popen([*command, "--seconds", str(seconds), "--name", str(i)], stdout=subprocess.PIPE, text=True)
        for i in range(PROCESSES)
    ]
    said = [json.loads(child.communicate()[0]) for child in started]
    taken = [one for part in said for one in part["ms"]]
    cuts = statistics.quantiles(taken, n=100, method="inclusive")
    return {
        "writers": PROCESSES * threads,
        "writes": len(taken),
        "per_second": round(len(taken) / seconds, 1),
        "p50_ms": round(cuts[49], 1),
        "p99_ms": round(cuts[98], 1),
        "max_ms": round(max(taken), 1),
        "errors": dict(sum((Counter(part["errors"]) for part in said), Counter())),
    }


def review_long_queue(url: str, files: Path, *, queue: int) -> dict[str, Any]:
    """How long leasing and deciding take with a long queue, and the list and the figures over all of it."""
    with Store.open(url, files=files, policy=hammer.POLICY) as store:
        for start in range(0, queue, 1000):
            size = min(1000, queue - start)
            store.add([Number(Outcome.DOUBT, str(i), 0.5 + i / 4000) for i in range(size)], hammer.PROVENANCE)
        settled = store.readings(limit=1000).readings
        for reading in settled:
            store.decide(reading.id, Truth("1"), by="bench", key=f"settled{reading.id}")
        leasing = [seconds_of(lambda: store.lease("bench")) * 1e3 for _ in range(100)]
        return {
            "queue": queue,
            "lease_p50_ms": round(statistics.median(leasing), 2),
            "lease_max_ms": round(max(leasing), 2),
            "list_ms": round(seconds_of(lambda: store.readings(limit=100)) * 1e3, 1),
            "figures_ms": round(seconds_of(store.statistics) * 1e3, 1),
            "check_s": round(seconds_of(lambda: check(store)), 2),
        }


def add_together(url: str, files: Path, *, readings: int = 512, sizes: Sequence[int] = (1, 8, 64)) -> dict[str, Any]:
    """Microseconds of processor time, and by the clock, to keep one reading with a picture of its own."""
    chance = np.random.default_rng(0)
    digit = Digit(Outcome.READ, 7, 0.9, (0.1,) * 10, Box(4, 4, 24, 24)).as_number()
    taken = {}
    with Store.open(url, files=files, policy=hammer.POLICY) as store:
        for size in sizes:
            pages = chance.integers(0, 256, (readings, 28, 28), dtype=np.uint8)
            entries = [NewPage([digit], hammer.PROVENANCE, page) for page in pages]
            began, spent = time.perf_counter(), time.process_time()
            for start in range(0, readings, size):
                store.add_many(entries[start : start + size])
            spent, clock = time.process_time() - spent, time.perf_counter() - began
            taken[str(size)] = {"cpu_us": round(spent / readings * 1e6), "us": round(clock / readings * 1e6)}
    return {"readings": readings, "together": taken}


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--queue", type=int, default=100_000)
    parser.add_argument("--parts", nargs="+", choices=("kills", "writers", "review", "adding"), help="none: all")
    parser.add_argument("--url", help="none: a new SQLite file for each part")
    asked = parser.parse_args()
    kind = "sqlite" if asked.url is None else asked.url.partition(":")[0]
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder)
        parts: dict[str, Callable[[str], dict[str, Any]]] = {
            "kills": partial(kill_often, files=files, kills=asked.kills),
            "writers": partial(write_together, files=files, seconds=asked.seconds),
            "review": partial(review_long_queue, files=files, queue=asked.queue),
            "adding": partial(add_together, files=files),
        }
        for name in asked.parts or parts:
            figures[name] = parts[name](asked.url or f"sqlite:///{files / name}.db")
            print(name, json.dumps(figures[name]))
    before = load_results(RESULTS / "store.json")
    save_results(RESULTS / "store.json", before | {kind: before.get(kind, {}) | figures})


if __name__ == "__main__":
    main()
