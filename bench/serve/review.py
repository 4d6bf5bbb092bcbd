"""Speed of review by keyboard, as far as the program is concerned: a scripted browser decides 60 items.

    python -m bench.serve.review             # 60 items
    python -m bench.serve.review --items 200

For each item the script waits until its crop is on the screen, types or accepts, and presses Enter; every third number
is typed. The clock stops when the server has acknowledged the last decision. Results go to
bench/results/pages_review.json.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright

from bench.results_io import RESULTS, save_results
from bench.serve.targets import CHROMIUM, MISSING_CHROMIUM
from handigit.records import Box
from handigit.store import Store
from tests.serving import running
from tests.store_cases import NO_SAMPLES, PROVENANCE, doubt

A4_AT_200_DPI = (2339, 1654)
LINES = 20
NEXT_SHOWN = """before => document.querySelector("#item").hidden
    || document.querySelector("#item").dataset.reading !== before"""
ALL_LANDED = '() => JSON.parse(sessionStorage.getItem("handigit-decisions") ?? "[]").length === 0'


def fill(folder: Path, items: int) -> None:
    """Store this many doubts, twenty per scanned page of paper noise."""
    random = np.random.default_rng(0)
    with Store.open(f"sqlite:///{folder / 'handigit.db'}", files=folder / "pictures", policy=NO_SAMPLES) as store:
        for start in range(0, items, LINES):
            page = random.integers(225, 250, A4_AT_200_DPI, dtype=np.uint8)
            numbers = []
            for line in range(min(LINES, items - start)):
                top = 100 + 100 * line
                page[top : top + 60, 300:600:12] = 20
                where = Box(300, top, 600, top + 60)
                numbers.append(doubt(f"{start + line:05}", margin=0.3).map_boxes(lambda _, where=where: where))
            store.add(numbers, PROVENANCE, page=page)


def review(tab: Page, items: int) -> list[float]:
    """Decide everything; the seconds that each item took, the last one's until the server has them all."""
    tab.wait_for_selector("#crop > svg")
    seconds = []
    for item in range(items):
        began = time.perf_counter()
        before = tab.get_attribute("#item", "data-reading")
        if item % 3 == 0:
            tab.keyboard.type("01234")
        tab.keyboard.press("Enter")
        tab.wait_for_function(NEXT_SHOWN, arg=before)
        seconds.append(time.perf_counter() - began)
    began = time.perf_counter()
    tab.wait_for_function(ALL_LANDED)
    seconds[-1] += time.perf_counter() - began
    return seconds


def measure(items: int) -> dict[str, Any]:
    """Start a server and a browser, review, and see that every decision is in the store."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        fill(folder, items)
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        with running(folder) as server, server.client() as client:
            tab = chromium.new_page()
            tab.goto(f"{server.url}/review")
            seconds = review(tab, items)
            decided = client.get("/v1/readings", params={"corrected": "true", "limit": 1000}).json()["readings"]
        chromium.close()
    if len(decided) != items:
        raise RuntimeError(f"{len(decided)} of {items} decisions are in the store; see the browser's console")
    median_ms = 1e3 * statistics.median(seconds)
    return {"items": items, "items_a_minute": 60 * items / sum(seconds), "median_ms": median_ms}


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--items", type=int, default=60, help="how many to review (at most 1000)")
    if not CHROMIUM:
        raise SystemExit(MISSING_CHROMIUM)
    figures = measure(parser.parse_args().items)
    save_results(RESULTS / "pages_review.json", figures)
    pace, median = figures["items_a_minute"], figures["median_ms"]
    print(f"{pace:.0f} items a minute ({figures['items']} items, median {median:.0f} ms)")


if __name__ == "__main__":
    main()
