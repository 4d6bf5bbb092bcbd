"""Forms in the browser: from a drawn template to the spreadsheet, the batch page, review by field and by check."""

import io
import re
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from openpyxl import load_workbook
from PIL import Image
from playwright.sync_api import Page, expect

from browsing import PHONE, check_accessible, check_narrow, watched
from handigit.forms import PageState, Record, Template
from handigit.forms.drawn import View, fill, see
from handigit.forms.record import Page as FormPage
from handigit.forms.record import RecordOutcome
from handigit.web import create_app
from serving import HOST, SUM_FIELDS, Running, encoded, open_store, settings

pytestmark = pytest.mark.browser
SUMS = f"""\
{SUM_FIELDS}check = [{{ rule = "a + b == sum", says = "a and b must make the sum" }}]
"""


def scan(total: str, *, seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    values = {"a": "12", "b": "30", "sum": total}
    drawn = see(fill(Template.parse(SUMS), rng, values=values, copy=str(seed), dpi=150), View(dpi=130, noise=2), rng)
    return Image.fromarray(drawn.pixels)


@pytest.fixture(scope="module")
def batch(site: Running) -> str:
    """The address of a batch: a right sum, two wrong ones, a page that is not placed, an empty sheet."""
    whole = scan("42", seed=9)
    part = whole.crop((int(0.21 * whole.width), int(0.3 * whole.height), whole.width, whole.height))
    pages = [scan("42", seed=1), scan("52", seed=2), scan("43", seed=3), part, Image.new("L", (300, 400), 255)]
    with httpx.Client(base_url=site.url, timeout=120) as client:
        client.put("/v1/forms/sums", files=[("file", ("form.toml", SUMS))])
        files = [("file", (f"{number}.png", encoded(page))) for number, page in enumerate(pages)]
        answer = client.post("/v1/forms/sums/records?batch=pile", files=files)
        assert len(answer.json()["records"]) == len(pages)
    return f"{site.url}/forms/batches/pile"


def test_pages_of_a_batch_are_shown_by_state(page: Page, batch: str) -> None:
    page.goto(batch, wait_until="networkidle")
    expect(page.locator(".pages li")).to_have_count(5)
    check_accessible(page)
    page.get_by_role("link", name="Unplaced 1").click()
    expect(page.locator(".pages li")).to_have_count(1)
    check_narrow(page)


def test_a_long_batch_is_shown_in_parts(tmp_path: Path) -> None:
    record = Record(RecordOutcome.UNPLACED, pages=(FormPage("scan.jpg", 0, PageState.UNPLACED),), source="scan.jpg")
    with (
        open_store(tmp_path) as store,
        TestClient(create_app(settings(tmp_path), store=store), base_url=HOST) as client,
    ):
        for number in range(125):
            store.forms.add(record.to_json(), key=str(number), batch="long")
        first = client.get("/forms/batches/long").text
        rest = re.search(r'href="([^"]+)">More', first)
        assert rest
        second = client.get(rest[1].replace("&amp;", "&")).text
    assert [part.count('<li class="card">') for part in (first, second)] == [120, 5]
    assert "All 125" in first
    assert "All 125" in second
    assert "More" not in second


def test_a_field_of_all_forms_is_reviewed_by_keyboard(page: Page, batch: str) -> None:
    page.goto(f"{batch}/review")
    check_accessible(page)
    page.get_by_role("row", name=re.compile("^sum")).get_by_role("link").last.click()
    entries = page.locator(".entry")
    expect(entries).to_have_count(3)
    check_accessible(page)
    first = entries.first.locator("input")
    expect(first).to_be_focused()
    expect(entries.first.get_by_role("button", name="Accept")).to_be_enabled()  # the script has run
    page.keyboard.type(first.input_value())  # replaces the value
    for done in (1, 2, 3):
        page.keyboard.press("Enter")
        expect(page.locator("#done")).to_have_text(str(done))
    check_narrow(page)


def test_a_failed_check_shows_its_arithmetic_and_is_settled(page: Page, site: Running, batch: str) -> None:
    with site.client() as client:
        failing = [record for record in client.get("/v1/records?batch=pile").json()["records"]
                   if any(check["state"] == "fails" for check in record["checks"])]  # fmt: skip
    assert failing
    page.goto(f"{batch}/review")
    page.get_by_role("link", name="a and b must make the sum").click()
    groups = page.locator("section.card")
    expect(groups).to_have_count(len(failing))
    expect(groups.first).to_contain_text(re.compile(r"12 \+ 30 - \d+ = -?\d+"))
    check_accessible(page)
    field = groups.first.locator(".entry[data-field=sum]")
    field.locator("input").fill("42")
    field.get_by_role("button", name="Accept").click()
    expect(page.locator("section.card .figures").filter(has_text="+ 30")).to_have_count(len(failing) - 1)


def test_a_page_is_placed_by_its_corners(page: Page, batch: str) -> None:
    page.goto(f"{batch}?state=unplaced")
    page.locator(".pages a").click()
    page.wait_for_load_state("networkidle")
    page.click("#show-corners")
    handle = page.get_by_role("button", name="Left top corner")
    before = handle.get_attribute("cx") or ""
    handle.focus()
    page.keyboard.press("ArrowRight")
    expect(handle).not_to_have_attribute("cx", before)
    place = page.get_by_role("button", name="Right bottom corner").bounding_box()
    assert place
    untouched = page.input_value("#corners")
    page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    page.mouse.down()
    page.mouse.move(place["x"] - 40, place["y"] - 40)
    page.mouse.up()
    expect(page.locator("#corners")).not_to_have_value(untouched)
    check_accessible(page)
    page.select_option("#place [name=template]", "sums")
    page.get_by_role("button", name="Read again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("sums")
    expect(page.locator(".entry")).to_have_count(3)


def test_a_field_is_accepted_by_thumb(browser: Any, batch: str) -> None:
    context = browser.new_context(**PHONE)
    tab = context.new_page()
    problems = watched(tab)
    tab.goto(f"{batch}/review?field=b&everything=true", wait_until="networkidle")
    tab.locator(".entry").first.get_by_role("button", name="Accept").tap()
    expect(tab.locator("#done")).to_have_text("1")
    assert not problems
    context.close()


def test_checks_are_applied_again_from_the_page(page: Page, site: Running, batch: str) -> None:
    later = SUMS.replace("check = [", 'check = [{ rule = "b == 30", says = "b is always 30" }, ')
    with site.client() as client:
        client.put("/v1/forms/sums", files=[("file", ("form.toml", later))])
    page.goto(batch)
    page.click("#check-again")
    page.get_by_role("link", name="Review", exact=True).last.click()
    expect(page.get_by_text("b is always 30")).to_be_visible()


def drawn_sheet(*, total: str = "", others: tuple[str, str] = ("", "")) -> bytes:
    """A blank of one's own with three boxes and print around them, or filled in."""
    import cv2

    sheet = np.full((1100, 850), 255, np.uint8)
    cv2.putText(sheet, "CLAIM FOR EXPENSES, FORM 27", (60, 90), cv2.FONT_HERSHEY_SIMPLEX, 1.1, 0, 2)
    cv2.putText(sheet, "Travel", (60, 300), cv2.FONT_HERSHEY_SIMPLEX, 1, 0, 2)
    cv2.putText(sheet, "Hotel", (60, 480), cv2.FONT_HERSHEY_SIMPLEX, 1, 0, 2)
    cv2.putText(sheet, "Together", (60, 760), cv2.FONT_HERSHEY_SIMPLEX, 1, 0, 2)
    cv2.rectangle(sheet, (40, 130), (810, 1040), 0, 2)
    for top in (240, 420, 700):
        cv2.rectangle(sheet, (350, top), (640, top + 90), 0, 2)
    for text, top in zip((*others, total), (240, 420, 700), strict=True):
        cv2.putText(sheet, text, (400, top + 68), cv2.FONT_HERSHEY_SCRIPT_SIMPLEX, 2, 40, 4)
    return encoded(Image.fromarray(sheet))


@pytest.mark.slow
def test_from_a_drawn_template_to_the_spreadsheet(page: Page, site: Running) -> None:
    page.goto(f"{site.url}/forms")
    page.locator("#blank").set_input_files([{"name": "claim.png", "mimeType": "image/png", "buffer": drawn_sheet()}])
    expect(page.locator("#blank-view .box")).to_have_count(3)
    for name in ("travel", "hotel", "together"):  # a renamed field is the last one
        page.locator("#blank-view .box .hit-area").first.click()
        page.fill("#field [name=name]", name)
        page.locator("#field").get_by_role("button", name="Apply").click()
    page.click("#save")
    page.click("#read-pile")
    expect(page.locator("#pile [name=template]")).to_have_value("claim")
    scans = [
        ("1.png", drawn_sheet(others=("12", "30"), total="42")),
        ("2.png", drawn_sheet(others=("71", "4"), total="75")),
    ]
    page.set_input_files(
        "#pile [name=scans]", [{"name": name, "mimeType": "image/png", "buffer": data} for name, data in scans]
    )
    page.locator("#pile").get_by_role("button", name="Read").click()
    page.wait_for_url("**/forms/batches/*", timeout=60_000)
    expect(page.locator(".pages li")).to_have_count(2)
    page.get_by_role("link", name="Review", exact=True).last.click()
    page.get_by_role("row", name=re.compile("^together")).get_by_role("link").last.click()
    for number in range(2):
        source = page.locator(".entry").nth(number)
        source.locator("input").fill("42" if "1" in (source.get_attribute("data-record") or "") else "75")
        expect(source.get_by_role("button", name="Accept")).to_be_enabled()  # the page's script has run
        source.locator("input").press("Enter")
        expect(page.locator("#done")).to_have_text(str(number + 1))
    page.goto(f"{site.url}/forms/batches")
    page.get_by_role("row").nth(1).get_by_role("link").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Excel").click()
    book = load_workbook(io.BytesIO(Path(download.value.path()).read_bytes()))
    assert book.sheetnames == ["Records", "Fields", "Problems"]
    headings = [cell.value for cell in book["Records"][1]]
    assert {"travel", "hotel", "together"} <= set(headings)
    assert book["Records"].max_row == 3
