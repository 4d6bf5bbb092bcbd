"""Twelve drawn amounts and dates, from the pad through every place that shows, stores or exports them."""

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from browsing import watched
from drawing import Mouse, strokes_of_number, wait_for_answer
from handigit.cli import DONE, run
from handigit.records import percent
from serving import Running, picture, running

pytestmark = pytest.mark.browser
AMOUNTS = {
    "3.50": 3.5,
    "0.75": 0.75,
    "99,90": 99.9,
    "-12": -12,
    "2026-05-12": None,
    "12/05/2026": None,
    "1,250.00": 1250,
    "36.6": 36.6,
    "120/80": None,
    "1.000": None,
    "07.05.": None,
    "5.-": None,
}
"""What is drawn, and its value where that is decidable."""


@dataclass(frozen=True)
class Drawn:
    """A page on a server that keeps the twelve drawings, and the values that the pad showed."""

    tab: Page
    server: Running
    shown: tuple[str, ...]

    def open(self, address: str) -> Page:
        """The tab at an address of the server."""
        self.tab.goto(self.server.url + address)
        return self.tab


@pytest.fixture(scope="module")
def drawn(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drawn]:
    with running(tmp_path_factory.mktemp("values")) as server:
        context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
        context.set_default_timeout(60_000)
        tab = context.new_page()
        problems = watched(tab)
        tab.goto(server.url)
        tab.locator("#pen").fill("4")
        tab.get_by_label("Number", exact=True).check()
        shown = []
        for amount in AMOUNTS:
            Mouse(tab).draw(strokes_of_number(amount))
            wait_for_answer(tab)
            shown.append(tab.locator("#text").inner_text())
            tab.click("#keep")
            expect(tab.locator("#toast")).to_contain_text(f"Kept as reading {len(shown)}")
            tab.click("#clear")
        yield Drawn(tab, server, tuple(shown))
        context.close()
        assert not problems


def test_the_pad_shows_them_as_written(drawn: Drawn) -> None:
    assert drawn.shown == tuple(AMOUNTS)


def test_the_api_has_raw_digits_and_value(drawn: Drawn) -> None:
    with drawn.server.client() as client:
        readings = client.get("/v1/readings?limit=20").json()["readings"][::-1]
    assert [reading["raw"] for reading in readings] == list(AMOUNTS)
    assert [reading["value"] for reading in readings] == list(AMOUNTS.values())
    assert [reading["text"] for reading in readings] == ["".join(filter(str.isdecimal, amount)) for amount in AMOUNTS]


def test_readings_list_and_page_show_them(drawn: Drawn) -> None:
    tab = drawn.open("/readings")
    expect(tab.locator("tbody .value > a")).to_have_text(list(AMOUNTS)[::-1])
    tab.locator("tbody .value > a").first.click()
    expect(tab.locator("h1 .large")).to_have_text("5.-")
    expect(tab.locator("#correct [name=text]")).to_have_value("5.-")


def test_readings_can_be_sorted_and_searched(drawn: Drawn) -> None:
    tab = drawn.open("/readings?source=drawing&digits=50")
    expect(tab.locator("tbody .value > a")).to_have_text(["1,250.00", "3.50"])
    tab.locator("th a", has_text="Read").click()
    expect(tab.locator("th[aria-sort=ascending]")).to_have_text("Read")
    expect(tab.locator("tbody .value > a")).to_have_text(["3.50", "1,250.00"])
    tab.locator("th a", has_text="Confidence").click()
    expect(tab.locator("th[aria-sort=ascending]")).to_have_text("Confidence")
    expect(tab.locator("tbody .value > a")).to_have_count(2)
    sure = [float(text.strip("<>was% ")) for text in tab.locator("tbody [data-label=Confidence]").all_inner_texts()]
    assert sure == sorted(sure)
    expect(drawn.open("/readings?source=elsewhere").locator("main")).to_contain_text("No matching readings")


def test_exports_have_them(drawn: Drawn) -> None:
    with drawn.server.client() as client:
        lean = client.get("/v1/readings/export?format=csv").text
        lines = client.get("/v1/readings/export?format=jsonl").text.splitlines()
        book = client.get("/v1/readings/export?format=xlsx")
    assert {json.loads(line)["raw"] for line in lines} == set(AMOUNTS)
    values = [row["value"].lstrip("'") for row in csv.DictReader(io.StringIO(lean))]
    assert values == [{"99,90": "99.90", "1,250.00": "1250.00"}.get(amount, amount) for amount in AMOUNTS]
    strings = zipfile.ZipFile(io.BytesIO(book.content)).read("xl/worksheets/sheet1.xml").decode()
    assert all(f">{amount}<" in strings for amount in ("2026-05-12", "12/05/2026", "120/80", "1.000"))


def test_the_command_line_has_them(
    drawn: Drawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with drawn.server.client() as client:
        for index, reading in enumerate(client.get("/v1/readings?limit=20").json()["readings"][::-1]):
            Path(f"{index}.png").write_bytes(client.get(f"/v1/pictures/{reading['picture']}").content)
    assert run(["read", ".", "--as", "number"]) == DONE
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows[1:]] == list(AMOUNTS)
    assert run(["read", ".", "--as", "number", "-o", "out.csv"]) == DONE
    saved = list(csv.DictReader(io.StringIO(Path("out.csv").read_text(encoding="utf-8"))))
    assert [row["raw"].lstrip("'") for row in saved] == list(AMOUNTS)


def test_review_keeps_what_is_typed(drawn: Drawn) -> None:
    tab = drawn.open("/review")
    tab.wait_for_selector("#item[data-reading]")
    reading = tab.get_attribute("#item", "data-reading")
    expect(tab.locator("#text")).to_have_value(re.compile("|".join(map(re.escape, AMOUNTS))))
    tab.fill("#text", "12/05/2027")
    tab.keyboard.press("Enter")
    expect(tab.locator("#recent")).to_contain_text("12/05/2027")
    tab.wait_for_function("() => JSON.parse(sessionStorage.getItem('handigit-decisions') ?? '[]').length === 0")
    expect(drawn.open(f"/readings/{reading}").locator("h1 .large")).to_have_text("12/05/2027")
    expect(tab.locator("h1 + .outcome")).to_have_text("corrected")


def test_boxes_take_a_decimal_number(drawn: Drawn) -> None:
    tab = drawn.open("/")
    tab.get_by_label("one digit", exact=True).check()
    tab.locator("#files").set_input_files([{"name": "7.png", "mimeType": "image/png", "buffer": picture(7, size=56)}])
    expect(tab.locator("#list .reading b")).to_have_text("7")
    tab.locator("#list .reading").click()
    tab.locator(".correct input").fill("-3,5")
    tab.keyboard.press("Enter")
    expect(tab.locator("#list .reading b")).to_have_text("-3,5")
    expect(tab.locator("#view .box text")).to_have_text("-3,5")
    expect(tab.locator("#list .reading .outcome")).to_have_text("corrected")
    tab.reload()
    expect(tab.locator("#list .reading b")).to_have_text("-3,5")
    expect(tab.locator("#view .box text")).to_have_text("-3,5")


def test_the_pad_takes_a_correction(drawn: Drawn) -> None:
    tab = drawn.open("/")
    tab.locator("#pen").fill("4")
    Mouse(tab).draw(strokes_of_number("36.6"))
    expect(tab.locator("#text")).to_have_text("36.6")
    wait_for_answer(tab)
    tab.click("#wrong")
    tab.locator("#pad-correction [name=text]").fill("36.8")
    tab.keyboard.press("Enter")
    expect(tab.locator("#toast")).to_contain_text("Saved")
    with drawn.server.client() as client:
        (latest, *_) = client.get("/v1/readings?limit=1").json()["readings"]
    assert (latest["raw"], latest["truth"]["text"], latest["truth"]["value"]) == ("36.6", "36.8", 36.8)


def test_strokes_stay_when_the_mode_changes(drawn: Drawn) -> None:
    tab = drawn.open("/")
    Mouse(tab).draw(strokes_of_number("7"))
    expect(tab.locator("#text")).to_have_text("7")
    wait_for_answer(tab)
    for mode in ("Digit", "Number", "Auto"):
        with tab.expect_response("**/pad?*"):
            tab.get_by_label(mode, exact=True).check()
        expect(tab.locator("#text")).to_have_text("7")
    expect(tab.locator("#clear")).to_be_enabled()


def test_scripts_and_python_format_percentages_alike(drawn: Drawn) -> None:
    values = [0, 0.0004, 0.0005, 0.005, 0.1234, 0.5, 0.9994, 0.9995, 0.99951, 1]
    script = "async (values) => values.map((await import('/static/wording.js')).percent)"
    assert drawn.open("/").evaluate(script, values) == [percent(value) for value in values]


def test_alternatives_take_the_separators_of_the_number(drawn: Drawn) -> None:
    script = """async () => {
      const { withSeparators } = await import("/static/wording.js");
      return [withSeparators("850", "3.50"), withSeparators("85", "3.50"), withSeparators("12052026", "12/05/2025")];
    }"""
    assert drawn.open("/").evaluate(script) == ["8.50", "85", "12/05/2026"]
