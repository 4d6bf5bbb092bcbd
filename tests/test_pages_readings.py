"""The list of readings and the page of one reading, in a browser."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from browsing import check_accessible, check_narrow
from handigit.records import Box, Digit, Number, Outcome
from handigit.store import Provenance, Role, Store, Truth
from signing_in import Open, emptied
from store_cases import PROVENANCE, doubt, number, page

pytestmark = pytest.mark.browser
HOSTILE = """<img src=x onerror=alert(1)>"'&amp;{{7*7}}</script>"""
PASSWORD = "a password"
Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def sessions(server_store: Store) -> dict[Role, str]:
    """A session of an account of each role, which has the role's name."""
    for role in Role:
        server_store.accounts.add_user(role.value, PASSWORD, role)
    return {role: server_store.accounts.sign_in(role.value, PASSWORD) or "" for role in Role}


@pytest.fixture
def store(server_store: Store) -> Store:
    return emptied(server_store)


@pytest.fixture
def visit(open_tab: Open, sessions: dict[Role, str]) -> Visit:
    """Open an address as a user with a role."""

    def as_role(address: str = "/readings", role: Role | None = Role.ADMIN, **how: object) -> Page:
        session = sessions[role] if role else None
        return open_tab(address, session, **({"viewport": {"width": 1200, "height": 800}} | how))

    return as_role


def listed(tab: Page) -> list[int]:
    return [int(one.get_attribute("value") or 0) for one in tab.locator("input[name=number]").all()]


def follow(tab: Page, selector: str) -> None:
    """Click a link and wait for its page."""
    with tab.expect_navigation():
        tab.click(selector)


def search(tab: Page, **asked: str) -> list[int]:
    for name, value in asked.items():
        field = tab.locator(f"#filters [name={name}]")
        if name in ("outcome", "corrected"):
            field.select_option(value)
        else:
            field.fill(value)
    follow(tab, "#filters button")
    return listed(tab)


def export(tab: Page, name: str) -> str:
    with tab.expect_download() as download:
        tab.click(f"#{name}")
    return Path(download.value.path()).read_text(encoding="utf-8")


@pytest.mark.usefixtures("store")
def test_an_empty_store_shows_where_to_begin(visit: Visit) -> None:
    tab = visit()
    expect(tab.locator("main")).to_contain_text("No readings yet")
    check_accessible(tab)
    check_narrow(tab)
    follow(tab, "main a.primary")
    assert tab.url.endswith("/")


def test_the_list_shows_what_was_read_and_where(visit: Visit, store: Store) -> None:
    read, unsure = store.add([number("0715"), doubt("27")], PROVENANCE, page=page())
    store.decide(unsure, Truth("29"), by="ann", key="k")
    tab = visit()
    assert listed(tab) == [unsure, read]
    expect(tab.locator("tbody tr").nth(0)).to_contain_text("29 read as 27")
    expect(tab.locator("tbody tr").nth(1)).to_contain_text("0715")
    expect(tab.locator("tbody tr").nth(1)).to_contain_text("till 7.png")
    expect(tab.locator(".thumb a > svg")).to_have_count(2)
    check_accessible(tab)
    tab.emulate_media(color_scheme="dark")
    check_accessible(tab)
    check_narrow(tab)


def test_a_search_filters_and_can_be_bookmarked(visit: Visit, store: Store) -> None:
    first, second, third = store.add([number("0715"), doubt("27"), number("715")], PROVENANCE)
    store.add([number("715")], Provenance("b.png", "other", "e" * 64))
    store.decide(first, Truth("0716"), by="ann", key="k")
    tab = visit()
    assert search(tab, digits="715", model="digit") == [third]
    assert "digits=715&model=digit" in tab.url
    assert "outcome" not in tab.url
    assert search(tab, digits="", outcome="doubt") == [second]
    assert search(tab, outcome="", corrected="true", digits="16") == [first]
    kept = visit(tab.url.removeprefix(tab.url.split("/readings")[0]))
    assert listed(kept) == [first]
    assert search(kept, since="2999-01-01") == []
    expect(kept.locator("main")).to_contain_text("No matching readings")
    check_accessible(kept)
    assert search(visit("/readings?model=digit"), since="2000-01-01", until="2999-01-01") == [third, second, first]


@pytest.mark.usefixtures("store")
def test_a_bad_date_is_refused(visit: Visit) -> None:
    tab = visit("/readings?since=tomorrow")
    expect(tab.locator("main")).to_contain_text("'tomorrow' is not a date; write it as 2026-03-31")


def test_older_readings_are_on_further_pages(visit: Visit, store: Store) -> None:
    ids = store.add([number(str(100 + i)) for i in range(60)], PROVENANCE)
    tab = visit(java_script_enabled=False)  # the list needs no script
    seen = listed(tab)
    follow(tab, "a[rel=next]")
    store.add([number("1")], PROVENANCE)  # a new reading does not shift the pages
    seen += listed(tab)
    assert seen == list(reversed(ids))
    follow(tab, "a[rel=first]")
    assert len(listed(tab)) == 50


def test_all_matching_or_selected_readings_are_exported(visit: Visit, store: Store) -> None:
    ids = store.add([number(str(100 + i)) for i in range(60)] + [doubt("27")], PROVENANCE)
    tab = visit("/readings?outcome=read")
    lines = [json.loads(line) for line in export(tab, "jsonl").splitlines()]
    assert [line["id"] for line in lines] == list(reversed(ids[:-1]))
    tab.locator("input[name=number]").nth(1).check()
    tab.locator("input[name=number]").nth(3).check()
    expect(tab.locator("#selection")).to_have_text("2 readings selected")
    rows = list(csv.DictReader(export(tab, "csv").splitlines()))
    assert [row["value"] for row in rows] == ["156", "158"]


def test_an_admin_deletes_the_selection_after_confirming(visit: Visit, store: Store) -> None:
    first, second, third = store.add([number("1"), number("2"), number("3")], PROVENANCE, page=page())
    tab = visit()
    expect(tab.locator("#delete")).to_be_disabled()
    tab.locator(f"input[value='{second}']").check()
    tab.click("#delete")
    expect(tab.locator("#confirm")).to_contain_text("Delete 1 reading?")
    check_accessible(tab)
    tab.keyboard.press("Enter")  # on Cancel
    assert len(store.readings().readings) == 3
    tab.click("#delete")
    tab.click("#confirm-delete")
    expect(tab.locator(f"input[value='{second}']")).to_have_count(0)
    assert [reading.id for reading in store.readings().readings] == [third, first]
    tab.check("#all")
    tab.click("#delete")
    tab.click("#confirm-delete")
    expect(tab.locator("main")).to_contain_text("No readings yet")


def test_a_reading_shows_the_original_and_its_history(visit: Visit, store: Store) -> None:
    (reading,) = store.add([doubt("15")], PROVENANCE, page=page())
    store.undo(store.decide(reading, Truth("16"), by="ann", key="k").id, by="bob")
    store.decide(reading, Truth("18"), by="cem", key="k", lease=getattr(store.lease("cem"), "id", None))
    tab = visit(f"/readings/{reading}")
    expect(tab.locator("h1")).to_contain_text("18")
    expect(tab.locator("#crop > svg")).to_be_visible()
    expect(tab.locator("#page .mark")).to_have_count(1)
    expect(tab.locator(".digits li")).to_have_count(2)
    history = tab.locator(".history").inner_text()
    assert "read as a number by the model digit" in history
    assert "undone by bob" in history
    assert "by cem" in history
    assert "reviewing an unsure reading" in history
    tab.click("summary")
    expect(tab.locator(".facts")).to_contain_text("d" * 64)
    check_accessible(tab)
    tab.emulate_media(color_scheme="dark")
    check_accessible(tab)
    check_narrow(tab)


def test_a_reading_is_corrected_and_the_correction_undone(visit: Visit, store: Store) -> None:
    (reading,) = store.add([number("15")], PROVENANCE, page=page())
    tab = visit(f"/readings/{reading}", Role.REVIEWER)
    tab.fill("#correct [name=text]", "0716")
    tab.click("#correct .primary")
    expect(tab.locator("h1")).to_contain_text("0716")
    tab.locator("#correct [value=blank]").check()
    tab.click("#correct .primary")
    expect(tab.locator(".history li")).to_have_count(3)
    said = store.reading(reading).truth
    assert said == Truth("", Outcome.BLANK)
    assert {one.by for one in store.history(reading)} == {"reviewer"}
    for left in (2, 1):
        expect(tab.locator("#crop > svg")).to_be_visible()  # the page's script has run
        tab.locator("[data-undo]").last.click()
        expect(tab.locator(".history .undone")).to_have_count(3 - left)
    expect(tab.locator("h1")).to_contain_text("15")


def test_a_refused_correction_says_why(visit: Visit, store: Store) -> None:
    (reading,) = store.add([number("15")], PROVENANCE)
    tab = visit(f"/readings/{reading}")
    store.delete([reading])
    tab.click("#correct .primary")
    expect(tab.locator("#toast")).to_contain_text(f"no reading {reading}")


@pytest.mark.parametrize("name", ["999999", "0", "seven", "9" * 30])
def test_a_missing_reading_is_a_page(visit: Visit, name: str) -> None:
    tab = visit(f"/readings/{name}")
    expect(tab.locator("main")).to_contain_text("no reading")
    check_narrow(tab)


def test_hostile_text_is_shown_as_text(visit: Visit, store: Store) -> None:
    evil = Number(
        Outcome.READ, "15", 0.9, (Digit(Outcome.READ, 1, 0.9, (0.1,) * 10, None),), ((HOSTILE, 0.1),), HOSTILE
    )
    origin = Provenance(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    (reading,) = store.add([evil], origin, page=page())
    correction = store.decide(reading, Truth("16"), by=HOSTILE, key="k")
    store.undo(correction.id, by=HOSTILE)
    tab = visit(f"/readings/{reading}")
    tab.click("summary")
    assert tab.locator("main").inner_text().count(HOSTILE) == 10
    assert tab.locator("main :is(img, script)").count() == 0
    check_accessible(tab)
    check_narrow(tab)
    tab = visit()
    assert tab.locator("main").inner_text().count(HOSTILE) == 3
    follow(tab, ".model a")
    assert listed(tab) == [reading]
    assert tab.input_value("[name=model]") == HOSTILE
    assert tab.locator("main :is(img, script)").count() == 0
    check_narrow(tab)


def test_a_box_at_the_edge_or_outside_is_shown(visit: Visit, store: Store) -> None:
    placed = [number("15").map_boxes(lambda _, box=box: box) for box in (Box(0, 0, 1, 1), Box(50, 30, 900, 700))]
    store.add(placed, PROVENANCE, page=page())
    tab = visit()
    expect(tab.locator(".thumb a > svg")).to_have_count(2)


def test_a_reader_signs_in_and_cannot_change_anything(visit: Visit, store: Store) -> None:
    (reading,) = store.add([number("15")], PROVENANCE)
    tab = visit(f"/readings/{reading}", None)
    tab.fill("[name=name]", "reader")
    tab.fill("[name=password]", "wrong")
    tab.click("#sign-in button")
    expect(tab.locator("#error")).to_contain_text("Wrong name or password")
    check_accessible(tab)
    tab.fill("[name=password]", PASSWORD)
    tab.click("#sign-in button")
    expect(tab.locator("h1")).to_contain_text("15")
    assert tab.url.endswith(f"/readings/{reading}")
    assert "Review" not in tab.locator("nav[aria-label=Pages] a").all_inner_texts()
    expect(tab.locator("#correct, [data-undo]")).to_have_count(0)
    follow(tab, "text=← Readings")
    expect(tab.locator("#delete, #confirm")).to_have_count(0)
    expect(tab.locator("#csv")).to_be_visible()
    tab.goto(tab.url.replace("/readings", "/review"))
    expect(tab.locator("main")).to_contain_text("reader is a reader, this needs a reviewer")
