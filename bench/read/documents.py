"""Memory and time of long documents: peak of reader and decoder process while every page is opened in turn.

    python -m bench.read.documents [--pages 500] [--keep]

The documents are synthetic A4 scans at 200 dpi, grey with scanner noise, as a PDF and as a TIFF. Each is read by its
own process, so that making it is not counted. --keep writes bench/results/documents.json.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from bench.results_io import RESULTS, save_results

SIZE = (1654, 2339)
"""(width, height) of A4 at 200 dpi."""
CASES: dict[str, dict[str, Any]] = {"pdf": {"resolution": 200}, "tiff": {"compression": "tiff_lzw"}}
PEAK = "VmHWM:"


def scans(count: int) -> Iterator[Image.Image]:
    """Pages that differ, each with its number and a scanner's grain, made when they are asked for."""
    rng = np.random.default_rng(0)
    for number in range(count):
        page = Image.fromarray(rng.integers(225, 256, SIZE[::-1], np.uint8))
        ImageDraw.Draw(page).text((200, 200 + number % 1800), f"{number}", fill=20)
        yield page


def write(path: Path, count: int) -> None:
    """A document with this many scans."""
    pages = scans(count)
    next(pages).save(path, save_all=True, append_images=pages, **CASES[path.suffix[1:]])


def measure(path: Path) -> dict[str, float]:
    """Open every page of a document in this process; megabytes are the peaks of resident memory."""
    from handigit.images import open_pages

    began = time.perf_counter()
    child_peak = count = 0
    for _ in open_pages(path):
        count += 1
        child_peak = max([child_peak, *map(peak_kb, children())])
    took = time.perf_counter() - began
    reader_peak = peak_kb(os.getpid())
    return {
        "pages": count,
        "seconds": round(took, 1),
        "ms_a_page": round(1000 * took / count, 1),
        "reader_mb": round(reader_peak / 1024),
        "child_mb": round(child_peak / 1024),
        "both_mb": round((reader_peak + child_peak) / 1024),
        "file_mb": round(path.stat().st_size / 1e6),
    }


def children() -> list[int]:
    """The processes that this one has started."""
    tasks = Path(f"/proc/{os.getpid()}/task").iterdir()
    return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]


def peak_kb(pid: int) -> int:
    """The most memory that a process has held so far; getrusage would count what its parent held when it began."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(PEAK)), 0)


def main() -> None:
    """Measure each kind of document, or with --only that one, in this process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=500)
    parser.add_argument("--keep", action="store_true", help="write bench/results/documents.json")
    parser.add_argument("--only", type=Path, help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.only:
        print(json.dumps(measure(wanted.only)))
        return
    result = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in CASES:
            path = Path(folder) / f"scans.{kind}"
            write(path, wanted.pages)
            command = [sys.executable, "-m", "bench.read.documents", "--only", str(path)]
            result[kind] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            path.unlink()
            print(kind, result[kind], flush=True)
    if wanted.keep:
        save_results(RESULTS / "documents.json", result)


if __name__ == "__main__":
    main()
