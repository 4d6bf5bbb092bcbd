"""The first page in a browser: drawing, files, corrections, exports."""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest
from fastapi.testclient import TestClient
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Route, expect
from pydantic import SecretStr

from browsing import PATIENCE_MS, PHONE, check_accessible, check_narrow, watched
from drawing import Finger, Mouse, strokes_of, strokes_of_number
from handigit.web.app import create_app
from serving import Running, encoded, picture, running, settings

pytestmark = pytest.mark.browser
SAMPLES = Path(__file__).parents[1] / "samples"
SCORES = ["87", "92", "45", "100", "73", "68", "9"]


@pytest.fixture
def desktop(page: Page, site: Running) -> Page:
    """The first page in a desktop window."""
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
    """Upload files (name, type, content) and wait until all are read."""
    payloads = [{"name": name, "mimeType": kind, "buffer": content} for name, kind, content in files]
    tab.locator("#files").set_input_files(payloads)  # type: ignore[arg-type]
    expect(tab.locator("#work")).to_be_hidden(timeout=2 * PATIENCE_MS)


def numbers(tab: Page) -> Locator:
    """The values in the list of results."""
    return tab.locator("#list .reading b")


def scores() -> tuple[str, str, bytes]:
    return "scores.jpg", "image/jpeg", (SAMPLES / "pages" / "scores-on-squared-paper.jpg").read_bytes()


def document(pages: int) -> bytes:
    """A TIFF that repeats the page of scores."""
    scan = Image.open(SAMPLES / "pages" / "scores-on-squared-paper.jpg").convert("L")
    return encoded(scan, "TIFF", save_all=True, append_images=[scan] * (pages - 1))


def tab_and_pen(request: pytest.FixtureRequest, hand: str) -> tuple[Page, Mouse | Finger]:
    """A desktop with a mouse, or a phone with a finger; the other one is not opened."""
    if hand == "mouse":
        desktop: Page = request.getfixturevalue("desktop")
        return desktop, Mouse(desktop)
    phone: Page = request.getfixturevalue("phone")
    return phone, finger(phone)


@pytest.mark.parametrize(("hand", "digits"), [("mouse", range(10)), ("finger", (1, 7))])
def test_digits_are_read_as_they_are_drawn(request: pytest.FixtureRequest, hand: str, digits: Iterable[int]) -> None:
    tab, pen = tab_and_pen(request, hand)
    for digit in digits:
        pen.draw(strokes_of(digit))
        expect(tab.locator("#text")).to_have_text(str(digit))
        expect(tab.locator("#announcement")).to_contain_text(f"{digit} (")
        expect(tab.locator("#bars .best .figures")).to_have_text(str(digit))
        expect(tab.locator("#model-input")).to_have_attribute("src", _begins("data:image/png;base64,"))
        tab.locator("#clear").click()
    assert tab.evaluate("scrollY") == 0 or hand == "mouse"


@pytest.mark.parametrize("hand", ["mouse", "finger"])
def test_a_number_is_read_as_it_is_drawn(request: pytest.FixtureRequest, hand: str) -> None:
    tab, pen = tab_and_pen(request, hand)
    tab.get_by_label("Number", exact=True).check()
    pen.draw(strokes_of_number("0327"))
    expect(tab.locator("#text")).to_have_text("0327")
    expect(tab.locator("#bars .figures")).to_have_text([*"0327"])


def test_there_is_an_answer_before_the_pen_is_lifted(desktop: Page) -> None:
    box = desktop.locator("#pad").bounding_box()
    assert box is not None
    desktop.mouse.move(box["x"] + 200, box["y"] + 60)
    desktop.mouse.down()
    desktop.mouse.move(box["x"] + 200, box["y"] + 300, steps=12)
    expect(desktop.locator("#text")).to_have_text("1")
    expect(desktop.locator("#announcement")).to_be_empty()  # screen readers hear only final answers
    desktop.mouse.up()
    expect(desktop.locator("#announcement")).to_contain_text("1")


def test_strokes_are_taken_back_one_by_one_or_all_at_once(desktop: Page) -> None:
    expect(desktop.locator("#undo")).to_be_disabled()
    Mouse(desktop).draw([*strokes_of(1, left=0.25), *strokes_of(0, left=0.5, height=0.5)])
    desktop.locator("#undo").click()
    expect(desktop.locator("#text")).to_have_text("1")
    desktop.keyboard.press("Control+z")
    expect(desktop.locator("#words")).to_contain_text("It is read as you draw")
    expect(desktop.locator("#placeholder")).to_be_visible()
    Mouse(desktop).draw(strokes_of(3))
    desktop.locator("#clear").click()
    expect(desktop.locator("#words")).to_contain_text("It is read as you draw")
    expect(desktop.locator("#clear")).to_be_disabled()


def test_a_scribble_is_never_read(desktop: Page) -> None:
    zigzag = [(0.15 + 0.7 * (step % 2), 0.15 + step * 0.05) for step in range(15)]
    Mouse(desktop).draw([zigzag, [(y, x) for x, y in zigzag]])
    expect(desktop.locator("#words")).to_have_text(re.compile(r"This is not a digit\.|Please check\."))
    expect(desktop.locator("#model-input")).to_be_visible()
    expect(desktop.locator("#bars .share").nth(9)).to_contain_text("%")


def test_the_pad_stores_nothing(site: Running) -> None:
    with site.client() as client:
        before = client.get("/v1/readings").json()
        seven = client.post("/pad?as=digit", content=picture(7, size=140)).json()
        assert seven["text"] == "7"
        assert sum(seven["probabilities"]) == pytest.approx(1, abs=1e-5)  # each has six decimals
        assert _size(seven["seen"]) == (28, 28)
        number = client.post("/pad?as=number", content=picture(7, size=140)).json()
        assert len(number["digits"][0]["probabilities"]) == 10
        assert _size(number["seen"])[1] == 48
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
def test_the_pad_refuses_bad_requests(site: Running, address: str, content: bytes, status: int) -> None:
    with site.client() as client:
        assert client.post(address, content=content).status_code == status
        stranger = {"Origin": "http://elsewhere.example"}
        assert client.post(address, content=content, headers=stranger).status_code == 403


def test_the_pad_requires_sign_in(tmp_path: Path) -> None:
    locked = create_app(settings(tmp_path, token=SecretStr("a token of sixteen")))
    asked = TestClient(locked, base_url="http://127.0.0.1").post("/pad?as=digit", content=picture())
    assert asked.status_code == 401


def test_a_page_is_shown_with_a_box_for_each_number(desktop: Page) -> None:
    upload(desktop, scores())
    expect(numbers(desktop)).to_have_text(SCORES)
    expect(desktop.locator("#view .box text")).to_have_text(SCORES)
    before = _width(desktop)
    desktop.get_by_label("Larger").click()
    desktop.wait_for_function(
        "width => Math.abs(document.querySelector('.sheet').getBoundingClientRect().width - width) < width / 100",
        arg=1.5 * before,
    )
    desktop.locator(".viewer").hover()
    desktop.keyboard.down("Control")
    desktop.mouse.wheel(0, 400)
    desktop.keyboard.up("Control")
    expect(desktop.locator(".sheet")).to_have_css("width", f"{before:g}px")


def test_boxes_keep_reading_order_when_the_picture_loads_late(page: Page, site: Running) -> None:
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


def test_a_document_shows_each_stored_page(desktop: Page) -> None:
    upload(desktop, ("scan.tiff", "image/tiff", document(2)))
    expect(numbers(desktop)).to_have_text(SCORES * 2)
    expect(desktop.locator("#list h3")).to_have_text(["scan.tiff, page 1", "scan.tiff, page 2"])
    expect(desktop.locator(".sheet img")).to_have_attribute("src", _begins("/v1/pictures/"))
    desktop.get_by_role("button", name="scan.tiff, page 2").click()
    expect(desktop.locator(".sheet img")).to_have_attribute("alt", "scan.tiff, page 2")
    expect(desktop.locator("#view .box")).to_have_count(len(SCORES))


def test_samples_are_one_click_away(desktop: Page) -> None:
    for name, found in (("ZIP code", "60115"), ("Blank box", "–")):
        desktop.get_by_role("button", name=name).click()
        expect(numbers(desktop).last).to_have_text(found)
    expect(desktop.locator("#status")).to_have_text(re.compile("^2 numbers found"))


def test_a_box_is_corrected_in_place_and_the_correction_undone(desktop: Page, site: Running) -> None:
    upload(desktop, scores())
    desktop.locator("#view .box .hit-area").nth(2).click()
    desktop.locator(".sheet .correct input").fill("0046")
    desktop.keyboard.press("Enter")
    expect(desktop.locator("#view .box text").nth(2)).to_have_text("0046")
    expect(numbers(desktop).nth(2)).to_have_text("0046")
    with site.client() as client:
        kept = client.get("/v1/readings?contains=0046").json()["readings"]
        assert [(one["text"], one["truth"]["text"]) for one in kept] == [("45", "0046")]
        desktop.get_by_role("button", name="Undo").last.click()
        expect(numbers(desktop).nth(2)).to_have_text("45")
        assert client.get(f"/v1/readings/{kept[0]['id']}").json()["truth"] is None


def test_everything_can_be_corrected_by_keyboard(desktop: Page) -> None:
    upload(desktop, scores())
    desktop.locator("#view .box").first.focus()
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        desktop.keyboard.press(key)
    expect(desktop.locator(".sheet .correct input")).to_have_value("45")
    desktop.keyboard.press("Escape")
    expect(desktop.locator("#view .box").nth(2)).to_be_focused()
    desktop.locator("#list .reading").nth(1).focus()
    desktop.keyboard.press("Enter")
    expect(desktop.locator("#list .correct input")).to_be_focused()
    desktop.keyboard.type("word")
    desktop.keyboard.press("Enter")
    expect(desktop.locator("#list .correct input:invalid")).to_be_focused()
    desktop.locator("#list .correct").get_by_role("button", name="Not a number").click()
    expect(desktop.locator("#list .reading").nth(1)).to_contain_text("corrected")
    expect(desktop.locator("#list .reading").nth(1)).to_be_focused()


_HAND_OVER = """([kind, content]) => {
  const one = new DataTransfer();
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  one.items.add(new File([bytes], `${kind}.png`, { type: "image/png" }));
  const dropped = new DragEvent("drop", { dataTransfer: one, bubbles: true, cancelable: true });
  const pasted = new ClipboardEvent("paste", { clipboardData: one, bubbles: true });
  document.body.dispatchEvent(kind === "drop" ? dropped : pasted);
}"""


def test_files_can_be_dropped_or_pasted(desktop: Page) -> None:
    desktop.get_by_label("one digit", exact=True).check()
    for kind, digit in (("drop", 7), ("paste", 1)):
        desktop.evaluate(_HAND_OVER, [kind, base64.b64encode(picture(digit, size=56)).decode()])
        expect(numbers(desktop).last).to_have_text(str(digit))
    expect(desktop.locator("#list h3")).to_have_text(["drop.png", "paste.png"])


def test_a_photo_is_taken_and_read(desktop: Page) -> None:
    desktop.locator("#photograph").click()
    expect(desktop.locator("dialog video")).to_have_js_property("readyState", 4)
    desktop.get_by_role("button", name="Take photo").click()
    expect(desktop.locator("dialog")).to_be_hidden()
    expect(desktop.locator("#results")).to_contain_text("photo-")


def test_without_a_camera_the_reason_is_shown_and_a_photo_chosen(desktop: Page) -> None:
    desktop.get_by_label("one digit", exact=True).check()
    desktop.evaluate("Object.defineProperty(navigator, 'mediaDevices', { value: undefined })")  # as over plain http
    desktop.locator("#photograph").click()
    expect(desktop.locator("#no-camera")).to_contain_text("only over https")
    with desktop.expect_file_chooser() as chooser:
        desktop.get_by_role("button", name="Choose a photo").click()
    chooser.value.set_files([{"name": "seven.png", "mimeType": "image/png", "buffer": picture(7)}])
    expect(numbers(desktop)).to_have_text("7")


def test_results_are_exported_without_formulas(desktop: Page) -> None:
    desktop.get_by_label("one digit", exact=True).check()
    upload(desktop, ("=cmd|'/C calc'!A0.png", "image/png", picture(7)), ("b.png", "image/png", picture(1)))
    desktop.locator("#list .reading").nth(1).click()
    desktop.locator(".correct input").fill("07")
    desktop.keyboard.press("Enter")
    expect(numbers(desktop).nth(1)).to_have_text("07")
    csv = _downloaded(desktop, "#csv")
    header, first, second = csv.decode().splitlines()
    assert header.split(",")[:5] == ["source", "page", "place", "value", "outcome"]
    assert first.split(",")[:4] == ["'=cmd|'/C calc'!A0.png", "1", "1", "7"]
    assert second.split(",")[3:5] == ["07", "read"]
    lines = [json.loads(line) for line in _downloaded(desktop, "#jsonl").splitlines()]
    assert [line["text"] for line in lines] == ["7", "1"]
    assert lines[1]["truth"]["text"] == "07"


def test_a_hostile_name_is_shown_as_text(desktop: Page) -> None:
    hostile = "<img src=x onerror=alert(1)>.png"
    desktop.get_by_label("one digit", exact=True).check()
    upload(desktop, (hostile, "image/png", picture(7)))
    expect(desktop.locator("#list h3")).to_have_text(hostile)
    expect(desktop.locator(".sheet img")).to_have_attribute("alt", hostile)


def test_unreadable_files_are_reported_and_the_rest_is_read(browser: Browser, site: Running) -> None:
    with browser.new_page() as tab:
        tab.goto(site.url)
        tab.get_by_label("many numbers", exact=True).check()
        bare = encoded(Image.new("L", (300, 200), 255))
        upload(tab, ("cut.png", "image/png", bare[:60]), ("bare.png", "image/png", bare), scores())
        errors = tab.locator("#errors .error")
        expect(errors.nth(0)).to_contain_text("cut.png: is truncated or damaged")
        expect(errors.nth(1)).to_contain_text("bare.png: No number found. Is the whole page in view and well lit?")
        expect(numbers(tab)).to_have_text(SCORES)


def test_reading_can_be_cancelled_and_results_are_kept(page: Page, site: Running) -> None:
    page.add_init_script(_ONE_LINE_UNTIL_CANCELLED)
    page.goto(site.url)
    page.get_by_label("many numbers", exact=True).check()
    page.locator("#files").set_input_files(
        [{"name": "long.tiff", "mimeType": "image/tiff", "buffer": document(2)}]  # type: ignore[list-item]
    )
    expect(numbers(page)).to_have_text(SCORES[:1])
    expect(page.locator("#progress")).to_be_visible()
    page.locator("#cancel").click()
    expect(page.locator("#work")).to_be_hidden()
    expect(page.locator("#errors")).to_contain_text("long.tiff: cancelled")
    expect(numbers(page)).to_have_text(SCORES[:1])
    page.locator("#clear-results").click()
    expect(page.locator("#results")).to_be_hidden()


_ONE_LINE_UNTIL_CANCELLED = """
const whole = window.fetch;
window.fetch = async (address, options) => {
  const answer = await whole(address, options);
  if (!String(address).startsWith("/v1/page")) return answer;
  const [first] = (await answer.text()).split(/(?<=\\n)/);
  const start = (reader) => {
    reader.enqueue(new TextEncoder().encode(first));
    options.signal.addEventListener("abort", () => reader.error(options.signal.reason));
  };
  return new Response(new ReadableStream({ start }), answer);
};
"""


def test_the_page_is_accessible_with_an_answer_and_results(desktop: Page) -> None:
    Mouse(desktop).draw(strokes_of(4))
    expect(desktop.locator("#text")).to_have_text("4")
    upload(desktop, scores())
    desktop.locator("#view .box .hit-area").first.click()
    for scheme in ("light", "dark"):
        desktop.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        check_accessible(desktop)
    check_narrow(desktop)


def test_without_a_store_nothing_can_be_corrected(browser: Browser, tmp_path: Path) -> None:
    with running(tmp_path, HANDIGIT_KEEP_READINGS="false") as server, browser.new_page() as tab:
        tab.goto(server.url)
        upload(tab, ("scan.tiff", "image/tiff", document(1)))
        expect(numbers(tab)).to_have_text(SCORES)
        expect(tab.locator("#view")).to_be_hidden()  # browsers cannot show a TIFF
        tab.locator("#list .reading").first.click()
        expect(tab.locator(".correct")).to_have_count(0)
        expect(tab.locator("#csv")).to_be_hidden()  # only the server escapes formulas
        lines = [json.loads(line) for line in _downloaded(tab, "#jsonl").splitlines()]
        assert [line["text"] for line in lines] == SCORES


# Script modules, tested in the browser.


def test_many_readings_are_exported_in_chunks_and_in_order(desktop: Page) -> None:
    asked: list[int] = []

    def answer(route: Route) -> None:
        numbers = [int(text) for text in parse_qs(urlparse(route.request.url).query)["number"]]
        asked.append(len(route.request.url))
        route.fulfill(body="".join(f"{one}\r\n" for one in ["id", *numbers]))

    desktop.route("**/v1/readings/export?*", answer)
    with desktop.expect_download() as download:
        desktop.evaluate(
            """async () => {
              const { download } = await import("/static/export.js");
              await download(Array.from({ length: 1000 }, (_, i) => ({ id: 10_000_000 + i })), "csv");
            }"""
        )
    numbers = [str(10_000_000 + i) for i in range(1000)]
    assert Path(download.value.path()).read_text().split() == ["id", *numbers]
    assert len(asked) == 3
    assert max(asked) < 8_000


def test_only_the_newest_answer_counts(desktop: Page) -> None:
    found = desktop.evaluate(
        """async () => {
          const { LatestRequest } = await import("/static/latest_request.js");
          const [waiting, shown] = [[], []];
          const ask = (signal) => new Promise((done) => waiting.push({ done, signal }));
          const tell = (one) => shown.push(one);
          const latest = new LatestRequest(ask, { onAnswer: tell, onError: tell, pauseMs: 1 });
          const first = latest.now();
          const second = latest.now();
          waiting[1].done("new");
          waiting[0].done("old");
          await Promise.all([first, second]);
          latest.now();
          latest.stop();
          return { shown, aborted: waiting.map(({ signal }) => signal.aborted) };
        }"""
    )
    assert found == {"shown": ["new"], "aborted": [True, False, True]}


def test_a_line_goes_through_both_its_ends_and_swells_with_pressure(desktop: Page) -> None:
    found = desktop.evaluate(
        """async () => {
          const { quadraticCurves, pressureFactor, Strokes } = await import("/static/strokes.js");
          const strokes = new Strokes();
          strokes.begin(0.1, [0, 0, null]);
          for (const x of [0.5, 0.5, 1]) strokes.add([x, 0, null]);
          const curves = [];
          const tell = (...ends) => curves.push(ends);
          const context = { quadraticCurveTo: tell };
          for (const deed of ["beginPath", "arc", "fill", "moveTo", "stroke"]) context[deed] = () => {};
          strokes.paint(context, 1, "black");
          const undone = [strokes.undo(), strokes.undo()];
          const bent = quadraticCurves([[0, 0, 1], [2, 2, 2], [4, 0, 3]]);
          return { pieces: bent, swell: [null, 0, 0.5, 1].map(pressureFactor), curves: curves.length, undone };
        }"""
    )
    assert found["pieces"] == [
        {"from": [0, 0], "control": [2, 2], "to": [3, 1], "width": 2},
        {"from": [3, 1], "control": [4, 0], "to": [4, 0], "width": 3},
    ]
    assert found["swell"] == [1, 0.5, 1, 1.5]
    assert found["curves"] == 2  # over three points: one came twice
    assert found["undone"] == [True, False]


def test_zoom_keeps_the_point_under_the_pointer(desktop: Page) -> None:
    found = desktop.evaluate(
        """async () => {
          const { scrollAfterZoom, initialWidth, labelPosition } = await import("/static/boxes.js");
          return [scrollAfterZoom(100, 50, 2), initialWidth(100, 700), initialWidth(4000, 700),
            labelPosition([10, 40, 50, 60], 1), labelPosition([10, 4, 50, 60], 1)];
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
