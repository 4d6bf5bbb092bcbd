"""All pages: layout, security policy, accessibility."""

from pathlib import Path

import pytest
from playwright.sync_api import Page

from browsing import check_accessible, check_narrow
from handigit.web.pages.layout import NAVIGATION, STATIC
from serving import Running

pytestmark = pytest.mark.browser
ADDRESSES = [address for address, _, _ in NAVIGATION]


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_page_is_accessible(page: Page, site: Running, address: str) -> None:
    page.goto(site.url + address, wait_until="networkidle")
    assert page.locator("nav [aria-current=page]").count() == 1
    check_accessible(page)
    page.emulate_media(color_scheme="dark")
    check_accessible(page)
    check_narrow(page)


def test_scripts_stay_small() -> None:
    assert sum(path.stat().st_size for path in STATIC.glob("*.js")) <= 90_000


def test_templates_have_no_inline_script_or_style() -> None:
    for template in (Path(STATIC).parent / "templates").glob("*.html"):
        text = template.read_text(encoding="utf-8")
        assert "style=" not in text
        assert "<style" not in text
        assert " onclick" not in text
        assert "|safe" not in text
