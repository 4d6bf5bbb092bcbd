"""What the service survives: hostile files, kill -9, dying workers, many connections, hours of work.

    python -m bench.serve.resilience hostile --files 1000 [--folder FOLDER]
    python -m bench.serve.resilience kills --minutes 9        of the server, four clients storing digits
    python -m bench.serve.resilience workers --minutes 3      of the worker processes alone
    python -m bench.serve.resilience connections              1,500 connections beside 64
    python -m bench.serve.resilience soak --minutes 20        up to two requests per second, memory before and after

`kills` and `workers` add to the figures of earlier runs, so that a thousand can be gathered in parts; `--fresh` begins
again. Results go to bench/results/resilience.json. Needs /proc, so Linux.
"""

import argparse
import json
import os
import random
import resource
import signal
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import httpx

from bench.results_io import RESULTS, load_results, save_results
from bench.serve.hostile_files import hostile_files
from bench.serve.targets import load, ours
from handigit.store import Store
from handigit.store.integrity import check
from tests.serving import Running, all_end, picture, running

WATCH: Final = """
import asyncio, json, sys, time
from handigit.web import service
start = service.Service.start
def watched(self):
    start(self)
    self.watch = asyncio.create_task(watch())
async def watch():
    worst = busy = 0.0
    while True:
        began, spent = time.perf_counter(), time.thread_time()
        await asyncio.sleep(0.02)
        late, used = time.perf_counter() - began - 0.02, time.thread_time() - spent
        if late > worst or used > busy:
            worst, busy = max(late, worst), max(used, busy)
            sys.stderr.write(json.dumps({"event": "lag", "late_s": worst, "busy_s": busy}) + "\\n")
service.Service.start = watched
"""
"""Measures in the server how late its event loop is, and how long it computes without a pause."""


def hostile(folder: Path, files: int, corpus: Path | None) -> dict[str, Any]:
    """Each file as a page, one after the other: statuses, the slowest answer, the event loop's lag, memory."""
    statuses: Counter[int] = Counter()
    slowest: list[tuple[float, str]] = []
    with running(folder, code=WATCH, HANDIGIT_KEEP_READINGS="0") as server, server.client() as client:
        client.timeout = httpx.Timeout(120)  # longer than the deadline, for the server's own answer
        for _ in range(20):
            client.post("/v1/read", content=picture(size=200)).raise_for_status()
        before = server.memory_mb()
        for name, content in hostile_files(files, folder=corpus):
            began = time.perf_counter()
            answer = client.post("/v1/read?within=30", content=content)
            slowest = sorted([*slowest, (round(time.perf_counter() - began, 2), name)])[-5:]
            statuses[answer.status_code] += 1
            if answer.status_code >= 500:
                print(name, answer.status_code, answer.text[:200], flush=True)
        client.post("/v1/digit", content=picture()).raise_for_status()
        lags = [line for line in server.log if line.get("event") == "lag"]
        grown, peak = server.memory_mb() - before, server.peak_mb()
    return {
        "files": files,
        "statuses": {str(status): count for status, count in sorted(statuses.items())},
        "slowest_s": slowest[::-1],
        "loop_late_max_s": round(lags[-1]["late_s"], 3),
        "loop_busy_max_s": round(lags[-1]["busy_s"], 3),
        "grown_mb": round(grown, 1),
        "peak_mb": round(peak, 1),
    }


def kills(folder: Path, minutes: float) -> Counter[str]:
    """Kill the server again and again while four clients store digits."""
    counts: Counter[str] = Counter(kills=0, acknowledged=0, unknown=0, lost=0, doubled=0, findings=0, orphans=0)
    chance, until = random.Random(), time.monotonic() + 60 * minutes  # noqa: S311 - not a secret
    acknowledged: dict[str, int] = {}
    sent: set[str] = set()
    while time.monotonic() < until:
        with running(folder) as server:
            children = server.children()
            stop = threading.Event()
            clients = [
                threading.Thread(
                    target=_store_digits, args=(server, f"{counts['kills']}-{n}", acknowledged, sent, stop)
                )
                for n in range(4)
            ]
            for client in clients:
                client.start()
            time.sleep(chance.uniform(0, 3))
            os.kill(server.process.pid, signal.SIGKILL)
            server.process.wait()
            stop.set()
            for client in clients:
                client.join()
        counts["kills"] += 1
        counts["orphans"] += not all_end(children)
        if counts["kills"] % 10 == 0:
            print(counts["kills"], len(acknowledged), flush=True)
    with Store.open(f"sqlite:///{folder / 'handigit.db'}", files=folder / "pictures") as store:
        stored = Counter(reading.provenance.source for reading in store.all())
        ids = {reading.provenance.source: reading.id for reading in store.all()}
        counts["findings"] = sum(not finding.harmless for finding in check(store))
    counts["acknowledged"], counts["unknown"] = len(acknowledged), len(sent) - len(acknowledged)
    counts["lost"] = sum(ids.get(name) != number for name, number in acknowledged.items())
    counts["doubled"] = sum(count > 1 for count in stored.values())
    return counts


def _store_digits(
    server: Running, prefix: str, acknowledged: dict[str, int], sent: set[str], stop: threading.Event
) -> None:
    """Store one digit after another under a name of its own until the server is gone."""
    number = 0
    with server.client() as client:
        while not stop.is_set():
            name = f"{prefix}-{number}.png"
            sent.add(name)
            try:
                answer = client.post("/v1/digit", files={"file": (name, picture(), "image/png")})
                if answer.status_code == 200:
                    acknowledged[name] = answer.json()["readings"][0]["id"]
            except httpx.TransportError:
                return
            number += 1


def workers(folder: Path, minutes: float) -> Counter[str]:
    """Kill worker processes while four clients read digits; what the clients got."""
    counts: Counter[str] = Counter(kills=0, wrong=0, without_retry=0)
    until = time.monotonic() + 60 * minutes
    waits: list[float] = []
    with running(folder, HANDIGIT_KEEP_READINGS="0") as server:
        stop = threading.Event()
        clients = [threading.Thread(target=_read_digits, args=(server, counts, stop)) for _ in range(4)]
        for client in clients:
            client.start()
        while time.monotonic() < until:
            for child in server.children():
                os.kill(child, signal.SIGKILL)
                counts["kills"] += 1
            began = time.monotonic()
            with server.client() as client:
                while client.post("/v1/digit", content=picture()).status_code != 200:
                    time.sleep(0.02)
            waits.append(time.monotonic() - began)
            time.sleep(random.uniform(0.2, 1.5))  # noqa: S311 - not a secret
        stop.set()
        for client in clients:
            client.join()
    print("seconds until the next answer: median", statistics.median(waits), "most", max(waits))
    return counts


def _read_digits(server: Running, counts: Counter[str], stop: threading.Event) -> None:
    with server.client() as client:
        while not stop.is_set():
            answer = client.post("/v1/digit", content=picture())
            counts[str(answer.status_code)] += 1
            if answer.status_code == 200:
                counts["wrong"] += answer.json()["readings"][0]["text"] != "7"
            else:
                counts["without_retry"] += "Retry-After" not in answer.headers


def connections(folder: Path, rounds: int = 3) -> dict[str, Any]:
    """Answers per second with 1,500 connections, relative to 64, in turns."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    rows: dict[int, list[dict[str, Any]]] = {64: [], 1500: []}
    with ours(folder) as target:
        load(target, clients=8, seconds=1)
        for _ in range(rounds):
            for clients, found in rows.items():
                found.append(load(target, clients=clients, seconds=5))
                print(clients, found[-1], flush=True)
    ratios = [many["per_second"] / few["per_second"] for few, many in zip(*rows.values(), strict=True)]
    middle = {str(n): sorted(found, key=lambda row: row["per_second"])[len(found) // 2] for n, found in rows.items()}
    return {"rounds": rounds, "goodput": [round(ratio, 2) for ratio in ratios], "clients": middle}


def soak(folder: Path, minutes: float, *, per_second: float = 2.0) -> dict[str, Any]:
    """A low load of digits, numbers, pages, bad files and lists; memory, descriptors and threads every 120 requests."""
    requests: list[Callable[[httpx.Client], httpx.Response]] = [
        lambda client: client.post("/v1/digit", content=picture()),
        lambda client: client.post("/v1/number", content=picture(size=60)),
        lambda client: client.post("/v1/read", content=picture(size=400)),
        lambda client: client.post("/v1/digit", content=b"\x89PNG\r\n\x1a\nno picture"),
        lambda client: client.get("/v1/readings"),
        lambda client: client.get("/readings"),
        lambda client: client.get("/metrics"),
    ]
    rows: list[dict[str, float]] = []
    statuses: Counter[str] = Counter()
    with running(folder) as server, server.client() as client:
        for number in range(60):
            requests[number % len(requests)](client)
        until, number = time.monotonic() + 60 * minutes, 0
        while time.monotonic() < until:
            if number % round(60 * per_second) == 0:
                rows.append(_resources(server))
                print(rows[-1], flush=True)
            statuses[str(requests[number % len(requests)](client).status_code)] += 1
            number += 1
            time.sleep(1 / per_second)
        rows.append(_resources(server))
    return {"minutes": minutes, "requests": number, "statuses": dict(statuses), "samples": rows}


def _resources(server: Running) -> dict[str, float]:
    process = Path(f"/proc/{server.process.pid}")
    return {
        "mb": round(server.memory_mb(), 1),
        "descriptors": len(list((process / "fd").iterdir())),
        "threads": len(list((process / "task").iterdir())),
    }


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("hostile", "kills", "workers", "connections", "soak"))
    parser.add_argument("--minutes", type=float, default=9)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--folder", type=Path, help="more hostile files, each sent once")
    parser.add_argument("--fresh", action="store_true", help="forget earlier kills")
    options = parser.parse_args()
    results = load_results(RESULTS / "resilience.json")
    earlier: dict[str, Any] = {} if options.fresh else results.get(options.part, {})
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        parts: dict[str, Callable[[], dict[str, Any]]] = {
            "hostile": lambda: hostile(folder, options.files, options.folder),
            "kills": lambda: _sum(earlier, kills(folder, options.minutes)),
            "workers": lambda: _sum(earlier, workers(folder, options.minutes)),
            "connections": lambda: connections(folder),
            "soak": lambda: soak(folder, options.minutes),
        }
        result = parts[options.part]()
    print(json.dumps(result))
    save_results(RESULTS / "resilience.json", load_results(RESULTS / "resilience.json") | {options.part: result})


def _sum(earlier: dict[str, int], counts: dict[str, int]) -> dict[str, int]:
    """The counts of both runs."""
    return {name: earlier.get(name, 0) + counts.get(name, 0) for name in sorted({*earlier, *counts})}


if __name__ == "__main__":
    main()
