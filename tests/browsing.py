"""Chromium, driven by Playwright, on a running server.

Script errors and content security policy violations fail the test.
"""

import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from serving import Running, running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MISSING = "no Chromium: apt-get install chromium"
PHONE = {"viewport": {"width": 320, "height": 640}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
PATIENCE_MS = 60_000
"""On a busy machine everything takes long; a test waits that long only before it fails."""
expect.set_options(timeout=PATIENCE_MS)
_ARGUMENTS = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium per test file: while Playwright runs, its thread cannot run another event loop."""
    if not CHROMIUM:
        pytest.skip(MISSING)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        chromium.on("context", lambda context: context.set_default_timeout(PATIENCE_MS))
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


class _EarlyButtons(HTMLParser):
    """Enabled buttons that do nothing until a script has run."""

    VOID = ("img", "input", "br", "link", "meta", "hr", "rect", "use", "path")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep open elements; look at each button and those around it."""
        own = dict(attrs)
        if tag not in self.VOID:
            self.open.append((tag, own))
        is_shown_by_script = any(name == "dialog" or "hidden" in around for name, around in self.open)
        if tag != "button" or "disabled" in own or is_shown_by_script:
            return
        forms = [around for name, around in self.open if name == "form"]
        is_sent_by_browser = forms and forms[-1].keys() & {"method", "action", "role"} and own.get("type") != "button"
        if not is_sent_by_browser:
            self.found.append(str(own))

    def handle_endtag(self, tag: str) -> None:
        """Close an element."""
        while self.open and self.open.pop()[0] != tag:
            pass


def early_buttons(html: str) -> list[str]:
    """The buttons of a page that a user could press in vain while its scripts are loading."""
    parser = _EarlyButtons()
    parser.feed(html)
    return parser.found


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
    expect_fits(tab, 320)


def expect_fits(tab: Page, width: int) -> None:
    """Wait until the page is laid out no wider than this."""
    tab.wait_for_function("width => document.documentElement.scrollWidth <= width", arg=width)


def photograph(tab: Page, folder: Path, name: str) -> None:
    """Full-page screenshots in both colour schemes."""
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme)
        tab.screenshot(path=folder / f"{name}-{scheme}.png", full_page=True)
    tab.emulate_media(color_scheme="light")
