"""Chromium, driven by Playwright, on a running server.

Script errors and content security policy violations fail the test.
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
    """One Chromium per test file: while Playwright runs, its thread cannot run another event loop."""
    if not CHROMIUM:
        pytest.skip(MISSING)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with an empty store, shared by the tests of one file."""
    with running(tmp_path_factory.mktemp("site")) as server:
        yield server


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A desktop window with clipboard and camera permissions."""
    opened = browser.new_context(viewport={"width": 1200, "height": 800})
    opened.grant_permissions(["camera", "clipboard-read", "clipboard-write"])
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A tab in that window; errors in it fail the test."""
    tab = context.new_page()
    problems = watched(tab)
    yield tab
    assert not problems


def watched(tab: Page) -> list[str]:
    """A list that collects a tab's script errors and policy violations."""
    problems: list[str] = []
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    return problems


def check_accessible(tab: Page) -> None:
    """Fail on any serious or critical finding of axe."""
    violations = Axe().run(tab).response["violations"]
    grave = [rule for rule in violations if rule["impact"] in ("serious", "critical")]
    report = [f"{rule['id']}: {rule['help']}: {[node['html'][:120] for node in rule['nodes'][:3]]}" for rule in grave]
    assert not report, "\n".join(report)


def check_contrast(tab: Page) -> None:
    """Fail on text without enough contrast: all that a colour scheme changes."""
    violations = Axe().run(tab, options={"runOnly": ["color-contrast"]}).response["violations"]
    assert not [node["html"][:120] for rule in violations for node in rule["nodes"]]


def check_narrow(tab: Page) -> None:
    """Fail if the page scrolls horizontally at 320 pixels."""
    tab.set_viewport_size({"width": 320, "height": 640})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 320


def photograph(tab: Page, folder: Path, name: str) -> None:
    """Full-page screenshots in both colour schemes."""
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme)
        tab.screenshot(path=folder / f"{name}-{scheme}.png", full_page=True)
    tab.emulate_media(color_scheme="light")
