"""Throughput of the service beside LitServe and plain Flask: same machine, same run, same model, same requests.

    python -m bench.serve.service throughput   digits per second at 1, 8 and 64 clients; then overload
    python -m bench.serve.service overload     goodput at five times the capacity, time until the rest is refused;
                                               for comparison with nginx refusing (Debian: nginx-light)
    python -m bench.serve.service start        seconds from the command to the first answer
    python -m bench.serve.service sigterm      20 times SIGTERM under load: lost answers, leftover processes
    python -m bench.serve.service refusals     milliseconds until decompression bombs are refused
    python -m bench.serve.service memory       resident memory over 100,000 requests
    python -m bench.serve.service against --tree CHECKOUT
                                               digits per second beside another checkout of the project, in turns

Results are added to bench/results/serve.json. The peers are installed below out/, never into the project.
"""

import argparse
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from bench.results_io import RESULTS, load_results, save_results
from bench.serve.targets import Target, free_port, install_peers, load, ours, peer, refusing
from tests.serving import Running, end_under_load, picture, running

CLIENTS = (1, 8, 64)
OVERLOAD = 5
CONNECTIONS = 512
"""Of the flood: more than the server's room, so that there is somebody to refuse."""


def throughput(folder: Path, seconds: float, rounds: int) -> dict[str, Any]:
    """All servers at each number of clients, in turns; the median round of each; then the overload."""
    install_peers()
    servers: dict[str, Callable[[], Any]] = {
        "handigit": lambda: ours(folder),
        "handigit, keeping": lambda: ours(folder, keeping=True),
        "litserve": lambda: peer("litserve"),
        "flask": lambda: peer("flask"),
    }
    taken: dict[str, dict[int, list[dict[str, Any]]]] = {name: {n: [] for n in CLIENTS} for name in servers}
    for _ in range(rounds):
        for name, start in servers.items():
            with start() as target:
                load(target, clients=8, seconds=1)  # warms caches up
                for clients in CLIENTS:
                    taken[name][clients].append(load(target, clients=clients, seconds=seconds))
                    print(name, clients, taken[name][clients][-1], flush=True)
    figures = {
        name: {str(clients): middle(rows) for clients, rows in by_clients.items()} for name, by_clients in taken.items()
    }
    return {"clients": figures, "overload": overload(folder, seconds, rounds)}


def middle(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The round of median throughput."""
    return sorted(rows, key=lambda row: row["per_second"])[len(rows) // 2]


def overload(folder: Path, seconds: float, rounds: int) -> dict[str, Any]:
    """What is still answered at five times the capacity, and how soon the rest is refused: the round of median goodput.

    The capacity is what the same server does for as many clients as wait for one another, just before.
    """
    found = sorted((flooded(folder, seconds) for _ in range(rounds)), key=lambda row: row["goodput"])
    return found[len(found) // 2] | {"beside": [row["beside"] for row in found]}


def flooded(folder: Path, seconds: float) -> dict[str, Any]:
    """One round; `beside`: the goodput where nginx refuses four fifths of the same flood, and we are asked the rest.

    Our server refuses nothing in it: what it lacks of 1 is the cost of the load generator and the system.
    """
    with ours(folder) as target, refusing(folder) as elsewhere, ThreadPoolExecutor(1) as other:
        load(target, clients=8, seconds=1)
        capacity = load(target, clients=CLIENTS[-1], seconds=seconds)["per_second"]
        row = load(target, rate=OVERLOAD * capacity, connections=CONNECTIONS, seconds=seconds)
        beside = None
        if elsewhere is not None:
            rest = (OVERLOAD - 1) * capacity
            sent = other.submit(load, elsewhere, rate=rest, connections=CONNECTIONS, seconds=seconds)
            beside = round(load(target, clients=CLIENTS[-1], seconds=seconds)["per_second"] / capacity, 2)
            print("refused elsewhere", sent.result())
    goodput = round(row["per_second"] / capacity, 2)
    print("goodput", goodput, "beside", beside, row, flush=True)
    offered = {"capacity": capacity, "offered": OVERLOAD * capacity, "goodput": goodput, "beside": beside}
    return offered | row


def start(folder: Path, rounds: int) -> dict[str, Any]:
    """Seconds from the command to the first answer, with a store that is new and one that is not."""
    taken: dict[str, list[float]] = {"new store": [], "known store": []}
    for number in range(rounds):
        place = folder / f"start-{number}"
        place.mkdir()
        for kind in taken:
            taken[kind].append(seconds_to_answer(place))
    return {kind: round(statistics.median(seconds), 2) for kind, seconds in taken.items()}


def seconds_to_answer(folder: Path) -> float:
    """Start a server as a user does and ask until it answers."""
    port = free_port()
    environment = os.environ | {"HANDIGIT_STATE": str(folder)}
    command = [str(Path(sys.executable).with_name("handigit")), "serve", "--port", str(port)]
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        while time.perf_counter() - began < 30:
            try:
                if httpx.post(f"http://127.0.0.1:{port}/v1/digit", content=picture()).status_code == 200:
                    return time.perf_counter() - began
            except httpx.TransportError:
                pass
            time.sleep(0.01)
    finally:
        process.terminate()
        process.wait()
    raise RuntimeError("no answer within 30 s")


def sigterm(folder: Path, rounds: int) -> dict[str, Any]:
    """End a server under load, again and again; what it had begun must have come to its caller, whole."""
    lost = orphans = accepted = 0
    statuses = set()
    for number in range(rounds):
        place = folder / f"term-{number}"
        place.mkdir()
        with running(place) as server:
            ended = end_under_load(server)
            statuses.add(server.process.returncode)
            begun = [line for line in server.log if line.get("route") == "/v1/digit" and line["status"] == 200]
            accepted += len(begun)
            lost += len(begun) - ended.answers.count(200)
            orphans += sum(Path(f"/proc/{child}").exists() for child in ended.children)
        print(number, {"accepted": accepted, "lost": lost, "orphans": orphans}, flush=True)
    return {"rounds": rounds, "accepted": accepted, "lost": lost, "orphans": orphans, "exit": sorted(statuses)}


def png_bomb(side: int) -> bytes:
    """A few kilobytes that declare a square picture with this side."""
    parts = {b"IHDR": struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0), b"IDAT": zlib.compress(bytes(1_000_000), 9)}
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in (parts | {b"IEND": b""}).items()
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def jpeg_bomb() -> bytes:
    """A small JPEG that declares 65535 x 65535 pixels."""
    content = bytearray(picture(format="JPEG", size=64))
    offset = content.index(b"\xff\xc0") + 5
    content[offset : offset + 4] = b"\xff\xff\xff\xff"
    return bytes(content)


def tiff_bomb(side: int) -> bytes:
    """An uncompressed grey TIFF with far fewer bytes than it declares."""
    entries = [(256, 4, side), (257, 4, side), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1)]
    entries += [(278, 4, side), (279, 4, side * side % 2**32)]
    directory = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + struct.pack("<I", 0)


def refusals(folder: Path, rounds: int) -> dict[str, Any]:
    """Milliseconds until a bomb is refused."""
    bombs = {"png": png_bomb(50_000), "jpeg": jpeg_bomb(), "tiff": tiff_bomb(60_000)}
    with running(folder, HANDIGIT_KEEP_READINGS="0") as server, server.client() as client:
        return {name: refusal_ms(client, bomb, rounds) for name, bomb in bombs.items()}


def refusal_ms(client: httpx.Client, bomb: bytes, rounds: int) -> float:
    """The median of one bomb."""
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        answer = client.post("/v1/digit", content=bomb)
        taken.append(time.perf_counter() - began)
        if answer.status_code not in (413, 422):
            raise RuntimeError(f"a bomb was answered {answer.status_code}")
    return round(statistics.median(taken) * 1e3, 2)


def memory(folder: Path, requests: int) -> dict[str, Any]:
    """Resident memory after a tenth of the requests and after all of them."""
    with running(folder, HANDIGIT_KEEP_READINGS="0") as server:
        after_tenth = memory_after(server, requests // 10)
        after_all = memory_after(server, requests - requests // 10)
    grown = round(after_all - after_tenth, 1)
    return {"requests": requests, "after_tenth_mb": after_tenth, "after_all_mb": after_all, "grown_mb": grown}


def against(folder: Path, tree: Path, seconds: float, rounds: int) -> dict[str, Any]:
    """This checkout beside another one, in turns: median ratios of throughput and of processor time over the rounds."""
    trees = {"this": Path(__file__).parents[2], "other": tree.resolve()}
    ratios: dict[str, dict[str, list[float]]] = {str(n): {"throughput": [], "cpu": []} for n in CLIENTS}
    for number in range(rounds):
        rows: dict[str, dict[int, dict[str, Any]]] = {}
        for name, root in sorted(trees.items(), reverse=number % 2 == 1):
            place = folder / f"{name}-{number}"
            place.mkdir()
            with ours(place, PYTHONPATH=str(root / "src")) as target:
                load(target, clients=8, seconds=1)
                rows[name] = {clients: load(target, clients=clients, seconds=seconds) for clients in CLIENTS}
            print(name, rows[name], flush=True)
        for clients in CLIENTS:
            here, there = rows["this"][clients], rows["other"][clients]
            ratios[str(clients)]["throughput"].append(here["per_second"] / there["per_second"])
            ratios[str(clients)]["cpu"].append(here["server_cpu_us"] / there["server_cpu_us"])
    return {
        clients: {kind: round(statistics.median(values), 2) for kind, values in kinds.items()}
        for clients, kinds in ratios.items()
    } | {"rounds": rounds}


def memory_after(server: Running, requests: int) -> float:
    """Megabytes after this many more requests by eight clients."""
    done = 0
    while done < requests:
        target = Target(server.port, "/v1/digit", server.process.pid)
        done += sum(load(target, clients=8, seconds=10)["statuses"].values())
        print(done, round(server.memory_mb(), 1), flush=True)
    resident: float = server.memory_mb()
    return round(resident, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["throughput", "overload", "start", "sigterm", "refusals", "memory", "against"])
    parser.add_argument("--seconds", type=float, default=10, help="of load at each number of clients")
    parser.add_argument("--rounds", type=int, help="of each measurement; none: as the results page has it")
    parser.add_argument("--tree", type=Path, help="the other checkout, for against")
    parser.add_argument("--requests", type=int, default=100_000, help="for memory")
    given = parser.parse_args()
    if given.what == "against" and not given.tree:
        parser.error("against: name the other checkout by --tree")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures = {
            "throughput": lambda: throughput(folder, given.seconds, given.rounds or 3),
            "overload": lambda: overload(folder, given.seconds, given.rounds or 3),
            "start": lambda: start(folder, given.rounds or 5),
            "sigterm": lambda: sigterm(folder, given.rounds or 20),
            "refusals": lambda: refusals(folder, given.rounds or 100),
            "memory": lambda: memory(folder, given.requests),
            "against": lambda: against(folder, given.tree, given.seconds, given.rounds or 5),
        }[given.what]()
    print(json.dumps(figures, indent=2))
    path = RESULTS / "serve.json"
    save_results(path, load_results(path) | {given.what: figures})


if __name__ == "__main__":
    main()
