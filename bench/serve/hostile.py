"""Hostile files through HTTP, Python and the command line: statuses, crashes, times, memory.

    python -m bench.serve.hostile http --files 1000 [--start 500] [--folder FOLDER]
    python -m bench.serve.hostile python --files 1000
    python -m bench.serve.hostile cli --files 1000

`--start` skips files and adds to the figures of an earlier run, so that a thousand can be read in parts. `grown_mb` is
the resident memory of the process that answers or reads, without its children. Results go to
bench/results/resilience.json. Needs /proc, so Linux.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
from PIL import Image

from bench.results_io import RESULTS, load_results, save_results
from bench.serve.hostile_files import hostile_files
from bench.serve.targets import Target
from handigit.errors import HandigitError
from handigit.images import Limits
from handigit.read import Reader, read_document
from tests.serving import encoded, picture, running

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
_WARM_UP: Final = 20
Files = list[tuple[str, bytes]]


def through_http(files: Files, folder: Path) -> dict[str, Any]:
    """Each file as a page, one after the other: statuses, the slowest answers, the event loop's lag, memory."""
    statuses: Counter[str] = Counter()
    taken: list[tuple[float, str]] = []
    busiest = (0.0, "")
    with running(folder, code=WATCH, HANDIGIT_KEEP_READINGS="0") as server, server.client() as client:
        client.timeout = httpx.Timeout(120)  # longer than the deadline, for the server's own answer
        for _ in range(_WARM_UP):
            client.post("/v1/read", content=_page()).raise_for_status()
            for path in ("/v1/digit", "/v1/number"):
                client.post(path, content=picture(size=200)).raise_for_status()
        target = Target(server.port, "", server.process.pid)
        before, before_all = server.own_memory_mb(), server.memory_mb()
        for name, content in files:
            began, spent = time.perf_counter(), target.cpu_s()
            answer = client.post("/v1/read?within=30", content=content)
            taken.append((round(time.perf_counter() - began, 2), name))
            busiest = max(busiest, (round(target.cpu_s() - spent, 2), name))
            statuses[str(answer.status_code)] += 1
            if answer.status_code >= 500 or taken[-1][0] > 5:
                print(name, taken[-1][0], answer.status_code, answer.text[:200], round(server.memory_mb()), flush=True)
        client.post("/v1/digit", content=picture()).raise_for_status()
        lags = [line for line in server.log if line.get("event") == "lag"]
        return {
            "statuses": statuses,
            "slowest_s": taken,
            "cpu_max_s": busiest,
            "loop_late_max_s": round(lags[-1]["late_s"], 3),
            "loop_busy_max_s": round(lags[-1]["busy_s"], 3),
            "grown_mb": round(server.own_memory_mb() - before, 1),
            "grown_with_workers_mb": round(server.memory_mb() - before_all, 1),
            "peak_mb": round(server.peak_mb(), 1),
        }


def through_python(files: Files, folder: Path) -> dict[str, Any]:
    """Each file by `read_document` in one process: how each ended."""
    for name, content in files:
        (folder / name).write_bytes(content)
    program = [sys.executable, "-m", "bench.serve.hostile", "reader", "--folder", str(folder)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    ends = Counter(str(row["end"]) for row in rows)
    return {
        "statuses": ends,
        "crashes": len(files) - len(rows) + ends["unexpected"],
        "slowest_s": [(row["s"], row["name"]) for row in rows],
        "grown_mb": round(rows[-1]["mb"] - rows[0]["mb"], 1),
    }


def read_folder(folder: Path) -> None:
    """Read each file of a folder in this process, with a line of JSON for each."""
    reader = Reader(threads=1, limits=Limits(isolate=True))
    for content in (picture(size=200), _page()) * _WARM_UP:
        list(read_document(reader, content, "auto"))
    for path in sorted(folder.iterdir()):
        began = time.perf_counter()
        try:
            end = "read" if list(read_document(reader, path, "auto")) else "empty"
        except HandigitError as problem:
            end = type(problem).__name__
        except Exception as problem:  # what must not happen
            end = "unexpected"
            print(path.name, repr(problem), file=sys.stderr)
        row = {"name": path.name, "end": end, "s": round(time.perf_counter() - began, 2), "mb": _resident_mb()}
        print(json.dumps(row), flush=True)


def _resident_mb() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def through_cli(files: Files, folder: Path) -> dict[str, Any]:
    """All files with one `handigit read`: its exit status, tracebacks, and files without a row or an error."""
    for name, content in files:
        (folder / name).write_bytes(content)
    began = time.perf_counter()
    command = [sys.executable, "-m", "handigit.cli", "read", str(folder), "--format", "jsonl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    named = {Path(json.loads(line)["source"]).name for line in done.stdout.splitlines()}
    return {
        "statuses": Counter([f"exit {done.returncode}"]),
        "crashes": done.stderr.count("Traceback") + (done.returncode not in (0, 1)),
        "without_row": sum(
            name not in named and not re.search(rf"/{re.escape(name)}[:,]", done.stderr) for name, _ in files
        ),
        "slowest_s": [],
        "seconds": round(time.perf_counter() - began, 1),
    }


def add(earlier: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    """The figures of two parts: counts and seconds added, the worst of the others."""
    both = later | {"slowest_s": sorted(map(tuple, [*earlier.get("slowest_s", []), *later["slowest_s"]]))[-5:]}
    both["statuses"] = dict(sorted((Counter(earlier.get("statuses", {})) + Counter(later["statuses"])).items()))
    for name in ("files", "crashes", "without_row", "seconds"):
        if name in later:
            both[name] = round(earlier.get(name, 0) + later[name], 1)
    for name in ("loop_late_max_s", "loop_busy_max_s", "grown_mb", "grown_with_workers_mb", "peak_mb", "cpu_max_s"):
        if name in later:
            both[name] = max(earlier.get(name, later[name]), later[name], key=_first)
    return both


def _first(value: Any) -> float:
    """A figure, or the first of a pair."""
    return float(value[0] if isinstance(value, Sequence) else value)


def _page() -> bytes:
    """Nine digits on a page, so that everything that reads a page is loaded before memory is measured."""
    page = Image.new("L", (1600, 1200), 255)
    for row, column in np.ndindex(3, 3):
        page.paste(Image.open(BytesIO(picture(size=120))), (200 + 500 * column, 100 + 380 * row))
    return bytes(encoded(page))


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("way", choices=("http", "python", "cli", "reader"))
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--start", type=int, default=0, help="of an earlier run's figures, to which these are added")
    parser.add_argument("--folder", type=Path, help="more hostile files, each read once")
    options = parser.parse_args()
    if options.way == "reader":
        read_folder(options.folder)
        return
    files = list(islice(hostile_files(options.files, folder=options.folder), options.start, None))
    with tempfile.TemporaryDirectory() as place:
        way = {"http": through_http, "python": through_python, "cli": through_cli}[options.way]
        found = way(files, Path(place)) | {"files": len(files)}
    results = load_results(RESULTS / "resilience.json")
    hostile = results.get("hostile", {})
    hostile[options.way] = add(hostile.get(options.way, {}) if options.start else {}, found)
    save_results(RESULTS / "resilience.json", results | {"hostile": hostile})
    print(json.dumps(hostile[options.way]))


if __name__ == "__main__":
    main()
