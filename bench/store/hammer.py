"""Programs that write into a store as fast as they can, to be killed or timed by benchmarks and tests.

python hammer.py correct URL FILES --name ROUND      prints `try KEY` before each correction, `ack KEY` after it
python hammer.py write URL FILES --seconds 60        prints JSON: milliseconds of each write, errors by message
"""

import argparse
import collections
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from handigit.errors import HandigitError
from handigit.records import Number, Outcome
from handigit.store import Policy, Provenance, Store, Truth

PROVENANCE = Provenance("hammer", "bench", "0" * 64)
POLICY = Policy(control_share=0, second_share=0)
READINGS = 64
LEAST_WRITES = 4


@dataclass(frozen=True, slots=True)
class Killed:
    """The keys that a killed program had tried, and those acknowledged as stored."""

    tried: frozenset[str]
    acknowledged: frozenset[str]


def seed_readings(store: Store) -> tuple[int, ...]:
    """Readings to correct."""
    return store.add([Number(Outcome.DOUBT, str(i), 0.5) for i in range(READINGS)], PROVENANCE)


def correction_of(key: str) -> tuple[int, Truth]:
    """The reading and the text of a key's correction; a retry must repeat both."""
    number = sum(key.encode())
    return number % READINGS + 1, Truth(str(number))


def correct_and_be_killed(url: str, files: Path, *, name: str, after_s: float, threads: int = 4) -> Killed:
    """Start a program that corrects with several threads, and kill -9 it so long after its first acknowledgement."""
    command = [sys.executable, __file__, "correct", url, str(files), "--name", name, "--threads", str(threads)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        lines: list[str] = []
        while not lines or lines[-1].startswith("try"):
            lines.append(child.stdout.readline())
        time.sleep(after_s)
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.read().splitlines(keepends=True)
    # What it was saying when it died may be cut off; a whole line ends.
    said = [line.split() for line in lines if line.endswith("\n")]
    keys = {word: frozenset(rest[0] for verb, *rest in said if verb == word) for word in ("try", "ack")}
    return Killed(keys["try"], keys["ack"])


def correct(store: Store, *, name: str, threads: int) -> None:
    """Correct with several threads until killed."""

    def client(place: int) -> None:
        for count in range(10**9):
            key = f"{name}-{place}-{count}"
            reading, truth = correction_of(key)
            os.write(1, f"try {key}\n".encode())
            store.decide(reading, truth, by="hammer", key=key)
            os.write(1, f"ack {key}\n".encode())

    _together([lambda place=place: client(place) for place in range(threads)])  # type: ignore[misc] # bound at once


def write(store: Store, *, name: str, threads: int, seconds: float) -> dict[str, object]:
    """Write with several threads for a time, three corrections for each new reading; how long each write took.

    However busy the machine, each thread writes four times at least.
    """
    taken: list[float] = []
    errors: collections.Counter[str] = collections.Counter()
    end = time.monotonic() + seconds

    def client(place: int) -> None:
        count = 0
        while count < LEAST_WRITES or time.monotonic() < end:
            count += 1
            key = f"{name}-{place}-{count}"
            began = time.perf_counter()
            try:
                _write_once(store, key, is_new=count % 4 == 0)
            except HandigitError as problem:
                errors[str(problem)] += 1
            taken.append((time.perf_counter() - began) * 1e3)

    _together([lambda place=place: client(place) for place in range(threads)])  # type: ignore[misc] # bound at once
    return {"ms": taken, "errors": dict(errors)}


def _write_once(store: Store, key: str, *, is_new: bool) -> None:
    if is_new:
        store.add([Number(Outcome.DOUBT, "7", 0.5)], PROVENANCE)
        return
    reading, truth = correction_of(key)
    store.decide(reading, truth, by="hammer", key=key)


def _together(works: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("correct", "write"))
    parser.add_argument("url")
    parser.add_argument("files", type=Path)
    parser.add_argument("--name", default="0")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=60)
    asked = parser.parse_args()
    with Store.open(asked.url, files=asked.files, policy=POLICY) as store:
        if asked.what == "correct":
            correct(store, name=asked.name, threads=asked.threads)
        else:
            print(json.dumps(write(store, name=asked.name, threads=asked.threads, seconds=asked.seconds)))


if __name__ == "__main__":
    main()
