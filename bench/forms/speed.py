"""How fast forms are: a template validated, a page read, a pile read by processes, fields reviewed by keyboard.

    python -m bench.forms.speed [--only template|page|pile|review] [--pages 60]

Wall time and processor time are given beside each other, with the load average, because other work slows the former.
Results go to bench/results/forms.json.
"""

import argparse
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

import cv2
import httpx
import numpy as np

from bench.forms.placement import FILE
from bench.results_io import load_results, save_results
from bench.timing import seconds
from handigit import Reader
from handigit.batch.run import BatchOptions, run_batch
from handigit.batch.worker import ReadOptions
from handigit.forms import FormReader, Template
from handigit.forms.drawn import View, fill, save_samples, see

ROUNDS: Final = 9
FIELDS: Final = 300
FIELDS_OF_PAGE: Final = 20


def template(_pages: int) -> dict[str, object]:
    """Validate a template of 300 fields with 20 rules."""
    fields = [f'  {{ name = "f{n}", kind = "number", box = [{10 + 12 * (n % 15)}, {10 + 12 * (n // 15)}, '
              f'{20 + 12 * (n % 15)}, {18 + 12 * (n // 15)}], cells = 2 }},' for n in range(FIELDS)]  # fmt: skip
    rules = [f'  {{ rule = "f{15 * n} + f{15 * n + 1} == f{15 * n + 2}" }},' for n in range(20)]
    text = "\n".join(['format = "handigit-form/1"', 'name = "large"', 'page = [{ size = [210, 297] }]', "field = [",
                      *fields, "]", "check = [", *rules, "]", ""])  # fmt: skip
    found = [seconds(lambda: Template.parse(text)) for _ in range(ROUNDS)]
    return {"fields": FIELDS, "median_s": round(median(found), 4)}


def page(pages: int) -> dict[str, object]:
    """Read scans of a score sheet at 150 dpi, one after the other, in one thread."""
    form, rng = Template.load("score-sheet"), np.random.default_rng(7)
    scans = [see(fill(form, rng), View.scanner(rng, dpi=150), rng).pixels for _ in range(max(pages // 6, 3))]
    reader = FormReader(form, reader=Reader(threads=1))
    reader.read(scans[0])
    wall: list[float] = []
    cpu: list[float] = []
    for scan in scans:
        started, used = time.perf_counter(), time.process_time()
        reader.read(scan)
        wall.append(time.perf_counter() - started)
        cpu.append(time.process_time() - used)
    per_field = FIELDS_OF_PAGE / len(form.fields)
    return {
        "pages": len(scans),
        "fields": len(form.fields),
        "wall_s_per_page": round(median(wall), 3),
        "cpu_s_per_page": round(median(cpu), 3),
        "cpu_s_per_20_fields": round(per_field * median(cpu), 3),
    }


def pile(pages: int) -> dict[str, object]:
    """Read a folder of scans with two processes, as `handigit batch --template` does."""
    with TemporaryDirectory() as place:
        folder = Path(place)
        save_samples("score-sheet", folder / "scans", count=pages, seed=11, dpi=150)
        (folder / "scans" / "values.jsonl").unlink()
        memory: list[int] = []
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        options = BatchOptions(sources=[str(folder / "scans")], out=str(folder / "out"), jobs=2, format="jsonl",
                               read=ReadOptions(templates=("score-sheet",)))  # fmt: skip
        summary = run_batch(options, on_progress=lambda _: memory.append(_peak_mb()))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    return {"pages": pages, "jobs": 2, "pages_per_s": round(summary.rate, 2), "cpu_s_per_page": round(cpu / pages, 3),
            "failed": summary.failed, "driver_peak_growth_mb": memory[-1] - memory[len(memory) // 4]}  # fmt: skip


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def review(pages: int) -> dict[str, object]:
    """One field of all forms by keyboard in Chromium: a value is typed, Enter, the next; the person takes no time."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
    from playwright.sync_api import expect, sync_playwright

    from browsing import CHROMIUM  # type: ignore[import-not-found] # a module of the tests
    from serving import running  # type: ignore[import-not-found]

    count = min(pages, 30)
    form, rng = Template.load("meter-log"), np.random.default_rng(5)
    with TemporaryDirectory() as place, running(Path(place)) as server, sync_playwright() as play:
        for number in range(count // 12 + 1):
            scan = see(fill(form, rng, copy=str(number)), View.scanner(rng, dpi=150), rng).pixels
            _, data = cv2.imencode(".png", scan)
            address = f"{server.url}/v1/forms/meter-log/records?batch=pile"
            httpx.post(address, content=data.tobytes(), timeout=120).raise_for_status()
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_page()
        done, started = 0, time.perf_counter()
        for row in range(1, 13):
            tab.goto(f"{server.url}/forms/batches/pile/review?field=log.{row}.reading&everything=true")
            for entry in range(1, tab.locator(".entry").count() + 1):
                tab.keyboard.type("123456")
                tab.keyboard.press("Enter")
                expect(tab.locator("#done")).to_have_text(str(entry))  # the page's policy forbids eval
                done += 1
        taken = time.perf_counter() - started
        browser.close()
    return {"fields": done, "fields_per_minute": round(60 * done / taken, 1)}


PARTS: Final[dict[str, Callable[[int], dict[str, object]]]] = {
    "template": template,
    "page": page,
    "pile": pile,
    "review": review,
}


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=60)
    parser.add_argument("--only", choices=sorted(PARTS), help="one part; the results of the others are kept")
    options = parser.parse_args()
    results = load_results(FILE)
    measured = results.setdefault("speed", {})
    for name in [options.only] if options.only else PARTS:
        measured[name] = {
            "command": f"python -m bench.forms.speed --only {name} --pages {options.pages}",
            **PARTS[name](options.pages),
            "load_average": round(os.getloadavg()[0], 1),
        }
        print(name, measured[name], flush=True)
    save_results(FILE, results)


if __name__ == "__main__":
    main()
