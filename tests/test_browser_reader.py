"""The reader in the browser agrees with Python, on files, and keeps to its own contract."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from bench.browser.parity import compare
from bench.browser.pictures import picture_files
from bench.browser.site import reader_site
from browsing import browser as browser
from handigit import Reader

pytestmark = pytest.mark.browser
MIN_SAME = 0.95
MIN_CONSISTENT = 0.995
EVERY_NTH = 8


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(threads=1)


@pytest.fixture(scope="module")
def page(browser: Browser, reader: Reader, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with reader_site(tmp_path_factory.mktemp("site"), reader) as address:
        tab = browser.new_page()
        tab.goto(address)
        yield tab
        tab.close()


def test_a_picture_of_every_kind_has_the_same_answer_as_in_python(page: Page, reader: Reader) -> None:
    results = compare(page, reader, picture_files()[::EVERY_NTH])
    assert [str(result) for result in results if result.contradicts or (result.is_same and result.is_distant)] == []
    assert sum(result.is_same for result in results) >= MIN_SAME * len(results)


@pytest.mark.slow
def test_all_pictures_have_the_same_answers_as_in_python(page: Page, reader: Reader) -> None:
    results = compare(page, reader, picture_files())
    assert len(results) >= 300
    different = [str(result) for result in results if not result.is_same]
    assert len(different) <= (1 - MIN_SAME) * len(results), "\n".join(different)
    contradictions = [str(result) for result in results if result.contradicts]
    assert len(contradictions) <= (1 - MIN_CONSISTENT) * len(results), "\n".join(contradictions)
    distant = [str(result) for result in results if result.is_same and result.is_distant]
    assert len(distant) <= (1 - MIN_CONSISTENT) * len(results), "\n".join(distant)


def test_a_blank_canvas_is_blank_and_pixels_are_read_like_files(page: Page) -> None:
    answers = page.evaluate("""async () => {
      const { Reader } = await import("/handigit/handigit.js");
      const reader = new Reader({ models: "/models/" });
      const blank = new OffscreenCanvas(90, 60);
      const context = blank.getContext("2d");
      context.fillStyle = "#fff";
      context.fillRect(0, 0, 90, 60);
      const pixels = context.getImageData(0, 0, 90, 60);
      const answers = await Promise.all([reader.digit(blank), reader.number(blank), reader.digit(pixels)]);
      return answers.map(({ outcome }) => outcome);
    }""")
    assert answers == ["blank", "blank", "blank"]


def test_a_missing_model_and_a_broken_picture_are_errors_with_a_reason(page: Page) -> None:
    messages = page.evaluate("""async () => {
      const { Reader } = await import("/handigit/handigit.js");
      const failure = (work) => work.then(() => null, (error) => `${error.name}: ${error.message}`);
      const elsewhere = new Reader({ models: "/nowhere/" });
      const canvas = new OffscreenCanvas(60, 60);
      const context = canvas.getContext("2d");
      context.fillStyle = "#fff";
      context.fillRect(0, 0, 60, 60);
      context.fillStyle = "#000";
      context.fillRect(27, 10, 6, 40);
      const here = new Reader({ models: "/models/" });
      let range = null;
      try { new Reader({ models: "/models/", targetError: 2 }); } catch (error) { range = error.message; }
      return [await failure(elsewhere.digit(canvas)), await failure(here.digit(new Blob(["nonsense"]))), range];
    }""")
    assert "digit.onnx: the server answered 404" in messages[0]
    assert "InvalidStateError" in messages[1]
    assert "targetError = 2 is not between 0 and 1" in messages[2]


def test_the_package_has_one_copy_of_the_runtime_with_its_licence() -> None:
    from handigit.web.pages.layout import STATIC

    runtime = STATIC / "handigit" / "ort"
    assert (runtime / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")
    notice = Path(__file__).parents[1].joinpath("NOTICE").read_text(encoding="utf-8")
    assert "ONNX Runtime Web" in notice
