"""The Forms page: printing, fields over a blank, and a template tried on a scan."""

import re
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Locator, Page, expect

from browsing import check_accessible, check_narrow
from handigit.forms import Template
from handigit.forms.specs import Kind
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


def opened_blank(page: Page, site: Running) -> None:
    page.goto(f"{site.url}/forms")
    page.locator("#blank").set_input_files([{"name": "form.png", "mimeType": "image/png", "buffer": blank()}])
    expect(page.locator("#blank-view .box")).to_have_count(5)


def downloaded(page: Page) -> Template:
    """The template that the page has now."""
    with page.expect_download() as download:
        page.click("#download")
    text = Path(download.value.path()).read_text(encoding="utf-8")
    return Template.parse(re.sub(r',?\s*blank\s*=\s*"form.png"', "", text))


def dragged(page: Page, target: Locator, right: float, down: float, *, at: tuple[float, float] = (0.5, 0.5)) -> None:
    """Drag an element from a place in it, in fractions of its size."""
    target.scroll_into_view_if_needed()
    place = target.bounding_box()
    assert place
    x, y = place["x"] + at[0] * place["width"], place["y"] + at[1] * place["height"]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + right, y + down, steps=4)
    page.mouse.up()


def test_a_field_is_moved_and_resized_by_pointer_and_keyboard(page: Page, site: Running) -> None:
    opened_blank(page, site)
    before = downloaded(page).fields[-1].box
    page.locator("#blank-view .box .hit-area").last.click()
    page.fill("#field [name=name]", "moved")
    page.locator("#field").get_by_role("button", name="Apply").click()
    page.locator("#blank-view .box .hit-area").last.click()
    frame = page.locator(".box-frame")
    dragged(page, frame.locator("rect"), 60, 40)
    moved = downloaded(page).by_name["moved"].box
    assert moved.left > before.left + 20
    assert moved.top > before.top + 10
    assert (moved.width, moved.height) == pytest.approx((before.width, before.height), abs=0.1)
    dragged(page, frame.locator(".handle").nth(2), 50, 30)
    larger = downloaded(page).by_name["moved"].box
    assert (larger.left, larger.top) == (moved.left, moved.top)
    assert larger.width > moved.width + 10
    assert larger.height > moved.height + 10
    page.get_by_role("button", name="Move by keys").click()
    expect(frame).to_be_focused()
    check_accessible(page)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowUp")
    keyed = downloaded(page).by_name["moved"].box
    assert keyed.left < larger.left
    assert keyed.bottom < larger.bottom
    assert keyed.top == larger.top
    frame.focus()
    page.keyboard.press("Escape")  # takes back what was done since the field was chosen
    expect(page.locator("#field [name=name]")).to_be_focused()
    assert downloaded(page).by_name["moved"].box == before


def test_a_table_is_drawn_changed_and_deleted(page: Page, site: Running) -> None:
    opened_blank(page, site)
    page.click("#add-table")
    page.keyboard.press("Enter")
    expect(page.locator("#blank-view .box")).to_have_count(5 + 6)
    page.fill("#table [name=name]", "marks")
    page.fill("#table [name=columns]", "q1, q2, sum")
    page.fill("#table [name=rows]", "4")
    page.select_option("#table [name=kind]", "date")
    check_accessible(page)
    page.locator("#table").get_by_role("button", name="Apply").click()
    expect(page.locator("#blank-view .box")).to_have_count(5 + 12)
    found = downloaded(page)
    assert [len(grid.rows) for grid in found.grids] == [5]
    assert [name for name in found.by_name if "." in name][:4] == [
        "marks.1.q1",
        "marks.1.q2",
        "marks.1.sum",
        "marks.2.q1",
    ]
    assert found.by_name["marks.4.sum"].kind is Kind.DATE
    page.get_by_role("button", name="marks.2.q2: date").press("Enter")
    dragged(page, page.locator(".box-frame rect"), 40, 0)
    assert downloaded(page).grids[0].columns[0] > found.grids[0].columns[0]
    check_narrow(page)
    page.get_by_role("button", name="Delete table").click()
    expect(page.locator("#blank-view .box")).to_have_count(5)
    assert not downloaded(page).grids


def test_a_table_with_a_fault_is_refused_with_the_reason(site: Running) -> None:
    with site.client() as client:
        template = client.post("/forms/proposals?name=form.png", content=blank()).json()["template"]
        table = {"name": "t", "rows": [10, 20], "columns": [10, 20], "names": ["a"], "kinds": ["number"]}
        for change, reason in (
            ({"rows": [20, 10]}, "each greater than the last"),
            ({"columns": [10, 5000]}, "outside the page"),
            ({"kinds": ["nothing"]}, "give name, rows, columns, names, kinds"),
            ({"names": ["a", "b"]}, "one entry per column"),
        ):
            json = {"template": template, "fields": [], "tables": [table | change]}
            answer = client.post("/forms/template", json=json)
            assert answer.status_code == 422
            assert reason in answer.json()["detail"]


def test_a_template_is_tried_on_a_scan_in_a_new_tab(page: Page, site: Running) -> None:
    page.goto(f"{site.url}/forms")
    page.locator("#blank").set_input_files([{"name": "form.png", "mimeType": "image/png", "buffer": blank()}])
    expect(page.locator("#trial")).to_be_visible()
    page.set_input_files("#scan", [{"name": "form.png", "mimeType": "image/png", "buffer": blank()}])
    with page.context.expect_page() as opened:
        page.locator("#try").get_by_role("button", name="Read").click()
    expect(opened.value.get_by_role("heading", level=1)).to_have_text("Trial")
    check_accessible(opened.value)
