"""The page Insights: its figures against stores counted by hand, its plots, its look."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from playwright.sync_api import Page, expect
from sqlalchemy import update

from browsing import check_accessible, check_narrow
from handigit.read import Reader
from handigit.records import Box, Outcome
from handigit.store import Day, ErrorCount, Filter, Policy, Provenance, Purpose, Store, Truth
from handigit.store.statistics import Checked, Crop, Stratum
from handigit.store.tables import readings
from handigit.web import create_app
from handigit.web.pages.charts import buckets, curve, heat_map, rate, stacked_bars
from handigit.web.pages.trends import (
    MIN_CHECKED,
    Ink,
    InkMeter,
    Point,
    confidence_by_day,
    digits_by_day,
    ink_by_day,
    outcomes_by_day,
    risks,
)
from serving import HOST, Running, encoded, running, settings
from store_cases import NO_SAMPLES, PROVENANCE, doubt, number
from store_cases import page as picture
from test_web import wait_until_ready

pytest_plugins = ("store_server",)
TODAY = datetime.now(UTC)
ALL = Filter()
CONTROL_FIRST = Policy(control_share=1, control_turn=1, second_share=0)
DIGITS = Provenance("till.png", "digit", "d" * 64, kind="digit")


def opened(folder: Path) -> Store:
    """A store all of whose surely read readings are the control sample."""
    return Store.open(f"sqlite:///{folder / 'handigit.db'}", files=folder / "pictures", policy=CONTROL_FIRST)


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterator[Store]:
    """Such a store in each kind of database."""
    with Store.open(url, files=tmp_path / "pictures", policy=CONTROL_FIRST) as store:
        yield store


def move(store: Store, numbers: tuple[int, ...], *, days_ago: int) -> None:
    """Make readings older than they are."""
    with store.database.writing() as connection:
        moved = update(readings).where(readings.c.id.in_(numbers)).values(at=TODAY - timedelta(days=days_ago))
        connection.execute(moved)


def check_control(store: Store, truths: dict[str, str]) -> None:
    """Decide as many of the control sample, by the text read."""
    for _ in truths:
        lease = store.lease("ann")
        assert lease
        assert lease.purpose is Purpose.CONTROL
        read = lease.reading.number.text
        store.decide(lease.reading.id, Truth(truths[read]), by="ann", key=f"c{lease.id}", lease=lease.id)


def test_strata_hold_the_control_sample_and_the_decided_doubts(store: Store) -> None:
    store.add([number("15"), number("27", confidence=0.97)], PROVENANCE)
    store.ingest.policy = NO_SAMPLES
    seen, unsure, _ = store.add([number("38"), doubt("49"), doubt("50")], PROVENANCE)
    store.decide(seen, Truth("39"), by="user", key="seen")  # caught somebody's eye: no sample
    store.decide(unsure, Truth("49"), by="ann", key="doubt")
    store.ingest.policy = CONTROL_FIRST
    check_control(store, {"15": "15", "27": "21"})
    found = {one.outcome: one for one in store.insights.strata(ALL)}
    assert found[Outcome.READ].readings == 3
    assert set(found[Outcome.READ].checked) == {Checked(0.99, True), Checked(0.97, False)}
    assert found[Outcome.DOUBT] == Stratum("number", Outcome.DOUBT, 2, (Checked(0.55, True),))


def test_digits_are_counted_by_day_in_what_was_read(store: Store) -> None:
    ids = store.add([number("1150"), number("7"), doubt("999")], PROVENANCE)
    move(store, ids[:1], days_ago=2)
    found = store.insights.digits(ALL)
    assert list(found) == [(TODAY - timedelta(days=2)).date(), TODAY.date()]
    assert list(found.values()) == [(1, 2, 0, 0, 0, 1, 0, 0, 0, 0), (0, 0, 0, 0, 0, 0, 0, 1, 0, 0)]
    assert store.insights.digits(Filter(since=TODAY - timedelta(days=1))).keys() == {TODAY.date()}


def test_crops_are_the_first_few_of_each_day_on_small_pages(store: Store) -> None:
    old = [store.add([number(str(n))], PROVENANCE, page=picture(n))[0] for n in range(3)]
    move(store, tuple(old), days_ago=1)
    store.add([number("5")], PROVENANCE, page=picture(9))
    store.add([number("6")], PROVENANCE, page=np.full((100, 100), 200, np.uint8))
    store.add([number("8")], PROVENANCE)
    crops = store.insights.crops(ALL, per_day=2, largest_px=40 * 60)
    assert [day for day, _ in crops] == [(TODAY - timedelta(days=1)).date()] * 2 + [TODAY.date()]
    assert {(crop.width, crop.height) for _, crop in crops} == {(60, 40)}


def test_misread_are_the_last_that_people_call_wrong(store: Store) -> None:
    first, second, third = store.add([number("1"), number("2"), number("3")], DIGITS, page=picture())
    for reading, truth in ((first, Truth("7")), (second, Truth("2")), (third, Truth("", Outcome.NOT_A_NUMBER))):
        store.decide(reading, truth, by="ann", key=str(reading))
    found = store.insights.misread(("d" * 64,), most=5)
    assert [(one.reading, one.read, one.truth.text) for one in found] == [(third, "3", ""), (first, "1", "7")]
    assert found[0].crop
    assert found[0].crop.width == 60
    assert [one.reading for one in store.insights.misread(("d" * 64,), most=1)] == [third]
    assert store.insights.misread(("e" * 64,), most=5) == ()


def test_risk_weights_each_check_by_its_stratum() -> None:
    sure = Stratum("digit", Outcome.READ, 80, (Checked(0.99, True), Checked(0.95, False)))
    unsure = Stratum("digit", Outcome.DOUBT, 20, (Checked(0.6, True), Checked(0.6, False)))
    (risk,) = risks([unsure, sure])
    assert risk.points == (Point(0.99, 0.4, 0), Point(0.95, 0.8, 0.5), Point(0.6, 1, 0.5))
    assert risk.at(0.9) == risk.points[1]
    assert risk.at(0.995) is None
    assert risk.missing == MIN_CHECKED - 4


def test_risk_is_empty_without_spot_checks() -> None:
    (risk,) = risks([Stratum("digit", Outcome.READ, 80, ()), Stratum("digit", Outcome.DOUBT, 2, (Checked(0.6, True),))])
    assert risk.points == ()


def test_buckets_are_equal_spans_without_gaps() -> None:
    first = date(2026, 3, 1)
    found = buckets([(first, "a"), (first + timedelta(days=9), "b")], maximum=5)
    assert [bucket.values for bucket in found] == [("a",), (), (), (), ("b",)]
    assert found[1].name == "3 Mar 2026 to 4 Mar 2026"
    assert buckets([(first, 1)])[0].name == "1 Mar 2026"
    assert buckets([]) == []


def test_stacked_bars_fill_the_field_from_the_bottom() -> None:
    bars = stacked_bars([(1, 1), (4, 0)], ["read", "doubt"])
    assert [(bar.y, bar.height, bar.style) for bar in bars] == [(75, 25, "read"), (50, 25, "doubt"), (0, 100, "read")]
    assert bars[0].x < bars[0].x + bars[0].width < 50 < bars[2].x


def test_heat_maps_and_curves_are_placed() -> None:
    low, high = heat_map([(0.0, 0.25), (0.5, 0.0)], style="dot")
    assert (low.x, low.y, low.strength) == (0, 50, 0.5)
    assert (high.x, high.y, high.strength) == (50, 0, 1)
    assert curve([(0, 0), (0.5, 1)], style="mark").points == "0.00,100.00 50.00,0.00"


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0%"), (1, "100%"), (0.9999, ">99.9%"), (0.0001, "<0.1%"), (0.123, "12.3%")]
)
def test_rates_are_never_rounded_to_certainty(value: float, text: str) -> None:
    assert rate(value) == text


def a_day(ago: int, *, confidence: float | None, read: int = 10) -> Day:
    return Day(TODAY.date() - timedelta(days=ago), {Outcome.READ: read, Outcome.DOUBT: 2}, confidence, 0, ErrorCount())


def test_outcomes_by_day() -> None:
    plot = outcomes_by_day([a_day(1, confidence=0.9), a_day(0, confidence=0.9, read=30)])
    assert plot.summary.startswith("44 readings; busiest day ")
    assert [row[1:] for row in plot.table.rows] == [("10", "2", "0", "0"), ("30", "2", "0", "0")]
    assert len(plot.bars) == 4


def test_falling_confidence_is_reported() -> None:
    before = [a_day(ago, confidence=0.98) for ago in (12, 10)]
    plot = confidence_by_day([*before, a_day(1, confidence=0.8, read=30), a_day(0, confidence=0.9)])
    assert plot.summary == "Falling: 82.5% in the last 7 days, 98.0% before."
    assert "Steady" in confidence_by_day([a_day(10, confidence=0.98), a_day(0, confidence=0.98)]).summary
    assert len(plot.dots) == 4


def test_one_day_is_not_a_trend() -> None:
    for plot in (
        confidence_by_day([a_day(0, confidence=0.9)]),
        digits_by_day({TODAY.date(): (1,) * 10}),
        ink_by_day([(TODAY.date(), Ink(0.2, 0.8))]),
    ):
        assert plot.is_empty
        assert "1 more day" in plot.summary


def test_ink_is_measured_in_the_crop() -> None:
    grey = np.full((20, 30), 200, np.uint8)
    grey[5:10, 5:15] = 50
    asked = []

    def kept(digest: str) -> bytes:
        asked.append(digest)
        return encoded(Image.fromarray(grey))

    meter = InkMeter(kept)
    crop = Crop("a" * 64, 30, 20, Box(0, 0, 20, 10))
    ink = meter.measure(crop)
    assert ink
    assert (ink.cover, ink.contrast) == pytest.approx((0.25, 150 / 255))
    assert meter.measure(crop) is ink
    assert asked == ["a" * 64]


def test_the_page_shows_measured_figures(tmp_path: Path) -> None:
    own = settings(tmp_path)
    store = opened(tmp_path)
    app = create_app(own, store=store, make_reader=lambda place: Reader(place, threads=1))
    with TestClient(app, base_url=HOST) as client:
        wait_until_ready(client)
        assert "No readings in the last 30 days" in client.get("/insights").text
        store.add([number("15"), number("27"), doubt("3"), number("4")], PROVENANCE)
        check_control(store, {"15": "16", "27": "27", "4": "4"})
        text = client.get("/insights?days=all").text
        assert "33.3%" in text
        assert "1 of 3 random spot checks were wrong. The true rate is between 0.8% and 90.6%" in text
        assert 'digits=6"><b class="figures">6</b> read as <b class="figures">5</b></a> once' in text
        assert client.get("/insights?days=5").status_code == 422


def fill(folder: Path) -> None:
    """Three weeks of readings, many of them checked."""
    with opened(folder) as store:
        for ago in range(20):
            numbers = [number(f"{ago}{n}", confidence=0.9 + n / 100) for n in range(4)]
            move(store, store.add([*numbers, doubt("3")], DIGITS, page=picture(ago)), days_ago=ago)
        for turn in range(40):
            lease = store.lease("ann")
            assert lease
            truth = Truth("9" if turn % 7 == 0 else lease.reading.number.text)
            store.decide(lease.reading.id, truth, by="ann", key=str(turn), lease=lease.id)
        for reading in store.readings(Filter(outcome=Outcome.DOUBT)).readings:
            store.decide(reading.id, Truth("5"), by="ann", key=f"d{reading.id}")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("filled")
    fill(folder)
    with running(folder) as server:
        yield server


@pytest.mark.browser
def test_an_empty_store_shows_what_to_do(page: Page, site: Running) -> None:
    page.goto(f"{site.url}/insights")
    assert page.get_by_role("heading", name="No readings in the last 30 days").is_visible()
    assert page.get_by_role("link", name="Read something").get_attribute("href") == "/"
    check_accessible(page)
    check_narrow(page)


@pytest.mark.browser
def test_every_plot_has_text_and_figures(page: Page, filled: Running) -> None:
    page.goto(f"{filled.url}/insights?days=90")
    assert page.get_by_role("link", name="90 days").get_attribute("aria-current") == "true"
    plots = page.locator("figure")
    expect(plots).to_have_count(5)
    for plot in plots.all():
        assert plot.get_by_role("img").bounding_box()["height"] > 100
        plot.get_by_text("Show figures").click()
        expect(plot.get_by_role("cell").nth(3)).to_be_visible()
    assert page.get_by_text("threshold in use", exact=True).is_visible()
    assert page.locator(".pairs a").first.get_attribute("href").startswith("/readings?corrected=true")
    check_accessible(page)
    page.emulate_media(color_scheme="dark")
    check_accessible(page)
    check_narrow(page)
