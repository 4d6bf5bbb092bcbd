"""Photograph every page of the web app in a real browser, in light and dark mode, for the README and the docs.

    python scripts/photograph_pages.py        # into docs/pictures/pages; needs Chromium

The content is synthetic: the samples, and a few hundred numbers, some of them reviewed.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from playwright.sync_api import Page, ViewportSize, expect, sync_playwright
from sqlalchemy import update

PROJECT = Path(__file__).parents[1]
sys.path.insert(0, str(PROJECT / "tests"))
from browsing import CHROMIUM, MISSING, PHONE  # type: ignore[import-not-found]  # noqa: E402
from drawing import Mouse, strokes_of  # type: ignore[import-not-found]  # noqa: E402
from handigit.store import Store  # noqa: E402
from handigit.store.tables import readings  # noqa: E402
from handigit.synth.crops import NO_NUMBER, Mix, draw_crop  # noqa: E402
from serving import Running, encoded, running  # type: ignore[import-not-found]  # noqa: E402

FOLDER = PROJECT / "docs" / "pictures" / "pages"
DESKTOP = ViewportSize(width=1180, height=780)
NUMBERS = 400
REVIEWED = 160
DAYS = 21
MIX = Mix(nothing=0.02, no_number=0.05, real=0, plain=0.5)
COLOURS = 128
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PAGES = ("forms", "review", "readings", "insights", "models", "learn")


def fill(server: Running) -> None:
    """Read a few hundred numbers and review some of them."""
    rng = np.random.default_rng(7)
    truths = {}
    with server.client() as client:
        for number in range(NUMBERS):
            crop = draw_crop(rng, mix=MIX)
            name = f"form-{number:03d}.png"
            answer = client.post(f"/v1/number?name={name}", content=encoded(Image.fromarray(crop.pixels)))
            if answer.status_code == 200:
                truths[name] = "" if NO_NUMBER in crop.text else "".join(filter(str.isdecimal, crop.text))
        for _ in range(REVIEWED):
            response = client.post("/v1/review/lease")
            if response.status_code == 204:
                break
            lease = response.json()
            text = truths[lease["reading"]["source"]]
            correction = {
                "reading": lease["reading"]["id"],
                "text": text,
                "outcome": "read" if text else "not_a_number",
            }
            client.post(f"/v1/review/lease/{lease['id']}/decide", json=correction)


def shots(tab: Page, url: str) -> Iterator[str]:
    """The name of each page in turn, when it is ready to be photographed."""
    tab.goto(url, wait_until="networkidle")
    Mouse(tab).draw(strokes_of(5))
    expect(tab.locator("#outcome")).to_have_text("read")
    yield "read"
    tab.set_input_files("input[type=file]", PROJECT / "samples" / "pages" / "form-with-cells.jpg")
    tab.locator("#view .box").last.wait_for()
    expect(tab.locator("#work")).to_be_hidden(timeout=20_000)
    tab.locator("#results").scroll_into_view_if_needed()
    yield "page"
    for name in PAGES:
        tab.goto(f"{url}/{name}", wait_until="networkidle")
        tab.wait_for_timeout(800)
        yield name


def save(tab: Page, name: str, *, whole: bool) -> None:
    """Write a screenshot in few colours, to keep the files small."""
    picture = Image.open(BytesIO(tab.screenshot(full_page=whole)))
    FOLDER.mkdir(parents=True, exist_ok=True)
    picture.convert("RGB").quantize(COLOURS).save(FOLDER / f"{name}.png", optimize=True)


@contextmanager
def filled_server() -> Iterator[Running]:
    """A server with content in its store."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as server:
        fill(server)
        spread(Path(folder))
        yield server


def spread(folder: Path) -> None:
    """Spread the readings over three weeks."""
    with Store.open(f"sqlite:///{folder / 'handigit.db'}", files=folder / "pictures") as store:
        ids = [reading.id for reading in store.all()]
        today = datetime.now(UTC)
        with store.database.writing() as connection:
            for index, reading_id in enumerate(ids):
                at = today - timedelta(days=DAYS * index / len(ids))
                connection.execute(update(readings).where(readings.c.id == reading_id).values(at=at))


def main() -> None:
    """Photograph all pages."""
    if not CHROMIUM:
        raise SystemExit(MISSING)
    with filled_server() as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for scheme in SCHEMES:
            tab = browser.new_page(viewport=DESKTOP, color_scheme=scheme)
            for name in shots(tab, server.url):
                save(tab, f"{name}-{scheme}", whole=name in ("insights", "learn"))
            tab.close()
        tab = browser.new_page(**PHONE, color_scheme="light")
        for name in ("read", "review", "insights"):
            tab.goto(server.url + ("/" if name == "read" else f"/{name}"), wait_until="networkidle")
            tab.wait_for_timeout(800)
            save(tab, f"{name}-phone", whole=False)
        browser.close()


if __name__ == "__main__":
    main()
