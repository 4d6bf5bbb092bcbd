"""The first page without a network: it opens, reads on the device, and sends kept drawings later, each once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, Page, Route, expect

from browsing import browser as browser
from browsing import check_accessible, check_narrow
from browsing import site as site
from drawing import Mouse, strokes_of, strokes_of_number, wait_for_answer
from handigit.read.engine import EMBEDDED
from handigit.web.app import create_app
from serving import Running, settings

pytestmark = pytest.mark.browser
KEPT = "This page also works without a network."


@pytest.fixture
def tab(browser: Browser, site: Running) -> Iterator[Page]:
    """The first page, kept on a device of its own."""
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    page = context.new_page()
    page.goto(site.url)
    page.get_by_role("button", name="Use without a network").click()
    expect(page.locator("#offline-status")).to_contain_text(KEPT, timeout=40_000)
    yield page
    context.close()


def stored(site: Running) -> list[str]:
    """The file names of all drawings in the store."""
    with site.client() as client:
        readings = client.get("/v1/readings", params={"source": "drawing-"}).json()["readings"]
    return [reading["source"] for reading in readings]


def test_the_page_opens_and_reads_without_a_network(tab: Page) -> None:
    tab.context.set_offline(True)
    tab.reload()
    Mouse(tab).draw(strokes_of(5))
    expect(tab.locator("#words")).to_contain_text("Read on this device")
    expect(tab.locator("#text")).to_have_text("5")
    expect(tab.locator("#bars .best .figures")).to_have_text("5")
    tab.locator("#clear").click()
    tab.get_by_label("Number", exact=True).check()
    Mouse(tab).draw(strokes_of_number("0327"))
    expect(tab.locator("#text")).to_have_text("0327")
    expect(tab.locator("#bars .figures")).to_have_text([*"0327"])


def test_a_kept_drawing_is_sent_once_when_the_network_is_back(tab: Page, site: Running) -> None:
    before = len(stored(site))
    tab.context.set_offline(True)
    Mouse(tab).draw(strokes_of(3))
    wait_for_answer(tab)
    expect(tab.locator("#words")).to_contain_text("Read on this device")
    tab.locator("#wrong").click()
    tab.locator("#pad-correction input").fill("8")
    tab.locator("#pad-correction .primary").click()
    expect(tab.locator("#toast")).to_contain_text("Kept on this device")
    expect(tab.locator("#offline-status")).to_contain_text("1 drawing will be sent")
    tab.context.set_offline(False)
    expect(tab.locator("#offline-status")).to_have_text(KEPT)
    assert len(stored(site)) == before + 1
    with site.client() as client:
        newest = client.get("/v1/readings", params={"source": "drawing-"}).json()["readings"][0]
    assert newest["truth"]["text"] == "8"
    tab.reload()
    expect(tab.locator("#offline-status")).to_have_text(KEPT)
    assert len(stored(site)) == before + 1


def test_a_drawing_whose_answer_was_lost_is_not_stored_again(tab: Page, site: Running) -> None:
    before = len(stored(site))

    def lose_the_answer(route: Route) -> None:
        route.fetch()
        route.abort()

    Mouse(tab).draw(strokes_of(7))
    wait_for_answer(tab)
    expect(tab.locator("#text")).to_have_text("7")
    tab.route("**/v1/digit*", lose_the_answer)
    tab.locator("#keep").click()
    expect(tab.locator("#toast")).to_contain_text("Kept on this device")
    assert len(stored(site)) == before + 1
    tab.unroute("**/v1/digit*")
    tab.reload()
    expect(tab.locator("#offline-status")).to_have_text(KEPT)
    assert len(stored(site)) == before + 1


def test_a_refused_drawing_stays_on_the_device_with_the_reason(tab: Page, site: Running) -> None:
    before = len(stored(site))
    tab.context.set_offline(True)
    Mouse(tab).draw(strokes_of(1))
    wait_for_answer(tab)
    expect(tab.locator("#words")).to_contain_text("Read on this device")
    tab.locator("#keep").click()
    expect(tab.locator("#offline-status")).to_contain_text("1 drawing will be sent")
    tab.route("**/v1/digit*", lambda route: route.fulfill(status=413, json={"detail": "too large today"}))
    tab.context.set_offline(False)
    expect(tab.locator("#offline-status")).to_contain_text("The server refused one: too large today")
    assert len(stored(site)) == before


def test_the_row_is_accessible_and_narrow(tab: Page) -> None:
    check_accessible(tab)
    check_narrow(tab)


def test_every_file_to_keep_is_served_and_the_models_are_the_readers(site: Running) -> None:
    with site.client() as client:
        listed = client.get("/offline.json").json()
        for file in listed["files"]:
            assert client.get(file["address"]).status_code == 200, file["address"]
        names = [file["address"].rpartition("/")[2] for file in listed["files"]]
        assert {"handigit.js", "pad.js", "digit.onnx", "number.onnx", "app.css"} <= set(names)
        assert sum(file["bytes"] for file in listed["files"]) <= 15e6
        assert client.get(f"{listed['models']}number.onnx").content == (EMBEDDED / "number.onnx").read_bytes()
        assert client.get("/offline/1/..%2f..%2fsecret").status_code == 404
        assert client.get("/offline/1/other.onnx").status_code == 404


def test_only_the_page_with_the_pad_may_run_webassembly(site: Running) -> None:
    with site.client() as client:
        policies = {path: client.get(path).headers["content-security-policy"] for path in ("/", "/learn", "/readings")}
        worker = client.get("/service-worker.js")
    assert "'wasm-unsafe-eval'" in policies["/"]
    assert "'wasm-unsafe-eval'" not in policies["/learn"] + policies["/readings"]
    assert worker.headers["content-type"].startswith("text/javascript")
    assert "connect-src 'self'" in worker.headers["content-security-policy"]


def test_help_allows_exactly_its_own_inline_scripts(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("<script>let a = 1</script><script src='a.js'></script>", "utf-8")
    (tmp_path / "site" / "a.js").write_text("1", "utf-8")
    with TestClient(
        create_app(settings(tmp_path / "state", docs=tmp_path / "site")), base_url="http://localhost"
    ) as client:
        page = client.get("/help/index.html")
        assert page.text.startswith("<script>let a = 1")
        policy = page.headers["content-security-policy"]
        assert policy.count("'sha256-") == 1
        assert "script-src 'self' 'wasm-unsafe-eval' 'sha256-" in policy
        assert client.get("/help/a.js").status_code == 200
        assert client.get("/help/missing.html").status_code == 404
        assert 'href="/help/index.html"' in client.get("/", headers={"Accept": "text/html"}).text
