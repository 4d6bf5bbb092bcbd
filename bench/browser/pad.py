"""The reader in the browser: agreement with Python, time per drawing, bytes of the first load.

    python -m bench.browser.pad                       # everything
    python -m bench.browser.pad parity --slice 2/5    # every fifth picture; the results of the others stay
    python -m bench.browser.pad speed                 # or bytes

One Chromium, one thread. Results go to bench/results/browser.json.
"""

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from bench.browser.parity import MAX_DIFFERENCE, compare
from bench.browser.pictures import picture_files
from bench.browser.site import reader_site
from bench.results_io import RESULTS, load_results, save_results
from bench.serve.targets import CHROMIUM, MISSING_CHROMIUM
from handigit import Outcome, Reader
from tests.drawing import strokes_of, strokes_of_number

FILE = RESULTS / "browser.json"
DRAWINGS = 40
NUMBERS = ("0327", "12.50", "715", "1984", "20", "3/4", "90210", "-12")
_ANSWER = """
async ({ strokes, aspect, kind }) => {
  const { Reader } = await import("/handigit/handigit.js");
  globalThis.reader ??= new Reader({ models: "/models/" });
  const height = 160;
  const canvas = new OffscreenCanvas(Math.round(aspect * height), height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  Object.assign(context, { lineWidth: 0.07 * height, lineCap: "round", lineJoin: "round" });
  for (const [first, ...rest] of strokes) {
    context.beginPath();
    context.moveTo(first[0] * height, first[1] * height);
    for (const [x, y] of rest) context.lineTo(x * height, y * height);
    context.stroke();
  }
  const start = performance.now();
  const answer = await reader[kind](canvas);
  return { ms: performance.now() - start, text: answer.raw };
}
"""


def parity(browser: Browser, address: str, reader: Reader, slice_: str, earlier: dict[str, Any]) -> dict[str, Any]:
    """Agreement on three hundred pictures of every kind, and each that differs, per slice of them."""
    number, _, count = slice_.partition("/")
    figures = _parity(browser, address, reader, int(number) - 1, int(count))
    kept = earlier.get("slices", {}) if earlier.get("of") == count else {}
    return {"of": count, "slices": kept | {number: figures}}


def _parity(browser: Browser, address: str, reader: Reader, first: int, step: int) -> dict[str, Any]:
    page = _open(browser, address)
    results = compare(page, reader, picture_files()[first::step])
    page.close()
    same = [result for result in results if result.is_same]
    different = [str(result) for result in results if not result.is_same or result.difference > MAX_DIFFERENCE]
    return {
        "pictures": len(results),
        "same": len(same),
        "contradictions": sum(result.contradicts for result in results),
        "largest_difference": round(max(result.difference for result in same), 4),
        "beyond_0.01": sum(result.difference > MAX_DIFFERENCE for result in same),
        "beyond_0.01_and_read": sum(
            result.difference > MAX_DIFFERENCE and result.python.outcome is Outcome.READ for result in same
        ),
        "different": different,
    }


def speed(browser: Browser, address: str) -> dict[str, Any]:
    """Milliseconds from a drawing on a canvas to its answer, models loaded, per mode of the pad."""
    page = _open(browser, address)
    digits = [(strokes_of(turn % 10, shape=0), 1.0) for turn in range(DRAWINGS)]
    numbers = [(strokes_of_number(NUMBERS[turn % len(NUMBERS)]), 2.0) for turn in range(DRAWINGS)]
    return {
        "drawings": DRAWINGS,
        "digit": _median_ms(page, digits, "digit"),
        "number": _median_ms(page, numbers, "number"),
        "auto, a digit": _median_ms(page, digits, "read"),
        "auto, a number": _median_ms(page, numbers, "read"),
    }


def _median_ms(page: Page, drawings: list[Any], kind: str) -> dict[str, float]:
    times = []
    for turn, (strokes, aspect) in enumerate([drawings[0], *drawings]):
        answer = page.evaluate(_ANSWER, {"strokes": strokes, "aspect": aspect, "kind": kind})
        if turn:  # the first call loads the model
            times.append(answer["ms"])
    return {"median_ms": round(statistics.median(times), 1), "slowest_ms": round(max(times), 1)}


def first_load(browser: Browser, address: str) -> dict[str, Any]:
    """Bytes over the network, headers included, until a digit and until a number has been read for the first time."""
    page = browser.new_page()
    loaded: dict[str, int] = {}
    names: dict[str, str] = {}
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.requestWillBeSent", lambda event: names.update({event["requestId"]: event["request"]["url"]}))
    session.on(
        "Network.loadingFinished",
        lambda event: loaded.update({names[event["requestId"]]: int(event["encodedDataLength"])}),
    )
    page.goto(address)
    page.evaluate(_ANSWER, {"strokes": strokes_of(7), "aspect": 1.0, "kind": "digit"})
    digit = sum(loaded.values())
    page.evaluate(_ANSWER, {"strokes": strokes_of_number("715"), "aspect": 2.0, "kind": "number"})
    total = sum(loaded.values())
    largest = {url.rpartition("/")[2]: size for url, size in loaded.items() if size > 100_000}
    page.close()
    return {"digit_bytes": digit, "all_bytes": total, "files": len(loaded), "largest": largest}


PARTS = ("parity", "speed", "bytes")


def _open(browser: Browser, address: str) -> Page:
    page = browser.new_page()
    page.goto(address)
    return page


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=[*PARTS, "all"], default="all")
    parser.add_argument("--slice", default="1/1", help="a part of the pictures for parity, such as 2/5")
    parser.add_argument("--models", type=Path, help="folder of the models; by default those inside the package")
    args = parser.parse_args()
    if not CHROMIUM:
        raise SystemExit(MISSING_CHROMIUM)
    results = load_results(FILE)
    reader = Reader(args.models, threads=1)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        with reader_site(Path(folder), reader) as address:
            for part in PARTS if args.part == "all" else [args.part]:
                if part == "parity":
                    results[part] = parity(browser, address, reader, args.slice, results.get(part, {}))
                else:
                    results[part] = speed(browser, address) if part == "speed" else first_load(browser, address)
                save_results(FILE, results)
                print(part, results[part])
        browser.close()


if __name__ == "__main__":
    main()
