"""The store: adding readings, correcting them, and deleting them."""

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handigit.records import Outcome
from handigit.store import BadTruth, Filter, KeyReused, NewPage, NotInStore, Order, Store, StoreError, Truth
from store_cases import PROVENANCE, doubt, number, page

pytest_plugins = ("store_server",)


def texts(store: Store, **filters: object) -> list[str]:
    return [reading.text for reading in store.readings(Filter(**filters)).readings]  # type: ignore[arg-type]


def test_a_reading_comes_back_as_it_was_added(store: Store) -> None:
    read = number("007")
    (added,) = store.add([read], PROVENANCE, page=page())
    reading = store.reading(added)
    assert reading.number.as_dict(source="s", model="m") == read.as_dict(source="s", model="m")
    assert (reading.provenance, reading.truth, reading.text, reading.disputed) == (PROVENANCE, None, "007", False)
    assert abs(datetime.now(UTC) - reading.at) < timedelta(minutes=1)
    assert reading.number.digits[0].probabilities == read.digits[0].probabilities


def test_a_picture_is_stored_once_and_without_metadata(store: Store) -> None:
    first, second = (store.reading(store.add([number("1")], PROVENANCE, page=page())[0]) for _ in range(2))
    assert first.picture
    assert first.picture == second.picture
    kept = Image.open(io.BytesIO(store.picture(first.picture)))
    np.testing.assert_array_equal(np.asarray(kept), page())
    assert kept.info == {}
    assert len(list(store.pictures.all())) == 1


def test_a_page_without_numbers_is_not_stored(store: Store) -> None:
    assert store.add([], PROVENANCE, page=page()) == ()
    assert not list(store.pictures.all())
    with pytest.raises(StoreError, match=r"shape \(3, 3, 4\)"):
        store.add([number("1")], PROVENANCE, page=np.zeros((3, 3, 4), np.uint8))


def test_several_pages_added_together_are_as_if_added_one_by_one(store: Store) -> None:
    entries = [
        NewPage([number("1"), doubt("2")], PROVENANCE, page(1)),
        NewPage([], PROVENANCE, page(2)),
        NewPage([number("3")], replace(PROVENANCE, source="b"), page(1)),
        NewPage([number("4")], PROVENANCE),
    ]
    added = store.add_many(entries)
    assert [len(ids) for ids in added] == [2, 0, 1, 1]
    kept = [[store.reading(one) for one in ids] for ids in added]
    assert [[one.text for one in ids] for ids in kept] == [["1", "2"], [], ["3"], ["4"]]
    assert [one.provenance.source for ids in kept for one in ids] == [
        PROVENANCE.source,
        PROVENANCE.source,
        "b",
        PROVENANCE.source,
    ]
    assert kept[0][0].picture == kept[0][1].picture == kept[2][0].picture != kept[3][0].picture
    assert len(list(store.pictures.all())) == 1
    assert store.waiting().doubts == 1


def test_a_page_with_a_key_is_stored_once(store: Store) -> None:
    first = NewPage([number("1"), doubt("2")], PROVENANCE, page(1), key="ann:k:0")
    second = NewPage([replace(number("3"), page=1)], PROVENANCE, page(2), key="ann:k:0")
    other = NewPage([number("1"), doubt("2")], PROVENANCE, page(1), key="bob:k:0")
    ids, twice, more = store.add_many([first, first, second])
    assert ids == twice != more
    assert store.add_many([second, other, first])[::2] == [more, ids]
    assert len(store.readings().readings) == 5
    assert store.waiting().doubts == 2
    (refused,) = store.add_many([NewPage([number("1"), doubt("2")], PROVENANCE, page(3), key="ann:k:0")])
    assert isinstance(refused, KeyReused)
    store.delete(list(ids))
    assert store.add_many([first]) not in ([ids], [refused])


def test_a_page_that_cannot_be_stored_does_not_affect_others(store: Store) -> None:
    bad = np.zeros((3, 3, 4), np.uint8)
    added = store.add_many([NewPage([number(text)], PROVENANCE, given) for text, given in (("1", bad), ("2", page()))])
    assert isinstance(added[0], StoreError)
    assert added[1] == (store.readings().readings[0].id,)
    assert texts(store) == ["2"]


def test_nothing_is_stored_when_the_database_refuses_one_page(store: Store) -> None:
    beyond = replace(number("2"), page=2**70)  # no database has such an integer
    with pytest.raises((StoreError, OverflowError)):
        store.add_many([NewPage([number("1")], PROVENANCE, page()), NewPage([beyond], PROVENANCE)])
    assert texts(store) == []


def test_a_correction_is_the_value_until_it_is_undone(store: Store) -> None:
    (added,) = store.add([doubt("15")], PROVENANCE)
    said = store.decide(added, Truth("16"), by="ann", key="k1")
    assert (said.raw, said.truth.text, said.model, said.model_digest) == ("15", "16", "digit", "d" * 64)
    assert store.reading(added).text == "16"
    assert store.reading(added).number.text == "15"
    store.decide(added, Truth("18"), by="ann", key="k2")
    assert store.reading(added).text == "18"
    undone = store.undo(store.history(added)[1].id, by="bob")
    assert undone.undone_by == "bob"
    assert store.undo(undone.id, by="ann") == undone  # once is enough
    assert store.reading(added).text == "16"
    store.undo(said.id, by="ann")
    assert store.reading(added).truth is None
    assert len(store.history(added)) == 2


def test_the_majority_decides_and_a_tie_is_disputed(store: Store) -> None:
    (added,) = store.add([doubt("15")], PROVENANCE)
    store.decide(added, Truth("16"), by="ann", key="1")
    store.decide(added, Truth("19"), by="bob", key="1")
    assert (store.reading(added).text, store.reading(added).disputed) == ("19", True)
    store.decide(added, Truth("16"), by="cem", key="1")
    assert (store.reading(added).text, store.reading(added).disputed) == ("16", False)


def test_a_key_is_recorded_once_and_for_one_decision(store: Store) -> None:
    first, second = store.add([doubt("15"), doubt("17")], PROVENANCE)
    said = store.decide(first, Truth("16"), by="ann", key="k")
    assert store.decide(first, Truth("16"), by="ann", key="k") == said
    assert len(store.history(first)) == 1
    for reading, truth in ((first, "17"), (second, "16")):
        with pytest.raises(KeyReused, match="another decision"):
            store.decide(reading, Truth(truth), by="ann", key="k")
    assert store.decide(first, Truth("17"), by="bob", key="k").by == "bob"


@pytest.mark.parametrize("text", ["", "-", "٣", " 12", "1\n2", "1" * 65, "=1+1", "@1", "12abc", "<b>1</b>"])
def test_a_correction_is_a_number_as_it_is_written(text: str) -> None:
    with pytest.raises(BadTruth, match="1 to 64 characters"):
        Truth(text)


def test_a_correction_can_say_that_there_is_no_number(store: Store) -> None:
    (added,) = store.add([doubt("15")], PROVENANCE)
    store.decide(added, Truth(outcome=Outcome.BLANK), by="ann", key="k")
    assert (store.reading(added).outcome, store.reading(added).text) == (Outcome.BLANK, "")
    with pytest.raises(BadTruth, match="must be empty"):
        Truth("1", Outcome.NOT_A_NUMBER)
    with pytest.raises(BadTruth, match="doubt"):
        Truth("", Outcome.DOUBT)


@pytest.mark.parametrize("number_of", [0, -1, 99, 2**63, 2**70])
def test_a_missing_id_is_named(store: Store, number_of: int) -> None:
    for ask in (store.reading, store.history):
        with pytest.raises(NotInStore, match=str(number_of)):
            ask(number_of)
    with pytest.raises(NotInStore):
        store.decide(number_of, Truth("1"), by="ann", key="k")
    with pytest.raises(NotInStore):
        store.undo(number_of, by="ann")
    with pytest.raises(NotInStore):
        store.release(number_of, by="ann")
    with pytest.raises(NotInStore, match="picture"):
        store.picture("0" * 64)
    assert store.delete([number_of]).readings == 0


def test_every_filter_narrows_the_list(store: Store) -> None:
    store.add([number("123"), doubt("456")], PROVENANCE)
    middle = datetime.now(UTC)
    third, fourth = store.add([number("789"), doubt("100%_")], PROVENANCE.__class__("b", "other", "e" * 64))
    store.decide(third, Truth("12"), by="ann", key="k")
    assert texts(store) == ["100", "12", "456", "123"]
    assert texts(store, outcome=Outcome.DOUBT) == ["100", "456"]
    assert texts(store, model="other") == ["100", "12"]
    assert texts(store, since=middle) == ["100", "12"]
    assert texts(store, until=middle) == ["456", "123"]
    assert texts(store, contains="12") == ["12", "123"]
    assert texts(store, contains="789") == []  # not what it says any more
    assert texts(store, contains="%_") == ["100"]
    assert texts(store, corrected=True) == ["12"]
    assert texts(store, corrected=False, outcome=Outcome.READ) == ["123"]
    assert store.reading(fourth).corrected is False


@pytest.mark.parametrize("order", ["newest", "oldest", "confidence", "source"])
def test_every_order_continues_after_its_last_reading(store: Store, order: Order) -> None:
    for name, confidence in (("b.png", 0.5), ("a.png", 0.9), ("b.png", 0.5), ("c.png", 0.2), ("a.png", 0.5)):
        store.add([number("7", confidence=confidence)], replace(PROVENANCE, source=name), page=page())
    keys = {
        "newest": lambda reading: -reading.id,
        "oldest": lambda reading: reading.id,
        "confidence": lambda reading: (reading.number.confidence, reading.id),
        "source": lambda reading: (reading.provenance.source, reading.id),
    }
    expected = [reading.id for reading in sorted(store.all(), key=keys[order])]
    listed: list[int] = []
    after = None
    while True:
        part = store.readings(after=after, limit=2, order=order)
        listed += [reading.id for reading in part.readings]
        if not listed[2:]:  # a reading that comes first in each order does not shift the next pages
            store.add([number("7", confidence=0.1)], replace(PROVENANCE, source="0.png"), page=page())
        if (after := part.after) is None:
            break
    assert [reading for reading in listed if reading in expected] == expected
    assert len(set(listed)) == len(listed)


def test_pages_do_not_shift_while_readings_arrive(store: Store) -> None:
    store.add([number(str(i)) for i in range(5)], PROVENANCE)
    first = store.readings(limit=2)
    store.add([number("9")], PROVENANCE)
    second = store.readings(after=first.after, limit=2)
    last = store.readings(after=second.after, limit=2)
    assert [r.text for page in (first, second, last) for r in page.readings] == ["4", "3", "2", "1", "0"]
    assert last.after is None
    assert store.readings(after=2**70, limit=10**9).after is None


def test_hostile_names_are_only_text(store: Store) -> None:
    for source in ("../../etc/passwd", "a\0b", "\ud800.png", "'); DROP TABLE readings; --", "x" * 5000):
        (added,) = store.add([number("1")], PROVENANCE.__class__(source, "m", "d"))
        assert store.reading(added).provenance.source.startswith(source[:1].replace("\ud800", "?"))
    assert store.decide(1, Truth("2"), by="a\0", key="\udfff").by == "a\ufffd"
    store.readings(Filter(contains="\ud800\0", model="\0"))


def test_jsonl_has_one_reading_per_line(store: Store) -> None:
    first, second = store.add([number("007"), doubt("15")], PROVENANCE, page=page())
    store.decide(second, Truth("16"), by="ann", key="k")
    lines = [json.loads(line) for line in store.export(format="jsonl")]
    assert [line["id"] for line in lines] == [second, first]
    assert lines[0]["truth"] == {"text": "16", "value": 16, "outcome": "read"}
    assert (lines[1]["text"], lines[1]["truth"], lines[1]["box"]) == ("007", None, [0, 0, 30, 12])


def test_deletion_leaves_nothing(store: Store, tmp_path: Path) -> None:
    secret = "8675309" * 3
    kept, doomed = store.add([number("1")], PROVENANCE, page=page(1)) + store.add(
        [doubt(secret)], PROVENANCE, page=page(2)
    )
    lease = store.lease("ann")
    assert lease
    said = store.decide(doomed, Truth("7" * 21), by="ann", key="k", lease=lease.id)
    store.undo(said.id, by="ann")
    gone = store.delete([doomed, doomed])
    assert (gone.readings, gone.pictures) == (1, 1)
    with pytest.raises(NotInStore):
        store.reading(doomed)
    assert [reading.id for reading in store.readings().readings] == [kept]
    assert len(list(store.pictures.all())) == 1
    assert store.lease("ann") is None
    if store.database.is_sqlite:
        for file in tmp_path.glob("*.db*"):
            assert secret.encode() not in file.read_bytes()
            assert b"7" * 21 not in file.read_bytes()


def test_a_picture_is_deleted_with_its_last_reading(store: Store) -> None:
    first, second = (store.add([number("1")], PROVENANCE, page=page())[0] for _ in range(2))
    assert store.delete([first]).pictures == 0
    assert store.picture(store.reading(second).picture or "")
    assert store.delete([second]).pictures == 1


def test_retention_deletes_old_readings(store: Store) -> None:
    store.add([number("1")], PROVENANCE, page=page(1))
    moment = datetime.now(UTC)
    store.add([number("2")], PROVENANCE, page=page(2))
    gone = store.forget(before=moment)
    assert (gone.readings, gone.pictures) == (1, 1)
    assert texts(store) == ["2"]


def test_a_deleted_id_is_never_given_again(store: Store) -> None:
    (first,) = store.add([number("1")], PROVENANCE)
    store.delete([first])
    assert store.add([number("2")], PROVENANCE)[0] > first


def test_a_reopened_store_has_everything(url: str, tmp_path: Path) -> None:
    with Store.open(url, files=tmp_path / "p") as first:
        (added,) = first.add([number("12")], PROVENANCE, page=page())
        first.ping()
    with Store.open(url, files=tmp_path / "p") as again:
        assert again.reading(added).text == "12"


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("mysql://root:secret@host/x", "'mysql'"),
        ("nonsense", "not a database URL"),
        ("postgresql://handigit:secret@127.0.0.1:1/none", "refused"),
    ],
)
def test_an_unusable_url_is_explained_without_its_password(where: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=said) as caught:
        Store.open(where, files=tmp_path)
    assert "secret" not in str(caught.value)
