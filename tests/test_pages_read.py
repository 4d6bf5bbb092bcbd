"""The first page in a real browser: drawn on, given files, corrected, exported."""

import base64
import json
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest
from fastapi.testclient import TestClient
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Route, expect
from pydantic import SecretStr

from browsing import PHONE, check_accessible, check_narrow, watched
from drawing import Finger, Mouse, strokes_of, strokes_of_number
from handigit.web.app import create_app
from handigit.web.pages.layout import STATIC
from serving import Running, encoded, picture, running, settings

pytestmark = pytest.mark.browser
SAMPLES = STATIC / "samples"
SCORES = ["87", "92", "45", "100", "73", "68", "9"]


@pytest.fixture
def desk(page: Page, site: Running) -> Page:
    """The first page in a window on a desk."""
    page.goto(site.url)
    return page


@pytest.fixture
def phone(browser: Browser, site: Running) -> Iterator[Page]:
    """The first page on a small phone."""
    opened = browser.new_context(**PHONE)  # type: ignore[arg-type]
    tab = opened.new_page()
    problems = watched(tab)
    tab.goto(site.url)
    yield tab
    opened.close()
    assert not problems


def finger(tab: Page) -> Finger:
    return Finger(tab, tab.context.new_cdp_session(tab))


def upload(tab: Page, *files: tuple[str, str, bytes]) -> None:
    """Choose files of these names, types and bytes, and wait until all are read."""
    payloads = [{"name": name, "mimeType": kind, "buffer": content} for name, kind, content in files]
    tab.locator("#files").set_input_files(payloads)  # type: ignore[arg-type]
    expect(tab.locator("#work")).to_be_hidden(timeout=20_000)


def numbers(tab: Page) -> Locator:
    """What the list says was read."""
    return tab.locator("#list .reading b")


def scores() -> tuple[str, str, bytes]:
    return "scores.jpg", "image/jpeg", (SAMPLES / "scores-on-squared-paper.jpg").read_bytes()


def document(pages: int) -> bytes:
    """A TIFF of the page of scores, several times."""
    scan = Image.open(SAMPLES / "scores-on-squared-paper.jpg").convert("L")
    return encoded(scan, "TIFF", save_all=True, append_images=[scan] * (pages - 1))


@pytest.mark.parametrize("hand", ["mouse", "finger"])
def test_all_ten_digits_are_read_as_they_are_drawn(desk: Page, phone: Page, hand: str) -> None:
    tab, pen = (desk, Mouse(desk)) if hand == "mouse" else (phone, finger(phone))
    for digit in range(10):
        pen.draw(strokes_of(digit))
        expect(tab.locator("#text")).to_have_text(str(digit))
        expect(tab.locator("#heard")).to_contain_text(f"{digit}, ")
        expect(tab.locator("#bars .best .figures")).to_have_text(str(digit))
        expect(tab.locator("#seen")).to_have_attribute("src", _begins("data:image/png;base64,"))
        tab.locator("#clear").click()
    assert tab.evaluate("scrollY") == 0 or hand == "mouse"


@pytest.mark.parametrize("hand", ["mouse", "finger"])
def test_a_number_is_read_as_it_is_drawn(desk: Page, phone: Page, hand: str) -> None:
    tab, pen = (desk, Mouse(desk)) if hand == "mouse" else (phone, finger(phone))
    tab.get_by_label("Number", exact=True).check()
    expect(tab.locator("h1")).to_have_text("Draw a number")
    pen.draw(strokes_of_number("0327"))
    expect(tab.locator("#text")).to_have_text("0327")
    assert tab.locator("#bars .figures").all_text_contents() == [*"0327"]


def test_there_is_an_answer_before_the_pen_is_lifted(desk: Page) -> None:
    box = desk.locator("#pad").bounding_box()
    assert box is not None
    desk.mouse.move(box["x"] + 200, box["y"] + 80)
    desk.mouse.down()
    desk.mouse.move(box["x"] + 200, box["y"] + 320, steps=12)
    expect(desk.locator("#text")).to_have_text("1")
    expect(desk.locator("#heard")).to_be_empty()  # whoever hears the page is told only what is finished
    desk.mouse.up()
    expect(desk.locator("#heard")).to_contain_text("1")


def test_strokes_are_taken_back_one_by_one_or_all_at_once(desk: Page) -> None:
    expect(desk.locator("#undo")).to_be_disabled()
    Mouse(desk).draw([*strokes_of(1, left=0.25), *strokes_of(0, left=0.5, height=0.5)])
    desk.locator("#undo").click()
    expect(desk.locator("#text")).to_have_text("1")
    desk.keyboard.press("Control+z")
    expect(desk.locator("#words")).to_contain_text("Nothing is written here")
    expect(desk.locator("#invite")).to_be_visible()
    Mouse(desk).draw(strokes_of(3))
    desk.locator("#clear").click()
    expect(desk.locator("#words")).to_contain_text("Nothing is written here")
    expect(desk.locator("#clear")).to_be_disabled()


def test_what_is_no_digit_is_said_to_be_none(desk: Page) -> None:
    zigzag = [(0.15 + 0.7 * (step % 2), 0.15 + step * 0.05) for step in range(15)]
    Mouse(desk).draw([zigzag, [(y, x) for x, y in zigzag]])
    expect(desk.locator("#words")).to_have_text("This is not a digit.")
    expect(desk.locator("#seen")).to_be_visible()
    expect(desk.locator("#bars .share").nth(9)).to_contain_text("%")


def test_the_pad_says_what_was_read_and_keeps_nothing(site: Running) -> None:
    with site.client() as client:
        before = client.get("/v1/readings").json()
        seven = client.post("/pad?as=digit", content=picture(7, size=140)).json()
        assert seven["text"] == "7"
        assert sum(seven["probabilities"]) == pytest.approx(1)
        assert _size(seven["seen"]) == (28, 28)
        number = client.post("/pad?as=number", content=picture(7, size=140)).json()
        assert len(number["digits"][0]["probabilities"]) == 10
        assert _size(number["seen"])[1] == 32
        blank = client.post("/pad?as=digit", content=encoded(Image.new("L", (140, 140), 255))).json()
        assert (blank["outcome"], blank["seen"], blank["probabilities"]) == ("blank", None, [])
        assert client.get("/v1/readings").json() == before


@pytest.mark.parametrize(
    ("address", "content", "status"),
    [
        ("/pad?as=digit", b"no picture", 413),
        ("/pad?as=digit", b"\x89PNG broken", 422),
        ("/pad?as=digit", bytes(300_000), 413),
        ("/pad?as=page", picture(), 422),
        ("/pad?as=digit", b"", 400),
    ],
)
def test_the_pad_refuses_what_nobody_drew(site: Running, address: str, content: bytes, status: int) -> None:
    with site.client() as client:
        assert client.post(address, content=content).status_code == status
        stranger = {"Provenance": "http://elsewhere.example"}
        assert client.post(address, content=content, headers=stranger).status_code == 403


def test_the_pad_asks_who_draws(tmp_path: Path) -> None:
    locked = create_app(settings(tmp_path, token=SecretStr("a token of sixteen")))
    asked = TestClient(locked, base_url="http://127.0.0.1").post("/pad?as=digit", content=picture())
    assert asked.status_code == 401


def test_a_page_is_shown_with_a_box_for_each_number(desk: Page) -> None:
    upload(desk, scores())
    assert numbers(desk).all_text_contents() == SCORES
    expect(desk.locator("#view .box text")).to_have_text(SCORES)
    before = _width(desk)
    desk.get_by_label("Larger").click()
    assert _width(desk) == pytest.approx(1.5 * before, rel=0.01)
    desk.locator(".viewer").hover()
    desk.keyboard.down("Control")
    desk.mouse.wheel(0, 400)
    desk.keyboard.up("Control")
    expect(desk.locator(".sheet")).to_have_css("width", f"{before:g}px")


def test_boxes_keep_the_order_of_reading_though_their_picture_comes_late(page: Page, site: Running) -> None:
    page.add_init_script(_LATE_PICTURES + _LINE_BY_LINE)
    page.goto(site.url)
    upload(page, scores())
    expect(page.locator("#view .box text")).to_have_text(SCORES)


_LATE_PICTURES = """
const later = (ms) => new Promise((done) => setTimeout(done, ms));
const { decode } = HTMLImageElement.prototype;
HTMLImageElement.prototype.decode = async function () {
  await decode.call(this);
  await later(300);
};
"""
_LINE_BY_LINE = """
const whole = window.fetch;
window.fetch = async (address, ...more) => {
  const answer = await whole(address, ...more);
  if (!String(address).startsWith("/v1/page")) return answer;
  const lines = (await answer.text()).split(/(?<=\\n)/);
  const pull = async (reader) => {
    await later(100);
    if (lines.length) reader.enqueue(new TextEncoder().encode(lines.shift()));
    else reader.close();
  };
  return new Response(new ReadableStream({ pull }), answer);
};
"""


def test_a_document_shows_each_page_as_it_was_kept(desk: Page) -> None:
    upload(desk, ("scan.tiff", "image/tiff", document(2)))
    assert numbers(desk).all_text_contents() == SCORES * 2
    expect(desk.locator("#list h3")).to_have_text(["scan.tiff, page 1", "scan.tiff, page 2"])
    expect(desk.locator(".sheet img")).to_have_attribute("src", _begins("/v1/pictures/"))
    desk.get_by_role("button", name="scan.tiff, page 2").click()
    expect(desk.locator(".sheet img")).to_have_attribute("alt", "scan.tiff, page 2")
    expect(desk.locator("#view .box")).to_have_count(len(SCORES))


def test_samples_are_one_click_away(desk: Page) -> None:
    for name, found in (("ZIP code", "60115"), ("Blank box", "–")):
        desk.get_by_role("button", name=name).click()
        expect(numbers(desk).last).to_have_text(found)
    expect(desk.locator("#told")).to_have_text("2 answers.")


def test_a_box_is_corrected_where_it_stands_and_the_correction_taken_back(desk: Page, site: Running) -> None:
    upload(desk, scores())
    desk.locator("#view .box .reach").nth(2).click()
    desk.locator(".sheet .correct input").fill("0046")
    desk.keyboard.press("Enter")
    expect(desk.locator("#view .box text").nth(2)).to_have_text("0046")
    expect(numbers(desk).nth(2)).to_have_text("0046")
    with site.client() as client:
        kept = client.get("/v1/readings?contains=0046").json()["readings"]
        assert [(one["text"], one["truth"]["text"]) for one in kept] == [("45", "0046")]
        desk.get_by_role("button", name="Undo").last.click()
        expect(numbers(desk).nth(2)).to_have_text("45")
        assert client.get(f"/v1/readings/{kept[0]['id']}").json()["truth"] is None


def test_everything_can_be_corrected_by_keyboard(desk: Page) -> None:
    upload(desk, scores())
    desk.locator("#view .box").first.focus()
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        desk.keyboard.press(key)
    expect(desk.locator(".sheet .correct input")).to_have_value("45")
    desk.keyboard.press("Escape")
    expect(desk.locator("#view .box").nth(2)).to_be_focused()
    desk.locator("#list .reading").nth(1).focus()
    desk.keyboard.press("Enter")
    desk.keyboard.type("word")
    desk.keyboard.press("Enter")
    expect(desk.locator("#list .correct input:invalid")).to_be_focused()
    desk.locator("#list .correct").get_by_role("button", name="No number").click()
    expect(desk.locator("#list .reading").nth(1)).to_contain_text("by you")
    expect(desk.locator("#list .reading").nth(1)).to_be_focused()


_HAND_OVER = """([kind, content]) => {
  const one = new DataTransfer();
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  one.items.add(new File([bytes], `${kind}.png`, { type: "image/png" }));
  const dropped = new DragEvent("drop", { dataTransfer: one, bubbles: true, cancelable: true });
  const pasted = new ClipboardEvent("paste", { clipboardData: one, bubbles: true });
  document.body.dispatchEvent(kind === "drop" ? dropped : pasted);
}"""


def test_files_are_taken_that_are_dropped_or_pasted(desk: Page) -> None:
    desk.get_by_label("a digit", exact=True).check()
    for kind, digit in (("drop", 7), ("paste", 1)):
        desk.evaluate(_HAND_OVER, [kind, base64.b64encode(picture(digit, size=56)).decode()])
        expect(numbers(desk).last).to_have_text(str(digit))
    expect(desk.locator("#list h3")).to_have_text(["drop.png", "paste.png"])


def test_a_photo_is_taken_and_read(desk: Page) -> None:
    desk.locator("#photograph").click()
    expect(desk.locator("dialog video")).to_have_js_property("readyState", 4)
    desk.get_by_role("button", name="Take").click()
    expect(desk.locator("dialog")).to_be_hidden()
    expect(desk.locator("#results")).to_contain_text("photo-")


def test_without_a_camera_the_reason_is_said_and_a_photo_is_asked_for(desk: Page) -> None:
    desk.get_by_label("a digit", exact=True).check()
    desk.evaluate("Object.defineProperty(navigator, 'mediaDevices', { value: undefined })")  # as over plain http
    desk.locator("#photograph").click()
    expect(desk.locator("#no-camera")).to_contain_text("only to pages over https")
    with desk.expect_file_chooser() as chooser:
        desk.get_by_role("button", name="Choose a photo").click()
    chooser.value.set_files([{"name": "seven.png", "mimeType": "image/png", "buffer": picture(7)}])
    expect(numbers(desk)).to_have_text("7")


def test_what_was_read_is_exported_safely(desk: Page) -> None:
    desk.get_by_label("a digit", exact=True).check()
    upload(desk, ("=cmd|'/C calc'!A0.png", "image/png", picture(7)), ("b.png", "image/png", picture(1)))
    desk.locator("#list .reading").nth(1).click()
    desk.locator(".correct input").fill("07")
    desk.keyboard.press("Enter")
    expect(numbers(desk).nth(1)).to_have_text("07")
    csv = _downloaded(desk, "#csv")
    header, first, second = csv.decode().splitlines()
    assert header.split(",")[2:7] == ["source", "page", "outcome", "text", "confidence"]
    assert first.split(",")[2:6] == ["'=cmd|'/C calc'!A0.png", "0", "read", "7"]
    assert second.split(",")[7:9] == ["read", "07"]
    lines = [json.loads(line) for line in _downloaded(desk, "#jsonl").splitlines()]
    assert [line["text"] for line in lines] == ["7", "1"]
    assert lines[1]["truth"] == {"text": "07", "outcome": "read"}


def test_a_hostile_name_is_shown_as_text(desk: Page) -> None:
    hostile = "<img src=x onerror=alert(1)>.png"
    desk.get_by_label("a digit", exact=True).check()
    upload(desk, (hostile, "image/png", picture(7)))
    expect(desk.locator("#list h3")).to_have_text(hostile)
    expect(desk.locator(".sheet img")).to_have_attribute("alt", hostile)


def test_what_cannot_be_read_is_told_and_the_rest_is_read(browser: Browser, site: Running) -> None:
    with browser.new_page() as tab:
        tab.goto(site.url)
        bare = encoded(Image.new("L", (300, 200), 255))
        upload(tab, ("cut.png", "image/png", bare[:60]), ("bare.png", "image/png", bare), scores())
        told = tab.locator("#refusals .refusal")
        expect(told.nth(0)).to_contain_text("cut.png: is truncated or damaged")
        expect(told.nth(1)).to_have_text("bare.png: no number was found on it.")
        assert numbers(tab).all_text_contents() == SCORES


def test_a_long_work_is_cancelled_and_what_was_read_stands(desk: Page) -> None:
    desk.locator("#files").set_input_files(
        [{"name": "long.tiff", "mimeType": "image/tiff", "buffer": document(12)}]  # type: ignore[list-item]
    )
    expect(numbers(desk)).not_to_have_count(0)
    expect(desk.locator("#progress")).to_be_visible()
    desk.locator("#cancel").click()
    expect(desk.locator("#work")).to_be_hidden()
    expect(desk.locator("#refusals")).to_contain_text("long.tiff: cancelled")
    assert 0 < numbers(desk).count() < 12 * len(SCORES)
    desk.locator("#forget").click()
    expect(desk.locator("#results")).to_be_hidden()


def test_everybody_can_use_it_with_an_answer_and_readings_on_it(desk: Page) -> None:
    Mouse(desk).draw(strokes_of(4))
    expect(desk.locator("#text")).to_have_text("4")
    upload(desk, scores())
    desk.locator("#view .box .reach").first.click()
    for scheme in ("light", "dark"):
        desk.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        check_accessible(desk)
    check_narrow(desk)


def test_where_nothing_is_kept_nothing_can_be_corrected(browser: Browser, tmp_path: Path) -> None:
    with running(tmp_path, HANDIGIT_KEEP_READINGS="false") as server, browser.new_page() as tab:
        tab.goto(server.url)
        upload(tab, ("scan.tiff", "image/tiff", document(1)))
        assert numbers(tab).all_text_contents() == SCORES
        expect(tab.locator("#view")).to_be_hidden()  # browsers cannot show a TIFF
        tab.locator("#list .reading").first.click()
        expect(tab.locator(".correct")).to_have_count(0)
        expect(tab.locator("#csv")).to_be_hidden()  # only the server makes cells safe
        lines = [json.loads(line) for line in _downloaded(tab, "#jsonl").splitlines()]
        assert [line["text"] for line in lines] == SCORES


# The scripts' logic, module by module, in the browser that runs it.


def test_many_readings_are_exported_piece_by_piece_in_their_order(desk: Page) -> None:
    asked: list[int] = []

    def answer(route: Route) -> None:
        numbers = [int(one) for one in parse_qs(urlparse(route.request.url).query)["number"]]
        asked.append(len(route.request.url))
        route.fulfill(body="".join(f"{one}\r\n" for one in ["id", *reversed(numbers)]))

    desk.route("**/v1/readings/export?*", answer)
    with desk.expect_download() as download:
        desk.evaluate(
            """async () => {
              const { save } = await import("/static/export.js");
              await save(Array.from({ length: 1000 }, (_, i) => ({ id: 10_000_000 + i })), "csv");
            }"""
        )
    numbers = [str(10_000_000 + i) for i in range(1000)]
    assert Path(download.value.path()).read_text().split() == ["id", *numbers]
    assert len(asked) == 3
    assert max(asked) < 8_000


def test_only_the_newest_answer_counts(desk: Page) -> None:
    found = desk.evaluate(
        """async () => {
          const { Latest } = await import("/static/latest.js");
          const [waiting, told] = [[], []];
          const ask = (signal) => new Promise((done) => waiting.push({ done, signal }));
          const tell = (one) => told.push(one);
          const latest = new Latest(ask, { onAnswer: tell, onRefusal: tell, pauseMs: 1 });
          const first = latest.now();
          const second = latest.now();
          waiting[1].done("new");
          waiting[0].done("old");
          await Promise.all([first, second]);
          latest.now();
          latest.stop();
          return { told, aborted: waiting.map(({ signal }) => signal.aborted) };
        }"""
    )
    assert found == {"told": ["new"], "aborted": [True, False, True]}


def test_a_line_goes_through_both_its_ends_and_swells_with_pressure(desk: Page) -> None:
    found = desk.evaluate(
        """async () => {
          const { pieces, swell, Strokes } = await import("/static/strokes.js");
          const strokes = new Strokes();
          strokes.begin(0.1, [0, 0, null]);
          for (const x of [0.5, 0.5, 1]) strokes.add([x, 0, null]);
          const curves = [];
          const tell = (...ends) => curves.push(ends);
          const context = { quadraticCurveTo: tell };
          for (const deed of ["beginPath", "arc", "fill", "moveTo", "stroke"]) context[deed] = () => {};
          strokes.paint(context, 1, "black");
          const undone = [strokes.undo(), strokes.undo()];
          const bent = pieces([[0, 0, 1], [2, 2, 2], [4, 0, 3]]);
          return { pieces: bent, swell: [null, 0, 0.5, 1].map(swell), curves: curves.length, undone };
        }"""
    )
    assert found["pieces"] == [
        {"from": [0, 0], "over": [2, 2], "to": [3, 1], "width": 2},
        {"from": [3, 1], "over": [4, 0], "to": [4, 0], "width": 3},
    ]
    assert found["swell"] == [1, 0.5, 1, 1.5]
    assert found["curves"] == 2  # over three points: one came twice
    assert found["undone"] == [True, False]


def test_boxes_keep_what_is_under_the_pointer_and_small_pictures_small(desk: Page) -> None:
    found = desk.evaluate(
        """async () => {
          const { scrolled, fittingWidth, labelPlace } = await import("/static/boxes.js");
          return [scrolled(100, 50, 2), fittingWidth(100, 700), fittingWidth(4000, 700),
            labelPlace([10, 40, 50, 60], 1), labelPlace([10, 4, 50, 60], 1)];
        }"""
    )
    assert found == [250, 300, 700, [10, 35], [10, 77]]


def _begins(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text))


def _size(address: str) -> tuple[int, int]:
    return Image.open(BytesIO(base64.b64decode(address.partition(",")[2]))).size


def _width(tab: Page) -> float:
    return float(tab.locator(".sheet").evaluate("(sheet) => sheet.getBoundingClientRect().width"))


def _downloaded(tab: Page, button: str) -> bytes:
    with tab.expect_download() as download:
        tab.locator(button).click()
    return Path(download.value.path()).read_bytes()
