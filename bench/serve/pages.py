"""Response time of the first page in a real browser: the pad after the pen is lifted, and a page of 100 numbers.

    python -m bench.serve.pages              # both
    python -m bench.serve.pages pad --times 50

Both clocks run in the page, from the browser's own event (pen lifted, file chosen) until the answer is in the document.
Results go to bench/results/pages.json.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw
from playwright.sync_api import Page, sync_playwright

from bench.results_io import RESULTS, load_results, save_results
from bench.serve.targets import CHROMIUM, MISSING_CHROMIUM
from tests.drawing import Mouse, strokes_of, strokes_of_number
from tests.serving import running

FILE = RESULTS / "pages.json"
A4_AT_200_DPI = (1654, 2339)
ROWS, COLUMNS = 20, 5
WATCH_PAD = """() => {
  window.taken = [];
  let lifted = 0;
  document.addEventListener("pointerup", (event) => (lifted = event.timeStamp), true);
  const heard = document.getElementById("heard");
  new MutationObserver(() => {
    if (heard.textContent && lifted) window.taken.push(performance.now() - lifted);
    lifted = 0;
  }).observe(heard, { childList: true });
}"""
WATCH_FILES = """() => {
  let chosen = 0;
  document.addEventListener("change", (event) => (chosen = event.timeStamp), true);
  const work = document.getElementById("work");
  const end = () => work.hidden && (window.taken = performance.now() - chosen);
  new MutationObserver(end).observe(work, { attributes: true });
}"""


def pad(tab: Page, times: int) -> dict[str, Any]:
    """Milliseconds from the pen's lift until the answer is shown."""
    tab.evaluate(WATCH_PAD)
    for turn in range(times):
        Mouse(tab).draw(strokes_of(turn % 10)[:1])  # one stroke, one lift
        tab.wait_for_function("(so_far) => window.taken.length > so_far", arg=turn)
        tab.locator("#clear").click()
    taken = sorted(tab.evaluate("() => window.taken"))
    return {"lifts": times, "median_ms": round(statistics.median(taken), 1), "slowest_ms": round(taken[-1], 1)}


def page100(tab: Page, times: int) -> dict[str, Any]:
    """Milliseconds from the choice of a scanned page until its numbers are shown with their boxes."""
    content, taken = page_of_numbers(), []
    tab.evaluate(WATCH_FILES)
    for _ in range(times):
        tab.evaluate("() => { window.taken = 0; }")
        tab.locator("#files").set_input_files({"name": "100.png", "mimeType": "image/png", "buffer": content})
        tab.wait_for_function("() => window.taken > 0")
        taken.append(tab.evaluate("() => window.taken"))
        found = tab.locator("#list .reading").count()
        tab.locator("#forget").click()
    return {"written": ROWS * COLUMNS, "found": found, "median_ms": round(statistics.median(taken), 1)}


def page_of_numbers() -> bytes:
    """An A4 page with a hundred numbers of three digits, as PNG."""
    page = Image.new("L", A4_AT_200_DPI, 245)
    pen = ImageDraw.Draw(page)
    for place in range(ROWS * COLUMNS):
        row, column = divmod(place, COLUMNS)
        for stroke in strokes_of_number(f"{100 + 7 * place:03}"[:3], wide=1.4):
            points = [(80 + 310 * column + 110 * x, 50 + 112 * row + 110 * y) for x, y in stroke]
            pen.line(points, fill=40, width=5, joint="curve")
    content = BytesIO()
    page.save(content, "PNG")
    return content.getvalue()


MEASURES: dict[str, Callable[[Page, int], dict[str, Any]]] = {"pad": pad, "page100": page100}
TIMES = {"pad": 30, "page100": 5}


def measure(name: str, times: int) -> dict[str, Any]:
    """Start a server and a browser, and take one measure."""
    with (
        tempfile.TemporaryDirectory() as folder,
        sync_playwright() as playwright,
        running(Path(folder)) as server,
        playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]) as chromium,
    ):
        tab = chromium.new_page(viewport={"width": 1200, "height": 800})
        tab.goto(server.url)
        return MEASURES[name](tab, times)


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("measure", nargs="*", choices=[*MEASURES, []], help="what to measure; both if not given")
    parser.add_argument("--times", type=int, help="how often")
    asked = parser.parse_args()
    if not CHROMIUM:
        raise SystemExit(MISSING_CHROMIUM)
    for name in asked.measure or MEASURES:
        figures = measure(name, asked.times or TIMES[name])
        save_results(FILE, load_results(FILE) | {name: figures})
        print(name, figures)


if __name__ == "__main__":
    main()
