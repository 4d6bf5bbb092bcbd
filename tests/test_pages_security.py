"""What a browser enforces: the content security policy on every page, framing, private pictures after signing out."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from browsing import early_buttons, watched
from handigit.web.pages.layout import NAVIGATION
from serving import Running, picture, running

pytestmark = pytest.mark.browser
SHEET = Path(__file__).parents[1] / "samples" / "forms" / "score-sheets" / "score-sheet-001.jpg"
TOKEN = "a server token of many letters"
_READING = re.compile(r"/v1/(read|page)\?")
PASSWORD = "nine plain words"
_VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  violations.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with a token and no account."""
    with running(tmp_path_factory.mktemp("locked"), HANDIGIT_TOKEN=TOKEN) as server:
        yield server


@pytest.mark.parametrize("scripts", [True, False])
def test_no_page_violates_its_policy(browser: Browser, site: Running, scripts: bool) -> None:
    with site.client() as client:
        read = client.post("/v1/digit", files={"file": ("7.png", picture(), "image/png")}).json()["readings"][0]
        pile = client.post("/v1/forms/score-sheet/records", params={"batch": "pile"}, content=SHEET.read_bytes()).json()
    forms = ["/forms/batches", "/forms/batches/pile", "/forms/batches/pile/review"]
    forms.append(f"/forms/records/{pile['records'][0]['id']}")
    others = ["/users", "/sign-in", f"/readings/{read['id']}", *forms, "/docs"]
    window = browser.new_context(java_script_enabled=scripts)
    page = window.new_page()
    problems = watched(page)
    page.add_init_script(_VIOLATIONS)
    for address in [*(address for address, _, _ in NAVIGATION), *others]:
        answer = page.goto(site.url + address, wait_until="networkidle")
        assert answer
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy or "default-src 'self'" in policy
        assert "'unsafe-" not in policy
        assert "frame-ancestors 'none'" in policy
        assert not scripts or page.evaluate("window.violations") == [], address
    window.close()
    assert not problems


def test_framing_is_refused(browser: Browser, site: Running) -> None:
    window = browser.new_context()
    page = window.new_page()
    with page.expect_event("requestfailed"):
        page.set_content(f'<iframe src="{site.url}/" width="600" height="400"></iframe>')
    assert [frame.url for frame in page.frames[1:]] != [f"{site.url}/"]
    assert page.frame_locator("iframe").locator("#pad").count() == 0
    window.close()


def create_first_account(page: Page, locked: Running, *, token: str) -> None:
    page.goto(locked.url)
    page.locator("[name=token]").fill(token)
    page.locator("[name=name]").fill("ann")
    page.locator("[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()


def test_the_first_account_needs_the_token_and_signs_in(browser: Browser, locked: Running) -> None:
    window = browser.new_context()
    page = window.new_page()
    create_first_account(page, locked, token="a wrong token, also long enough")
    expect(page.locator("#first-account .error")).to_be_visible()
    problems = watched(page)
    create_first_account(page, locked, token=TOKEN)
    expect(page.locator("#pad")).to_be_visible()
    page.goto(f"{locked.url}/users")
    expect(page.locator("main")).to_contain_text("ann (you)")
    page.locator("#add-account [name=name]").fill("bob")
    page.locator("#add-account [name=password]").fill("another nine words")
    page.get_by_role("button", name="Add user").click()
    expect(page.locator("main tbody").first).to_contain_text("bob")
    assert early_buttons(page.request.get(f"{locked.url}/users").text()) == []
    page.locator("#add-token [name=name]").fill("scanner")
    page.get_by_role("button", name="Add token").click()
    shown = page.locator("#secret code")
    expect(shown).not_to_be_empty()
    secret = shown.inner_text()
    with locked.client(headers={"Authorization": f"Bearer {secret}"}) as client:
        assert client.get("/v1/readings").status_code == 200
    page.locator("[data-remove='/v1/accounts/bob']").click()
    page.locator("#remove").get_by_role("button", name="Remove").click()
    expect(page.locator("main")).not_to_contain_text("bob")
    assert not problems
    sign_out_and_look_for_pictures(page, locked)
    window.close()


def sign_out_and_look_for_pictures(page: Page, locked: Running) -> None:
    """After signing out neither the server nor the browser's cache has the picture."""
    with locked.client(headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        number = client.post("/v1/digit", content=picture()).json()["readings"][0]["id"]
        digest = client.get(f"/v1/readings/{number}").json()["picture"]
    page.goto(f"{locked.url}/readings/{number}", wait_until="networkidle")
    script = """async ([address, mode]) => {
      try {
        return (await fetch(address, { cache: mode, mode: "same-origin" })).status;
      } catch {
        return 0;
      }
    }"""
    address = f"/v1/pictures/{digest}"
    assert page.evaluate(script, [address, "default"]) == 200
    page.evaluate("fetch('/v1/session', { method: 'DELETE' })")
    assert page.evaluate(script, [address, "default"]) == 401
    assert page.evaluate(script, [address, "only-if-cached"]) != 200
    page.goto(f"{locked.url}/readings/{number}")
    expect(page.locator("#sign-in")).to_be_visible()


def expect_stored(client: httpx.Client, source: str, count: int) -> None:
    """Wait until that many readings of a file are stored."""
    for _ in range(300):
        readings = client.get("/v1/readings", params={"source": source}).json()["readings"]
        if len(readings) == count:
            return
        threading.Event().wait(0.1)
    raise AssertionError(f"{len(readings)} readings of {source} are stored, not {count}")


def test_a_page_can_be_read_by_area_turned_and_cropped(context: BrowserContext, site: Running) -> None:
    page = context.new_page()
    problems = watched(page)
    sample = Path(__file__).parents[1] / "samples" / "pages" / "scores-on-squared-paper.jpg"
    page.goto(site.url)
    page.locator("#files").set_input_files(sample)
    numbers = page.locator("#list .reading b")
    expect(numbers).to_have_count(7)
    page.get_by_role("button", name="Read an area").click()
    page.locator("#view .box").first.scroll_into_view_if_needed()
    area = page.locator("#view .box").first.bounding_box()
    assert area
    page.mouse.move(area["x"] - 6, area["y"] - 6)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] + 6, area["y"] + area["height"] + 6, steps=4)
    page.mouse.up()
    expect(numbers).to_have_count(8)
    expect(numbers.last).to_have_text("87")
    expect(page.locator("#read-area")).to_have_attribute("aria-pressed", "false")
    turned = read_again(page, "Rotate")
    assert 5 <= turned <= 8  # a page lying on its side is read upright
    with site.client() as client:
        expect_stored(client, sample.name, turned)
    page.route(_READING, lambda route: route.abort())
    page.get_by_role("button", name="Rotate").click()
    expect(page.locator("#errors .error")).to_be_visible()
    with site.client() as client:
        expect_stored(client, sample.name, turned)
    page.unroute_all()
    page.locator("#files").set_input_files(sample)
    expect(numbers).to_have_count(7)
    page.get_by_role("button", name="Crop").click()
    page.keyboard.press("Escape")
    expect(page.locator("#crop-page")).to_have_attribute("aria-pressed", "false")
    expect(numbers).to_have_count(7)
    page.get_by_role("button", name="Crop").click()
    with page.expect_response(_READING):
        page.keyboard.press("Enter")  # the middle of the page, as suggested
    expect(page.locator("#work")).to_be_hidden()
    assert numbers.count() < 7
    assert [problem for problem in problems if "ERR_FAILED" not in problem] == []  # of the request that was cut off


def read_again(page: Page, button: str) -> int:
    """Press a button by which the shown page is read again; how many numbers are listed then."""
    with page.expect_response(_READING):
        page.get_by_role("button", name=button).click()
    expect(page.locator("#work")).to_be_hidden()
    return page.locator("#list .reading b").count()
