"""Review: which items reviewers are shown, and the statistics of their decisions."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handigit.records import Outcome
from handigit.store import Confusion, Filter, Lease, LeaseLost, NotInStore, Policy, Purpose, Store, Truth
from handigit.store.review_need import Opinions, hash01, review_need
from store_cases import EVERY_READ, NO_SAMPLES, PROVENANCE, doubt, number

pytest_plugins = ("store_server",)

Opener = Callable[..., Store]


@pytest.fixture
def opened(url: str, tmp_path: Path) -> Opener:
    """What opens the same database under another policy."""
    return lambda **policy: Store.open(url, files=tmp_path, policy=Policy(**policy))


def taken(store: Store, reviewer: str) -> Lease:
    lease = store.lease(reviewer)
    assert lease is not None
    return lease


def test_the_doubt_with_the_smallest_margin_comes_first(store: Store) -> None:
    store.add([doubt("1", margin=0.3), number("2"), doubt("3", margin=0.02), doubt("4", margin=0.2)], PROVENANCE)
    assert [taken(store, "ann").reading.text for _ in range(3)] == ["3", "4", "1"]
    assert store.lease("ann") is None
    assert (store.waiting().doubts, store.waiting().held) == (3, 3)


def test_two_reviewers_never_hold_the_same_item(store: Store) -> None:
    store.add([doubt(str(i)) for i in range(40)], PROVENANCE)
    with ThreadPoolExecutor(8) as pool:
        leases = list(pool.map(lambda i: taken(store, f"reviewer {i % 8}"), range(40)))
    assert len({lease.reading.id for lease in leases}) == 40
    assert store.lease("late") is None


def test_a_lease_ends_with_its_time_and_with_its_decision(opened: Opener) -> None:
    with opened(lease_seconds=0, second_share=0) as hasty, opened(second_share=0) as usual:
        (reading,) = hasty.add([doubt("15")], PROVENANCE)
        late = taken(hasty, "ann")
        mine = taken(usual, "bob")
        assert (mine.reading.id, mine.purpose, mine.until > datetime.now(UTC)) == (reading, Purpose.DOUBT, True)
        with pytest.raises(LeaseLost, match="another reviewer"):
            usual.decide(reading, Truth("16"), by="ann", key="a", lease=late.id)
        said = usual.decide(reading, Truth("16"), by="bob", key="b", lease=mine.id)
        assert said.purpose is Purpose.DOUBT
        assert usual.lease("ann") is None
        assert usual.waiting().doubts == 0
        assert usual.decide(reading, Truth("16"), by="ann", key="a", lease=late.id).by == "ann"  # no longer held


def test_a_lease_is_for_one_reviewer_and_one_item(store: Store) -> None:
    first, second = store.add([doubt("1"), doubt("2")], PROVENANCE)
    lease = taken(store, "ann")
    other = second if lease.reading.id == first else first
    with pytest.raises(LeaseLost, match="decide the leased one"):
        store.decide(other, Truth("1"), by="ann", key="a", lease=lease.id)
    with pytest.raises(NotInStore, match="bob has no lease"):
        store.decide(lease.reading.id, Truth("1"), by="bob", key="b", lease=lease.id)


def test_a_released_item_is_available_at_once(store: Store) -> None:
    store.add([doubt("1")], PROVENANCE)
    lease = taken(store, "ann")
    assert store.lease("bob") is None
    store.release(lease.id, by="ann")
    again = taken(store, "bob")
    store.release(lease.id, by="ann")  # long over: it does not end bob's
    assert store.lease("ann") is None
    assert again.reading.id == lease.reading.id


def test_a_lease_is_renewed_for_its_purpose_unless_someone_else_holds_the_item(store: Store) -> None:
    (reading,) = store.add([doubt("1")], PROVENANCE)
    first = taken(store, "ann")
    store.decide(reading, Truth("7"), by="ann", key="a", lease=first.id)
    again = store.renew(first.id, by="ann")
    assert (again.reading.id, again.purpose, again.id > first.id) == (reading, Purpose.DOUBT, True)
    store.undo(store.history(reading)[0].id, by="ann")
    assert store.lease("bob") is None
    store.release(again.id, by="ann")
    taken(store, "bob")
    with pytest.raises(LeaseLost, match="another reviewer"):
        store.renew(again.id, by="ann")
    with pytest.raises(NotInStore, match="bob has no lease"):
        store.renew(again.id, by="bob")


def test_an_undone_decision_is_queued_again(store: Store) -> None:
    (reading,) = store.add([doubt("1")], PROVENANCE)
    lease = taken(store, "ann")
    said = store.decide(reading, Truth("7"), by="ann", key="a", lease=lease.id)
    assert store.lease("ann") is None
    store.undo(said.id, by="ann")
    assert taken(store, "ann").reading.id == reading


def test_a_disagreement_needs_a_third_person(store: Store) -> None:
    reading, _ = store.add([doubt("15", margin=0.3), doubt("1", margin=0)], PROVENANCE)
    store.decide(reading, Truth("16"), by="ann", key="a")
    store.decide(reading, Truth("18"), by="bob", key="b")
    assert store.waiting().thirds == 1
    assert taken(store, "ann").reading.text == "1"  # not what she has decided
    third = taken(store, "cem")
    assert (third.reading.id, third.purpose) == (reading, Purpose.THIRD)
    store.decide(reading, Truth("16"), by="cem", key="c", lease=third.id)
    assert (store.reading(reading).text, store.reading(reading).disputed) == ("16", False)
    assert store.waiting().thirds == 0


def test_a_second_opinion_comes_from_someone_else(opened: Opener) -> None:
    with opened(second_share=1) as store:
        (reading,) = store.add([doubt("15")], PROVENANCE)
        store.decide(reading, Truth("16"), by="ann", key="a", lease=taken(store, "ann").id)
        assert store.lease("ann") is None
        second = taken(store, "bob")
        assert second.purpose is Purpose.SECOND
        store.decide(reading, Truth("16"), by="bob", key="b", lease=second.id)
        assert store.lease("cem") is None


def test_the_seed_decides_the_control_sample(opened: Opener) -> None:
    with opened(control_share=0.25, seed=7) as store:
        store.add([number(str(i)) for i in range(400)], PROVENANCE)
        assert 60 < store.waiting().controls < 140  # 400 draws of 1/4: 100 ± 4.6 deviations
        sample = {lease.reading.id for _ in range(20) if (lease := store.lease("ann"))}
        policy = Policy(control_share=0.25, seed=7)
        assert all(hash01(policy, "control", reading) < 0.25 for reading in sample)


def test_control_items_come_between_doubts(opened: Opener) -> None:
    with opened(control_share=1, control_turn=0.3, second_share=0) as store:
        store.add([number("1")] * 40 + [doubt("2")] * 40, PROVENANCE)
        purposes = [taken(store, "ann").purpose for _ in range(40)]
        assert 3 < purposes.count(Purpose.CONTROL) < 25  # 40 draws of 0.3: 12 ± 3.5 deviations


def test_the_error_is_measured_on_the_control_sample_alone(opened: Opener) -> None:
    with opened(control_share=EVERY_READ.control_share, control_turn=1, second_share=0) as store:
        readings = store.add([number("15"), number("27"), number("38"), doubt("49")], PROVENANCE)
        store.decide(readings[0], Truth("16"), by="user", key="u")  # noticed by chance, no part of the sample yet
        assert store.statistics().control.checked == 0
        for index in range(3):
            lease = taken(store, "ann")
            assert lease.purpose is Purpose.CONTROL
            truth = {"15": "16", "16": "16", "27": "27", "38": "99"}[lease.reading.number.text]
            store.decide(lease.reading.id, Truth(truth), by="ann", key=str(index), lease=lease.id)
        store.decide(readings[3], Truth("40"), by="ann", key="doubt")
        figures = store.statistics()
        assert (figures.control.wrong, figures.control.checked) == (2, 3)
        assert figures.decided == 4
        assert figures.outcomes == {Outcome.READ: 3, Outcome.DOUBT: 1, Outcome.BLANK: 0, Outcome.NOT_A_NUMBER: 0}


def test_figures_have_confusions_and_days(store: Store) -> None:
    first, second, third, _ = store.add([number("15"), doubt("75"), doubt("9"), number("1")], PROVENANCE)
    for reading, truth in ((first, "16"), (second, "16"), (third, "90")):
        store.decide(reading, Truth(truth), by="ann", key=str(reading))
    figures = store.statistics()
    assert figures.confusions[0] == Confusion("5", "6", 2)
    assert set(figures.confusions[1:]) == {Confusion("7", "1", 1)}
    assert figures.wrong_length == 1
    (day,) = figures.days
    assert day.day == datetime.now(UTC).date()
    assert (day.outcomes, day.decided) == ({Outcome.READ: 2, Outcome.DOUBT: 2}, 3)
    assert day.confidence == pytest.approx(0.99)
    assert store.statistics(Filter(model="another")).days == ()
    assert sum(store.statistics(Filter(since=datetime.now(UTC))).outcomes.values()) == 0


OPINIONS = st.builds(Opinions, count=st.integers(0, 4), disputed=st.booleans(), controlled=st.booleans())


@given(st.integers(1, 10**6), st.sampled_from(list(Outcome)), st.floats(0, 1), OPINIONS)
def test_review_need(reading: int, outcome: Outcome, margin: float, opinions: Opinions) -> None:
    need = review_need(reading, outcome, margin, opinions=opinions, policy=NO_SAMPLES)
    if opinions.disputed:
        assert need
        assert need.purpose is Purpose.THIRD
    else:
        assert (need is not None) == (outcome is Outcome.DOUBT and opinions.count == 0)
    assert need is None or 0 <= need.priority <= 1


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_smaller_margin_has_a_higher_priority(first: float, second: float) -> None:
    needs = [review_need(1, Outcome.DOUBT, margin, policy=NO_SAMPLES) for margin in sorted((first, second))]
    assert needs[0]
    assert needs[1]
    assert needs[0].priority >= needs[1].priority
