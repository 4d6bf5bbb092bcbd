"""A real browser on a real server: Chromium, driven by Playwright.

A page's errors, and whatever the content security policy refuses, fail the test that saw them.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from serving import Running, running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MISSING = "no Chromium: apt-get install chromium"
PHONE = {"viewport": {"width": 320, "height": 640}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
_ARGUMENTS = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for the tests of a file: while Playwright runs, this thread has no room for another event loop."""
    if not CHROMIUM:
        pytest.skip(MISSING)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The service with an empty store, for the tests of one file."""
    with running(tmp_path_factory.mktemp("site")) as server:
        yield server


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A window on a desk, with the clipboard and the camera allowed."""
    opened = browser.new_context(viewport={"width": 1200, "height": 800})
    opened.grant_permissions(["camera", "clipboard-read", "clipboard-write"])
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A tab in that window; what goes wrong in it fails the test."""
    tab = context.new_page()
    problems = watched(tab)
    yield tab
    assert not problems


def watched(tab: Page) -> list[str]:
    """A list to which everything is added that goes wrong in a tab: errors, and what its policy refuses."""
    problems: list[str] = []
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    return problems


def check_accessible(tab: Page) -> None:
    """Fail on any finding of axe that it calls serious or critical."""
    found = Axe().run(tab).response["violations"]
    grave = [one for one in found if one["impact"] in ("serious", "critical")]
    told = [f"{one['id']}: {one['help']}: {[node['html'][:120] for node in one['nodes'][:3]]}" for one in grave]
    assert not told, "\n".join(told)


def check_narrow(tab: Page) -> None:
    """Fail where the page is wider than a phone of 320 pixels."""
    tab.set_viewport_size({"width": 320, "height": 640})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 320


def photograph(tab: Page, folder: Path, name: str) -> None:
    """The whole page by light and by dark, to be looked at."""
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme)
        tab.screenshot(path=folder / f"{name}-{scheme}.png", full_page=True)
    tab.emulate_media(color_scheme="light")
