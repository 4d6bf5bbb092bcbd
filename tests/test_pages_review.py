"""The review page in a browser: keyboard, touch, two reviewers at once, failures."""

from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect

from browsing import PHONE, check_accessible, check_narrow
from handigit.records import Box, Number, Outcome
from handigit.store import Filter, Policy, Provenance, Role, Store, Truth
from signing_in import Open, emptied
from store_cases import NO_SAMPLES, doubt, number

pytestmark = pytest.mark.browser
HOSTILE = """<img src=x onerror=alert(1)>"'.png"""
LINE_HEIGHT = 40
Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def sessions(server_store: Store) -> dict[str, str]:
    """A session per reviewer; with accounts the server requires sign-in."""
    for name in ("ann", "bob", "cem"):
        server_store.accounts.add_user(name, "a password", Role.REVIEWER)
    return {name: server_store.accounts.sign_in(name, "a password") or "" for name in ("ann", "bob", "cem")}


@pytest.fixture
def store(server_store: Store) -> Store:
    return emptied(server_store)


@pytest.fixture
def visit(open_tab: Open, sessions: dict[str, str]) -> Visit:
    """Open the page as a reviewer."""

    def as_reviewer(name: str = "ann", **how: object) -> Page:
        tab = open_tab("/review", sessions[name], **how)
        tab.wait_for_selector("#item[data-reading], #empty:visible")
        return tab

    return as_reviewer


def put(store: Store, *numbers: Number, source: str = "till.png", policy: Policy = NO_SAMPLES) -> tuple[int, ...]:
    """Store numbers on one page, one per line."""
    page = np.full((LINE_HEIGHT * max(4, len(numbers)), 200), 240, np.uint8)
    placed = []
    for row, result in enumerate(numbers):
        top = LINE_HEIGHT * row + 10
        page[top : top + 20 : 3, 40:100] = row
        placed.append(result.map_boxes(lambda box, top=top: Box(40 + box.left, top, 40 + box.right, top + 20)))
    before, store.ingest.policy = store.policy, policy
    ids = store.add(placed, Provenance(source, "number-1", "d" * 64), page=page)
    store.ingest.policy = before
    return ids


def item_on(tab: Page) -> int:
    return int(tab.get_attribute("#item", "data-reading") or 0)


def press(tab: Page, *keys: str) -> None:
    """Press keys for one item, and wait for the next."""
    before = item_on(tab)
    for key in keys:
        tab.keyboard.press(key)
    tab.wait_for_function(
        "before => document.querySelector('#item').hidden || document.querySelector('#item').dataset.reading != before",
        arg=str(before),
    )


def said_of(store: Store, reading: int) -> Truth | None:
    return store.reading(reading).truth


def landed(tab: Page) -> None:
    tab.wait_for_function("() => JSON.parse(sessionStorage.getItem('handigit-decisions') ?? '[]').length === 0")


def holds(tab: Page, store: Store, items: int) -> None:
    """Wait until that many items are leased: the current one, and the next."""
    for _ in range(1500):
        if store.waiting().held == items:
            return
        tab.wait_for_timeout(20)
    raise AssertionError(f"{store.waiting().held} items are held, not {items}")


def test_an_expired_item_is_shown_once(visit: Visit, store: Store) -> None:
    first, second = put(store, doubt("15", margin=0), doubt("27", margin=0.2))
    tab = visit()
    holds(tab, store, 2)
    with store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE leases SET until = at")
    press(tab, "ArrowRight")  # takes one ahead: the first once more
    assert item_on(tab) == second
    press(tab, "Enter")
    press(tab, "Enter")
    expect(tab.locator("#empty")).to_be_visible()
    landed(tab)
    assert [len(store.history(one)) for one in (first, second)] == [1, 1]


def test_a_reviewer_decides_by_keyboard_alone(visit: Visit, store: Store) -> None:
    ids = put(store, *(doubt(str(1000 + i), margin=0.1 * i) for i in range(5)))
    tab = visit()
    assert item_on(tab) == ids[0]
    press(tab, "Enter")
    press(tab, "9", "7", "1", "Enter")
    press(tab, "x")
    press(tab, "b")
    press(tab, "ArrowDown", "Enter")
    expect(tab.locator("#empty")).to_be_visible()
    expect(tab.locator("#done")).to_have_text("5")
    landed(tab)
    not_a_number, blank = Truth("", Outcome.NOT_A_NUMBER), Truth("", Outcome.BLANK)
    decided = [said_of(store, reading) for reading in ids]
    assert decided == [Truth("1000"), Truth("971"), not_a_number, blank, Truth("0000")]
    assert store.history(ids[0])[0].by == "ann"


def test_a_skipped_item_returns_with_its_text(visit: Visit, store: Store) -> None:
    first, second = put(store, doubt("15", margin=0), doubt("27", margin=0.2))
    tab = visit()
    tab.keyboard.type("16")
    tab.keyboard.press("ArrowLeft")  # while typing, the arrow moves the cursor
    assert item_on(tab) == first
    tab.click("#skip")
    tab.wait_for_selector(f"#item[data-reading='{second}']")
    press(tab, "ArrowLeft")
    assert (item_on(tab), tab.input_value("#text")) == (first, "16")
    press(tab, "Enter")
    press(tab, "Enter")
    landed(tab)
    assert (said_of(store, first), said_of(store, second)) == (Truth("16"), Truth("27"))


def test_undo_reverts_the_last_decision_and_shows_its_item(visit: Visit, store: Store) -> None:
    first, _ = put(store, doubt("15", margin=0), doubt("27", margin=0.2))
    tab = visit()
    press(tab, "b")
    press(tab, "u")
    assert item_on(tab) == first
    assert said_of(store, first) is None
    press(tab, "Alt+Digit2")
    landed(tab)
    assert said_of(store, first) == Truth("00")
    assert [bool(one.undone_at) for one in store.history(first)] == [True, False]
    assert store.history(first)[1].purpose == "doubt"


def test_help_lists_the_keys_and_holds_them_back(visit: Visit, store: Store) -> None:
    (reading,) = put(store, doubt("15"))
    tab = visit()
    tab.keyboard.press("?")
    expect(tab.locator("#help")).to_be_visible()
    check_accessible(tab)
    tab.keyboard.press("x")
    tab.keyboard.press("Enter")
    expect(tab.locator("#help")).to_be_hidden()
    assert (item_on(tab), said_of(store, reading)) == (reading, None)


def test_two_reviewers_never_hold_the_same_item(visit: Visit, store: Store) -> None:
    ids = put(store, *(doubt(str(100 + i)) for i in range(12)))
    tabs = [visit("ann"), visit("bob")]
    seen: list[int] = []
    for _ in range(6):
        for tab in tabs:
            if tab.locator("#item").is_visible():
                seen.append(item_on(tab))
                press(tab, "Enter")
    for tab in tabs:
        landed(tab)
    assert sorted(seen) == sorted(ids)
    assert {len(store.history(reading)) for reading in ids} == {1}


def test_a_disagreement_needs_a_third_reviewer(visit: Visit, store: Store) -> None:
    (reading,) = put(store, doubt("15"))
    for by, text in (("ann", "16"), ("bob", "18")):
        store.decide(reading, Truth(text), by=by, key="k")
    ann, cem = visit("ann"), visit("cem")
    expect(ann.locator("#empty")).to_contain_text("different reviewer")
    expect(cem.locator("#third")).to_be_visible()
    cem.keyboard.type("16")
    press(cem, "Enter")
    landed(cem)
    assert (said_of(store, reading), store.reading(reading).disputed) == (Truth("16"), False)
    expect(cem.locator("#recent")).to_contain_text("third opinion")


def test_a_spot_check_is_revealed_only_after_the_decision(visit: Visit, store: Store) -> None:
    (reading,) = put(store, number("15"), policy=Policy(control_share=1, second_share=0))
    tab = visit()
    assert item_on(tab) == reading
    expect(tab.locator("#item")).to_be_visible()
    assert "spot check" not in tab.locator("main").inner_text()
    press(tab, "Enter")
    landed(tab)
    expect(tab.locator("#recent")).to_contain_text("spot check")
    assert store.history(reading)[0].purpose == "control"


def test_a_lost_lease_is_reported_and_the_next_item_shown(visit: Visit, store: Store) -> None:
    first, second = put(store, doubt("15", margin=0), doubt("27", margin=0.2))
    tab = visit()
    holds(tab, store, 2)
    with store.database.writing() as connection:  # as if five minutes had gone by
        connection.exec_driver_sql("UPDATE leases SET until = at")
    assert store.lease("bob")
    press(tab, "Enter")
    assert item_on(tab) == second
    expect(tab.locator("#toast")).to_contain_text("another reviewer has the item")
    expect(tab.locator("#done")).to_have_text("0")
    assert said_of(store, first) is None


def test_a_decision_survives_a_server_that_is_away(visit: Visit, store: Store) -> None:
    first, _ = put(store, doubt("15", margin=0), doubt("27", margin=0.2))
    tab = visit()
    holds(tab, store, 2)
    failed: set[str] = set()

    def fail(route: Route) -> None:
        failed.add(route.request.header_value("idempotency-key") or "")
        route.abort()

    tab.route("**/decide", fail)
    press(tab, "4", "2", "Enter")
    expect(tab.locator("#unsent")).to_be_visible()
    tab.unroute("**/decide")
    expect(tab.locator("#unsent")).to_be_hidden()
    landed(tab)
    assert {one.key for one in store.history(first)} == failed
    assert len(store.history(first)) == 1
    assert said_of(store, first) == Truth("42")


def test_leaving_releases_the_leases(visit: Visit, store: Store) -> None:
    put(store, *(doubt(str(i)) for i in range(3)))
    tab = visit()
    holds(tab, store, 2)
    tab.goto("about:blank")
    holds(tab, store, 0)


def test_an_empty_queue_shows_what_to_do(visit: Visit, store: Store) -> None:
    tab = visit()
    expect(tab.locator("#empty")).to_contain_text("Nothing to review")
    check_accessible(tab)
    put(store, doubt("15"))
    tab.click("#refresh")
    expect(tab.locator("#crop > svg")).to_be_visible()
    check_narrow(tab)


def test_hostile_names_are_text_and_the_page_is_accessible(visit: Visit, store: Store) -> None:
    put(store, doubt("15"), source=HOSTILE)
    store.add([number("", outcome=Outcome.DOUBT, confidence=0.5)], Provenance(HOSTILE, HOSTILE, "d" * 64))
    tab = visit()
    texts = []
    for _ in range(2):
        texts.append(tab.locator("#source").inner_text())
        check_accessible(tab)
        tab.emulate_media(color_scheme="dark")
        check_accessible(tab)
        press(tab, "x")
    assert texts == [f"{HOSTILE}, page 1"] * 2
    assert tab.locator("main img").count() == 0


def test_a_double_tap_decides_one_item(visit: Visit, store: Store) -> None:
    first, second, third = put(store, doubt("15", margin=0), doubt("27", margin=0.2), doubt("38", margin=0.3))
    tab = visit(**PHONE)
    tab.wait_for_selector(f"#item[data-reading='{first}'][aria-busy=false]")
    tab.evaluate(
        """async (second) => {
          const tap = () => document.querySelectorAll(".candidate")[0].click();
          tap();
          const item = document.querySelector("#item");
          while (item.dataset.reading != second) await new Promise(requestAnimationFrame);
          tap();
        }""",
        str(second),
    )
    tab.wait_for_selector(f"#item[data-reading='{second}'][aria-busy=false]")
    assert tab.locator("#done").inner_text() == "1"
    landed(tab)
    assert [said_of(store, reading) for reading in (first, second, third)] == [Truth("15"), None, None]


def test_by_thumb_on_a_phone(visit: Visit, store: Store) -> None:
    first, second = put(store, doubt("15", margin=0), doubt("27", margin=0.2))
    tab = visit(**PHONE)
    assert tab.get_attribute("#text", "inputmode") == "decimal"
    heights = [box["height"] for one in tab.locator("#decision button:visible").all() if (box := one.bounding_box())]
    assert min(heights) >= 44
    check_narrow(tab)
    settled = "[aria-busy=false]"
    tab.wait_for_selector(f"#item[data-reading='{first}']{settled}")
    tab.locator(".candidate").nth(1).tap()
    tab.wait_for_selector(f"#item[data-reading='{second}']{settled}")
    tab.locator("#blank").tap()
    expect(tab.locator("#empty")).to_be_visible()
    landed(tab)
    assert (said_of(store, first), said_of(store, second)) == (Truth("00"), Truth("", Outcome.BLANK))
    assert store.readings(Filter(corrected=False)).readings == ()
