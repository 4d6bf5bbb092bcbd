"""All pages: layout, security policy, accessibility."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page

from browsing import check_accessible, check_contrast, early_buttons, expect_fits
from handigit.web.pages.layout import NAVIGATION, STATIC
from serving import Running, picture

pytestmark = pytest.mark.browser
WIDTHS = (320, 390, 768, 1024, 1280)
ADDRESSES = [address for address, _, _ in NAVIGATION]


@pytest.mark.parametrize("address", [*ADDRESSES, "/users"])
def test_every_page_fits_at_five_widths_and_is_accessible(page: Page, site: Running, address: str) -> None:
    page.goto(site.url + address, wait_until="networkidle")
    assert page.locator("nav [aria-current=page]").count() == (address in ADDRESSES)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        expect_fits(page, width)
        if width not in (WIDTHS[0], WIDTHS[-1]):
            continue
        page.emulate_media(color_scheme="light")
        check_accessible(page)
        page.emulate_media(color_scheme="dark")
        check_contrast(page)


@pytest.mark.slow
@pytest.mark.parametrize("address", [*ADDRESSES, "/users"])
def test_axe_finds_nothing_at_any_width_in_either_scheme(page: Page, site: Running, address: str) -> None:
    page.goto(site.url + address, wait_until="networkidle")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            check_accessible(page)


def test_navigation_is_never_broken_inside_a_word(page: Page, site: Running) -> None:
    page.goto(site.url)
    for width in (737, 768, 820, 834, 850, 1024):
        page.set_viewport_size({"width": width, "height": 900})
        lines = page.evaluate(
            "[...document.querySelectorAll('nav a span')].map((span) => span.getClientRects().length)"
        )
        assert set(lines) == {1}
        assert page.locator("header").bounding_box()["height"] < 70  # type: ignore[index]


@pytest.mark.parametrize(("width", "height"), [(768, 1024), (1280, 800), (1024, 768)])
def test_pad_and_answer_are_above_the_fold(page: Page, site: Running, width: int, height: int) -> None:
    page.set_viewport_size({"width": width, "height": height})
    page.goto(site.url)
    for selector in ("#pad", "#text", "#words"):
        box = page.locator(selector).bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= height


def test_the_app_can_be_installed(site: Running) -> None:
    with site.client() as client:
        manifest = client.get("/static/manifest.webmanifest").json()
        assert manifest["start_url"] == "/"
        for icon in manifest["icons"]:
            assert client.get(icon["src"]).status_code == 200
        assert client.get("/favicon.ico").status_code == 200


def test_scripts_stay_small() -> None:
    assert sum(path.stat().st_size for path in STATIC.glob("*.js")) <= 90_000


def test_templates_have_no_inline_script_or_style() -> None:
    for template in (Path(STATIC).parent / "templates").glob("*.html"):
        text = template.read_text(encoding="utf-8")
        assert "style=" not in text
        assert "<style" not in text
        assert " onclick" not in text
        assert "|safe" not in text


def test_forms_cannot_be_sent_before_their_script_has_run() -> None:
    for template in (Path(STATIC).parent / "templates").glob("*.html"):
        for attributes, fields in re.findall(r"<form([^>]*)>(.*?)</form>", template.read_text("utf-8"), re.DOTALL):
            if re.search(r"\b(method|action|role|hidden)\b", attributes) or 'id="decision"' in attributes:
                continue  # sent by the browser, or shown by the script
            buttons = re.findall(r"<button(?![^>]*type=.button)[^>]*>", fields)
            assert buttons
            assert all("disabled" in button for button in buttons), (template.name, buttons)


def test_no_button_can_be_pressed_in_vain_before_its_script_has_run(site: Running) -> None:
    with site.client(headers={"Accept": "text/html"}) as client:
        reading = client.post("/v1/digit", content=picture()).json()["readings"][0]["id"]
        client.post(f"/v1/readings/{reading}/corrections", json={"text": "1"})
        for address in (*ADDRESSES, "/users", "/forms/batches", f"/readings/{reading}"):
            assert early_buttons(client.get(address).text) == [], address


def test_an_unknown_address_is_a_page(site: Running) -> None:
    with site.client(headers={"Accept": "text/html"}) as client:
        answer = client.get("/nowhere")
    assert answer.status_code == 404
    assert "Page not found" in answer.text
    assert "openapi" not in answer.text
