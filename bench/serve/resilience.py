"""What the service survives: kill -9, dying workers, many and slow connections, hours of work.

    python -m bench.serve.resilience kills --minutes 9        of the server, four clients storing digits
    python -m bench.serve.resilience workers --minutes 3      of the worker processes alone
    python -m bench.serve.resilience connections              1,500 connections beside 64
    python -m bench.serve.resilience slow                     1,000 clients with endless heads, beside eight others
    python -m bench.serve.resilience soak --minutes 60        at half capacity: memory, descriptors and threads

`kills` and `workers` add to the figures of earlier runs, so that a thousand can be gathered in parts; `--fresh` begins
again. Results go to bench/results/resilience.json. Needs /proc, so Linux.
"""

import argparse
import json
import os
import random
import resource
import signal
import socket
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from bench.results_io import RESULTS, load_results, save_results
from bench.serve.targets import Target, load, ours
from handigit.store import Store
from handigit.store.integrity import check
from tests.serving import Running, all_end, picture, running

_WARM_UP: Final = 60
"""Requests before the first sample of a soak."""
_SAMPLE_S: Final = 60
_MAX_PAUSE_S: Final = 1.0


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
                threading.Thread(target=store_digits, args=(server, f"{counts['kills']}-{n}", acknowledged, sent, stop))
                for n in range(4)
            ]
            for client in clients:
                client.start()
            time.sleep(chance.uniform(0, 2))
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


def store_digits(
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
    """Kill one of three worker processes after another while four clients read digits; what the clients got.

    Four in five are killed while they serve: one that ends while it starts is only started again after a pause.
    """
    counts: Counter[str] = Counter(kills=0, while_starting=0, wrong=0, without_retry=0)
    chance, until = random.Random(), time.monotonic() + 60 * minutes  # noqa: S311 - not a secret
    waits: list[float] = []
    with running(folder, HANDIGIT_KEEP_READINGS="0", HANDIGIT_WORKERS="3") as server:
        stop = threading.Event()
        clients = [threading.Thread(target=_read_digits, args=(server, counts, stop)) for _ in range(4)]
        for client in clients:
            client.start()
        while time.monotonic() < until:
            children = server.children()
            serving = [child for child in children if _serves(child)]
            if not serving:
                time.sleep(0.05)
                continue
            victim = chance.choice(serving if chance.random() < 0.8 else children)
            counts["while_starting"] += victim not in serving
            os.kill(victim, signal.SIGKILL)
            counts["kills"] += 1
            began = time.monotonic()
            with server.client() as client:
                while client.post("/v1/digit", content=picture()).status_code != 200:
                    time.sleep(0.02)
            waits.append(time.monotonic() - began)
            time.sleep(chance.uniform(0, 0.5))
        stop.set()
        for client in clients:
            client.join()
    print("seconds until the next answer: median", statistics.median(waits), "most", max(waits))
    return counts


def _serves(worker: int) -> bool:
    """Whether a worker process has loaded its models: it then has threads for its channels."""
    try:
        return len(list(Path(f"/proc/{worker}/task").iterdir())) > 1
    except FileNotFoundError:
        return False


def _read_digits(server: Running, counts: Counter[str], stop: threading.Event) -> None:
    with server.client() as client:
        while not stop.wait(0.02):  # most processor time is left for the start of workers
            answer = client.post("/v1/digit", content=picture())
            counts[str(answer.status_code)] += 1
            if answer.status_code == 200:
                counts["wrong"] += answer.json()["readings"][0]["text"] != "7"
            else:
                counts["without_retry"] += "Retry-After" not in answer.headers


def with_server(folder: Path, measure: Callable[[Target], dict[str, Any]]) -> dict[str, Any]:
    """What `measure` finds of our server."""
    allow_many_files()  # before the server starts, which inherits the limit
    with ours(folder) as target:
        return measure(target)


def connections(target: Target, rounds: int = 3) -> dict[str, Any]:
    """Answers per second with 1,500 connections, relative to 64, in turns."""
    rows: dict[int, list[dict[str, Any]]] = {64: [], 1500: []}
    load(target, clients=8, seconds=1)
    for _ in range(rounds):
        for clients, found in rows.items():
            found.append(load(target, clients=clients, seconds=5))
            print(clients, found[-1], flush=True)
    ratios = [many["per_second"] / few["per_second"] for few, many in zip(*rows.values(), strict=True)]
    middle = {str(n): sorted(found, key=lambda row: row["per_second"])[len(found) // 2] for n, found in rows.items()}
    return {"rounds": rounds, "goodput": [round(ratio, 2) for ratio in ratios], "clients": middle}


def slow(target: Target, count: int = 1000, rounds: int = 3) -> dict[str, Any]:
    """The median answer of eight clients while `count` others send their heads byte by byte, relative to without."""
    pairs: list[tuple[dict[str, Any], dict[str, Any]]] = []
    load(target, clients=8, seconds=1)
    for _ in range(rounds):
        alone = load(target, clients=8, seconds=5)
        with _slow_clients(target.port, count) as open_connections:
            pairs.append((alone, load(target, clients=8, seconds=5)))
            print(pairs[-1], "open:", open_connections(), flush=True)
    ratios = [beside["p50_ms"] / alone["p50_ms"] for alone, beside in pairs]
    cpu = [beside["server_cpu_us"] / alone["server_cpu_us"] for alone, beside in pairs]
    return {
        "slow_clients": count,
        "median_relative": [round(ratio, 2) for ratio in ratios],
        "cpu_relative": [round(ratio, 2) for ratio in cpu],
    }


@contextmanager
def _slow_clients(port: int, count: int) -> Iterator[Callable[[], int]]:
    """Connections that each send a byte of their head about every second; a client that is hung up on returns."""
    stop = threading.Event()
    clients = [_slow_client(port) for _ in range(count)]

    def dribble() -> None:
        while not stop.wait(0.05):
            for place in random.sample(range(count), count // 20):
                try:
                    clients[place].send(b"a")
                except OSError:
                    clients[place].close()
                    clients[place] = _slow_client(port)

    thread = threading.Thread(target=dribble)
    thread.start()
    try:
        yield lambda: sum(client.fileno() >= 0 for client in clients)
    finally:
        stop.set()
        thread.join()
        for client in clients:
            client.close()


def _slow_client(port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(b"POST /v1/digit HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
    client.setblocking(False)
    return client


def allow_many_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def soak(folder: Path, minutes: float) -> dict[str, Any]:
    """Digits, numbers, pages, bad files and lists at half the rate of one client without pauses; samples by minute."""
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
        for number in range(_WARM_UP):
            requests[number % len(requests)](client)
        target, number, began = Target(server.port, "", server.process.pid), 0, time.monotonic()
        spent, until = target.cpu_s(), began + 60 * minutes
        while time.monotonic() < until:
            if time.monotonic() >= began + _SAMPLE_S * len(rows):
                rows.append({"minute": round((time.monotonic() - began) / 60, 1)} | _resources(server))
                print(rows[-1], number, flush=True)
            asked = time.monotonic()
            statuses[str(requests[number % len(requests)](client).status_code)] += 1
            number += 1
            time.sleep(min(time.monotonic() - asked, _MAX_PAUSE_S))
        rows.append({"minute": round((time.monotonic() - began) / 60, 1)} | _resources(server))
        used = (target.cpu_s() - spent) / (time.monotonic() - began)
    figures = {"requests": number, "statuses": dict(statuses), "server_cores": round(used, 2), "samples": rows}
    return {"minutes": round(minutes, 1)} | figures


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
    parser.add_argument("part", choices=("kills", "workers", "connections", "slow", "soak"))
    parser.add_argument("--minutes", type=float, default=9)
    parser.add_argument("--fresh", action="store_true", help="forget earlier kills")
    options = parser.parse_args()
    results = load_results(RESULTS / "resilience.json")
    earlier: dict[str, Any] = {} if options.fresh else results.get(options.part, {})
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        parts: dict[str, Callable[[], dict[str, Any]]] = {
            "kills": lambda: _sum(earlier, kills(folder, options.minutes)),
            "workers": lambda: _sum(earlier, workers(folder, options.minutes)),
            "connections": lambda: with_server(folder, connections),
            "slow": lambda: with_server(folder, slow),
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
