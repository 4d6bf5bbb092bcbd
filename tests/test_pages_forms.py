"""The Forms page: printing, fields over a blank, and a template tried on a scan."""

import re
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Page, expect

from browsing import check_accessible
from handigit.forms import Template
from serving import Running, encoded

pytestmark = pytest.mark.browser
SAMPLES = Path(__file__).parents[1] / "samples" / "forms" / "score-sheets"


def blank() -> bytes:
    """A sheet with a comb of four cells and a lone box."""
    sheet = Image.new("L", (900, 600), 255)
    pen = ImageDraw.Draw(sheet)
    for left in range(300, 540, 60):
        pen.rectangle((left, 100, left + 60, 160), outline=0, width=2)
    pen.rectangle((300, 300, 520, 360), outline=0, width=2)
    return encoded(sheet)


def test_a_ready_made_form_is_printed(site: Running) -> None:
    with site.client() as client:
        printed = client.get("/v1/forms/score-sheet/form.pdf?copies=2")
        assert printed.content.startswith(b"%PDF")
        missing = client.get("/v1/forms/nothing/form.pdf")
    assert missing.status_code == 404
    assert "no form named 'nothing'; there are:" in missing.json()["detail"]


def test_a_scan_of_a_ready_made_form_becomes_a_record(site: Running) -> None:
    scan = (SAMPLES / "score-sheet-001.jpg").read_bytes()
    with site.client() as client:
        answer = client.post("/forms/try?template=score-sheet", files={"file": ("scan.jpg", scan)}, timeout=120)
    assert answer.status_code == 200
    assert "candidate" in answer.text
    assert "data:image/jpeg;base64," in answer.text


def test_a_blank_becomes_a_template_that_reads_its_scans(site: Running) -> None:
    with site.client() as client:
        found = client.post("/forms/proposals?name=my-form.png", content=blank()).json()
        assert len(found["fields"]) >= 2
        fields = [{key: field[key] for key in ("name", "kind", "box")} for field in found["fields"]]
        fields[0]["kind"] = "decimal"
        fields.append({"name": "extra", "kind": "date", "box": [10, 10, 90, 40]})
        text = client.post("/forms/template", json={"template": found["template"], "fields": fields}).json()["template"]
        assert 'blank = "my-form.png"' in text
        files = [("file", ("template.toml", text)), ("file", ("my-form.png", blank())), ("file", ("scan.png", blank()))]
        assert ">extra</th>" in client.post("/forms/try", files=files, timeout=120).text
    bare = re.sub(r',?\s*blank\s*=\s*"my-form.png"', "", text)
    assert len(Template.parse(bare).fields) == len(fields)


@pytest.mark.parametrize("text", ["no toml [", 'format = "handigit-form/1"', ""])
def test_a_bad_template_is_refused_with_the_reason(site: Running, text: str) -> None:
    with site.client() as client:
        files = [("file", ("template.toml", text or " ")), ("file", ("scan.png", blank()))]
        answer = client.post("/forms/try", files=files, timeout=120)
    assert answer.status_code == 422
    assert answer.json()["detail"]


def test_fields_are_renamed_added_and_downloaded(page: Page, site: Running) -> None:
    page.goto(f"{site.url}/forms")
    page.locator("#blank").set_input_files([{"name": "form.png", "mimeType": "image/png", "buffer": blank()}])
    page.locator("#blank-view .box .hit-area").first.click()
    page.fill("#field [name=name]", "votes")
    page.locator("#field").get_by_role("button", name="Apply").click()
    page.click("#add-field")
    page.keyboard.press("Enter")
    expect(page.locator("#field [name=name]")).to_be_visible()
    check_accessible(page)
    with page.expect_download() as download:
        page.click("#download")
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert download.value.suggested_filename == "form.toml"
    assert '"votes"' in text
    assert Image.open(BytesIO(blank())).size == (900, 600)


def test_a_template_is_tried_on_a_scan_in_a_new_tab(page: Page, site: Running) -> None:
    page.goto(f"{site.url}/forms")
    page.locator("#blank").set_input_files([{"name": "form.png", "mimeType": "image/png", "buffer": blank()}])
    expect(page.locator("#trial")).to_be_visible()
    page.set_input_files("#scan", [{"name": "form.png", "mimeType": "image/png", "buffer": blank()}])
    with page.context.expect_page() as opened:
        page.locator("#try").get_by_role("button", name="Read").click()
    expect(opened.value.get_by_role("heading", level=1)).to_have_text("Trial")
    check_accessible(opened.value)
