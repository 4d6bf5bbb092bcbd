"""Kill -9 during a backup, a restore and an upgrade: the old or the new must be there, whole.

    python -m bench.store.upkeep                 200 kills of each
    python -m bench.store.upkeep --kills 20

A forked process works until it is killed at a random moment. After a killed backup its folder is missing or can be
restored; after a killed restore the store has exactly the old or the new content; after a killed upgrade every row is
there with its value once the database is opened again. Each time the store must be sound. Needs `os.fork`, so no
Windows. Results go to bench/results/store_upkeep.json.
"""

import argparse
import json
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from bench.results_io import RESULTS, save_results
from bench.store.older import copy_as
from handigit.records import Number, Outcome, parse_value
from handigit.store import Provenance, Store, Truth
from handigit.store.backup import backup, restore
from handigit.store.database import Database
from handigit.store.integrity import check
from handigit.store.schema import revisions

PROVENANCE = Provenance("upkeep", "bench", "0" * 64)


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    kills = parser.parse_args().kills
    results = {}
    for part in (kill_backups, kill_restores, kill_upgrades):
        with tempfile.TemporaryDirectory() as folder:
            results[part.__name__] = part(Path(folder), kills=kills)
            print(part.__name__, json.dumps(results[part.__name__]))
    save_results(RESULTS / "store_upkeep.json", results)


def kill_backups(folder: Path, *, kills: int, seed: int = 0) -> dict[str, int]:
    """Backups that are killed; how many were complete, and how many of these cannot be restored."""
    chance, counts = random.Random(seed), Counter(kills=kills, complete=0, broken=0)  # noqa: S311 - not a secret
    with open_store(folder / "store") as store:
        fill(store, readings=40)
    usual_s = duration_of(partial(_backup, folder / "store", folder / "first"))
    for number in range(kills):
        target = folder / f"backup-{number}"
        kill_during(partial(_backup, folder / "store", target), chance.uniform(0, 1.2 * usual_s))
        if target.exists():
            counts["complete"] += 1
            with open_store(folder / "other") as other:
                restore(other, target)
                counts["broken"] += int(bool(check(other)))
            shutil.rmtree(folder / "other")
    return dict(counts)


def kill_restores(folder: Path, *, kills: int, seed: int = 0) -> dict[str, int]:
    """Restores that are killed; after each the content must be exactly one of the two."""
    chance, counts = random.Random(seed), Counter(kills=kills, old=0, new=0, mixed=0, unsound=0)  # noqa: S311
    contents: list[list[str]] = []
    backups: list[Path] = []
    for name in ("a", "b"):
        with open_store(folder / name) as store:
            fill(store, readings=40, seed=len(contents))
            contents.append(content_of(store))
            backups.append(backup(store, folder / f"backup-{name}").folder)
    usual_s = duration_of(partial(_restore, folder / "store", backups[1]))
    before = contents[1]
    for number in range(kills):
        new = number % 2  # the two take turns, so that a restore that was not killed shows
        kill_during(partial(_restore, folder / "store", backups[new]), chance.uniform(0, 1.2 * usual_s))
        with open_store(folder / "store") as store:
            content = content_of(store)
            state = "new" if content == contents[new] else "old" if content == before else "mixed"
            before = content
            counts[state] += 1
            counts["unsound"] += int(any(not finding.harmless for finding in check(store) if content))
    return dict(counts)


def kill_upgrades(folder: Path, *, kills: int, seed: int = 0) -> dict[str, int]:
    """Upgrades of every earlier revision in turn that are killed; each row must be there with its value afterwards."""
    chance, counts = random.Random(seed), Counter(kills=kills, lost=0, wrong=0, unsound=0)  # noqa: S311
    raws, earlier = [f"{i}.{i % 100:02d}" for i in range(2000)], revisions()[:-1]
    with open_store(folder / "newest") as store:
        numbers = [Number(Outcome.READ, raw.replace(".", ""), 0.9, raw=raw, value=parse_value(raw)) for raw in raws]
        store.add(numbers, PROVENANCE)
        for revision in earlier:
            (folder / revision).mkdir()
            old = Database(f"sqlite:///{folder / revision / 'handigit.db'}")
            copy_as(store.database, old, revision)
            old.close()
    shutil.copytree(folder / earlier[0], folder / "first")
    usual_s = duration_of(partial(_upgrade, folder / "first"))
    for number in range(kills):
        home = folder / f"home-{number}"
        shutil.copytree(folder / earlier[number % len(earlier)], home)
        kill_during(partial(_upgrade, home), chance.uniform(0, 1.2 * usual_s))
        with open_store(home) as store:
            readings = list(store.in_order())
            counts["lost"] += len(raws) - len(readings)
            counts["wrong"] += sum(
                (reading.raw, reading.value) != (raw, parse_value(raw))
                for reading, raw in zip(readings, raws, strict=False)
            )
            counts["unsound"] += int(bool(check(store)))
        shutil.rmtree(home)
    return counts | {"revisions": len(earlier)}


def open_store(home: Path) -> Store:
    """A store in SQLite."""
    return Store.open(f"sqlite:///{home / 'handigit.db'}", files=home / "pictures")


def fill(store: Store, *, readings: int, seed: int = 0) -> None:
    """Add readings with pictures, and a correction of each."""
    pages = np.random.default_rng(seed)
    for index in range(readings):
        page = pages.integers(0, 256, (28, 28), dtype=np.uint8)
        raw = f"{seed}{index}"
        (reading,) = store.add([Number(Outcome.DOUBT, raw, 0.5, raw=raw)], PROVENANCE, page=page)
        store.decide(reading, Truth(f"{index}.5"), by="bench", key=str(index))


def content_of(store: Store) -> list[str]:
    """Every reading with its correction."""
    return list(store.export(format="jsonl"))


def duration_of(work: Callable[[], object]) -> float:
    """Seconds that the work takes in a forked process."""
    started = time.perf_counter()
    os.waitpid(_start(work), 0)
    return time.perf_counter() - started


def kill_during(work: Callable[[], object], after_s: float) -> None:
    """Do the work in a forked process and kill it after a time, if it has not finished."""
    child = _start(work)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _start(work: Callable[[], object]) -> int:
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return child


def _backup(home: Path, target: Path) -> None:
    with open_store(home) as store:
        backup(store, target)


def _restore(home: Path, source: Path) -> None:
    with open_store(home) as store:
        restore(store, source)


def _upgrade(home: Path) -> None:
    open_store(home).close()


if __name__ == "__main__":
    main()
