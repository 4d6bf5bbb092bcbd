"""The page Models: cards, mistakes, and switching in a real browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from browsing import check_accessible, check_narrow, early_buttons
from handigit.card import Card
from handigit.read.engine import EMBEDDED
from handigit.records import Box
from handigit.store import Role, Store
from handigit.store.statistics import Crop
from handigit.web.pages.models import part_of, view_box
from serving import Running, picture, running

NANO = Path(__file__).parents[1] / "published" / "digit-nano.onnx"
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def two_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The service with the embedded models, a small one beside them, and a file that is none."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "models").mkdir()
    shutil.copy(NANO, folder / "models" / "nano.onnx")
    (folder / "models" / "torn.onnx").write_bytes((EMBEDDED / "digit.onnx").read_bytes()[:1000])
    with running(folder, HANDIGIT_MODELS=str(folder / "models")) as server:
        yield server


def correct(server: Running, truth: str) -> int:
    """Have a 7 read, and say that it is something else."""
    with server.client() as client:
        reading = client.post("/v1/digit", content=picture()).json()["readings"][0]
        said = {"text": truth, "outcome": "read"}
        assert client.post(f"/v1/readings/{reading['id']}/corrections", json=said).status_code == 201
    return int(reading["id"])


def active(server: Running) -> str:
    with server.client() as client:
        return next(one["name"] for one in client.get("/v1/models").json()["models"] if one["active"])


def test_cards_are_shown(page: Page, two_models: Running) -> None:
    page.goto(f"{two_models.url}/models", wait_until="networkidle")
    default = page.get_by_role("article", name="default")
    assert default.get_by_text("Active").is_visible()
    assert default.get_by_role("heading", name="Reads single digits").is_visible()
    assert default.get_by_role("heading", name="Reads whole numbers").is_visible()
    default.get_by_text("Thresholds").first.click()
    rows = default.get_by_role("table", name="Thresholds of handigit-digit").get_by_role("row")
    expect(rows.nth(3)).to_be_visible()
    assert "not a model that can be run" in page.get_by_role("article", name="torn").inner_text()
    assert page.get_by_role("article", name="torn").get_by_role("button").count() == 0
    check_accessible(page)
    check_narrow(page)


def test_no_button_can_be_pressed_in_vain_before_its_script_has_run(two_models: Running) -> None:
    with two_models.client(headers={"Accept": "text/html"}) as client:
        text = client.get("/models").text
    assert "Use this model" in text
    assert early_buttons(text) == []


def test_mistakes_are_shown_and_lead_to_their_reading(page: Page, two_models: Running) -> None:
    page.goto(f"{two_models.url}/models", wait_until="networkidle")
    default = page.get_by_role("article", name="default")
    assert default.get_by_text("None found yet").is_visible()
    reading = correct(two_models, "1")
    page.reload(wait_until="networkidle")
    mistake = default.locator(f".mistakes a[href='/readings/{reading}']")
    assert mistake.inner_text().split()[:3] == ["read", "as", "7"]
    left, top, width, height = map(int, mistake.locator("svg").get_attribute("viewBox").split())
    assert 0 <= left < left + width <= 28
    assert 0 <= top < top + height <= 28


def test_a_model_is_switched_and_rolled_back(page: Page, two_models: Running) -> None:
    page.goto(f"{two_models.url}/models", wait_until="networkidle")
    page.get_by_role("button", name="Use this model").click()
    assert "read a test picture of a 7 correctly" in page.get_by_role("dialog").inner_text()
    check_accessible(page)
    page.get_by_role("button", name="Cancel").click()
    assert active(two_models) == "default"
    page.get_by_role("button", name="Use this model").click()
    page.get_by_role("button", name="Switch", exact=True).click()
    expect(page.get_by_role("article", name="nano").get_by_text("Active")).to_be_visible()
    assert active(two_models) == "nano"
    page.get_by_role("button", name="Switch back").click()
    page.get_by_role("button", name="Switch", exact=True).click()
    expect(page.get_by_role("article", name="default").get_by_text("Active")).to_be_visible()
    assert active(two_models) == "default"


def test_a_refusal_says_why(context, two_models: Running) -> None:
    tab = context.new_page()  # the console shows the refused request
    tab.goto(f"{two_models.url}/models", wait_until="networkidle")
    tab.route("**/v1/models/switch", lambda route: route.continue_(post_data={"name": "nano", "sha256": "0" * 64}))
    tab.get_by_role("button", name="Use this model").click()
    tab.get_by_role("button", name="Switch", exact=True).click()
    expect(tab.get_by_role("alert")).to_contain_text("its SHA-256 is")
    assert active(two_models) == "default"


def test_a_reader_may_look_but_not_switch(page: Page, tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path / 'handigit.db'}", files=tmp_path / "pictures") as store:
        store.accounts.add_user("ann", "a long password", Role.ADMIN)
        store.accounts.add_user("bob", "a long password", Role.READER)
    with running(tmp_path) as server:
        page.goto(f"{server.url}/sign-in?back=/models")
        page.get_by_label("Name").fill("bob")
        page.get_by_label("Password").fill("a long password")
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/models")
        assert page.get_by_role("button", name="Switch back").count() == 0


def test_a_crop_is_shown_with_what_is_around_it() -> None:
    assert view_box(Crop("a" * 64, 100, 50, Box(10, 20, 30, 40))) == "7 17 26 26"
    assert view_box(Crop("a" * 64, 100, 50, Box(0, 0, 100, 50))) == "0 0 100 50"


def test_a_foreign_model_has_a_card_too() -> None:
    part = part_of("0" * 64, Card(name="theirs", architecture="unknown", licence="unknown").model_dump(mode="json"))
    assert dict(part.facts)["weights"] == "unknown"
    assert part.scores == ()
