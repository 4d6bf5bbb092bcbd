"""Records of forms in the store: stored once, corrected by field, checked again, and deleted with their pages."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text as sql

from handigit.forms import PageState, Record
from handigit.forms.record import Page, RecordOutcome
from handigit.store import BadTruth, KeyReused, NotInStore, Store
from handigit.store.backup import backup, restore
from handigit.store.database import Database
from handigit.store.integrity import check
from handigit.store.schema import upgrade
from store_cases import PROVENANCE, number, page

pytest_plugins = ("store_server",)


def content(outcome: str = "doubt", **fields: str) -> dict[str, Any]:
    """A record's JSON with number fields of these texts."""
    record = Record(RecordOutcome(outcome), template="votes", version=3, copy="c1", source="pile.pdf").to_json()
    return record | {"fields": {name: {"kind": "number", "text": text} for name, text in fields.items()}}


def add(store: Store, key: str = "k", seed: int = 1) -> int:
    return store.forms.add(content(a="12", b="13"), key=key, pages={1: page(seed), 2: page(seed + 1)}, request_id="r")


def test_a_record_comes_back_with_its_pages(store: Store) -> None:
    record = store.forms.get(add(store))
    assert record.content == content(a="12", b="13")
    assert sorted(record.pictures) == [1, 2]
    assert all(store.picture(digest) for digest in record.pictures.values())
    assert (record.changes, record.corrected, record.request_id) == ((), {}, "r")


def test_the_same_pages_template_and_model_give_one_record(store: Store) -> None:
    assert add(store) == add(store)
    assert len(store.forms.list()) == 1
    assert add(store, key="other") != add(store)


@pytest.mark.parametrize("deleted", [False, True])
def test_pictures_without_readings_or_forms_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, deleted: bool
) -> None:
    url, files = f"sqlite:///{tmp_path / 'handigit.db'}", tmp_path / "pictures"
    with Store.open(url, files=files) as store:
        add(store)
    if deleted:
        (tmp_path / "handigit.db").unlink()
    Store.open(url, files=files).close()
    assert ("but there are pictures" in caplog.text) is deleted


def test_every_change_of_a_field_is_kept_and_the_last_one_counts(store: Store) -> None:
    record = add(store)
    store.forms.change(record, "a", "12.50", by="ann", key="1")
    store.forms.change(record, "a", "13", by="bob", key="1")
    store.forms.change(record, "b", "7", by="ann", key="2")
    assert store.forms.get(record).corrected == {"a": "13", "b": "7"}
    store.forms.change(record, "b", None, by="ann", key="3")
    stored = store.forms.get(record)
    assert stored.corrected == {"a": "13"}
    assert [(change.field, change.text, change.by) for change in stored.changes] == [
        ("a", "12.50", "ann"),
        ("a", "13", "bob"),
        ("b", "7", "ann"),
        ("b", None, "ann"),
    ]
    assert stored.content == content(a="12", b="13")  # the result itself stays


def test_a_retry_is_recorded_once(store: Store) -> None:
    record = add(store)
    first = store.forms.change(record, "a", "5", by="ann", key="1")
    assert store.forms.change(record, "a", "5", by="ann", key="1") == first
    with pytest.raises(KeyReused):
        store.forms.change(record, "a", "6", by="ann", key="1")


def seen(state: str, *, pages: int = 1, missing: tuple[int, ...] = ()) -> dict[str, Any]:
    """A record's JSON with pages in this state."""
    template = "votes" if state == "placed" else ""
    found = tuple(Page("pile.pdf", number, PageState(state)) for number in range(pages))
    outcome = RecordOutcome.DOUBT if template else RecordOutcome.UNPLACED
    return Record(outcome, template=template, pages=found, missing=missing, source="pile.pdf").to_json()


def test_records_are_listed_and_counted_by_the_state_of_their_pages(store: Store) -> None:
    contents = [seen("placed", pages=2), seen("unplaced"), seen("placed", missing=(2,)), seen("duplicate")]
    ids = [store.forms.add(one, key=str(n), batch="pile") for n, one in enumerate(contents)]
    store.forms.add(seen("blank"), key="other", batch="other")
    (batch,) = store.forms.batches(name="pile")
    assert batch.states == {"placed": 3, "unplaced": 1, "duplicate": 1}
    assert batch.outcomes == {"doubt": 2, "unplaced": 2}
    assert (batch.incomplete, batch.records, batch.templates, batch.last) == (1, 4, ("votes",), ids[-1])
    assert [one.name for one in store.forms.batches()] == ["other", "pile"]
    assert store.forms.batches(name="nothing") == ()
    placed = store.forms.list(batch="pile", state="placed", oldest_first=True)
    assert [record.id for record in placed] == [ids[0], ids[2]]
    rest = store.forms.list(batch="pile", after=ids[1], limit=1, oldest_first=True)
    assert [record.id for record in rest] == [ids[2]]
    assert [record.id for record in store.forms.list(batch="pile", incomplete=True)] == [ids[2]]
    store.forms.revise(ids[1], seen("placed"), by="reader")
    assert store.forms.batches(name="pile")[0].states == {"placed": 4, "duplicate": 1}


def test_older_records_get_a_batch_and_the_state_of_their_pages(url: str, tmp_path: Path) -> None:
    database = Database(url)
    upgrade(database, to="0005")
    record = (
        "INSERT INTO form_records (template, version, copy, outcome, source, request_id, key, at) "
        "VALUES ('votes', 1, '', 'doubt', 's', :request, :request, 5)"
    )
    revision = "INSERT INTO form_revisions (record, content, by, at) VALUES (:record, :content, 'reader', 5)"
    with database.writing() as connection:
        for number, contents in enumerate(([seen("unplaced"), seen("placed", missing=(2, 3))], [seen("blank")]), 1):
            connection.execute(sql(record), {"request": f"r{number}"})
            for one in contents:
                connection.execute(sql(revision), {"record": number, "content": json.dumps(one)})
    database.close()
    with Store.open(url, files=tmp_path / "p") as store:
        second, first = store.forms.batches()
        assert (first.name, first.states, first.incomplete) == ("r1", {"placed": 1}, 1)
        assert (second.name, second.states, second.incomplete) == ("r2", {"blank": 1}, 0)
        assert check(store) == ()


def test_checks_applied_again_add_a_revision(store: Store) -> None:
    record = add(store)
    store.forms.revise(record, content("read", a="12", b="14"), by="checks")
    assert store.forms.get(record).content["outcome"] == "read"
    assert [(by, revision["fields"]["b"]["text"]) for _, by, revision in store.forms.revisions(record)] == [
        ("reader", "13"),
        ("checks", "14"),
    ]
    assert len(store.forms.list(outcome="read", template="votes")) == 1
    assert store.forms.list(outcome="doubt") == ()


def test_lists_continue_after_an_id(store: Store) -> None:
    ids = [add(store, key=str(i)) for i in range(3)]
    first = store.forms.list(limit=2)
    assert [record.id for record in first] == ids[:0:-1]
    assert [record.id for record in store.forms.list(after=first[-1].id)] == ids[:1]
    assert [record.id for record in store.forms.all(template="votes")] == ids[::-1]
    assert store.forms.list(template="other") == ()


@pytest.mark.parametrize("text", ["1" * 65, "1\n2"])
def test_a_change_is_a_short_printable_text(store: Store, text: str) -> None:
    with pytest.raises(BadTruth):
        store.forms.change(add(store), "a", text, by="ann", key="1")


def test_a_missing_record_or_field_is_named(store: Store) -> None:
    for ask in (store.forms.get, store.forms.revisions):
        with pytest.raises(NotInStore, match="no form record 99"):
            ask(99)
    with pytest.raises(NotInStore, match="no field 'c'"):
        store.forms.change(add(store), "c", "1", by="ann", key="1")


def test_a_picture_is_deleted_with_its_last_user(store: Store) -> None:
    (reading,) = store.add([number("1")], PROVENANCE, page=page(1))
    record = add(store, seed=1)  # its first page is the reading's
    store.forms.change(record, "a", "1", by="ann", key="1")
    assert store.delete([reading]).pictures == 0
    assert store.forms.delete([record, 99]).pictures == 2
    assert list(store.pictures.all()) == []
    assert check(store) == ()
    assert store.forms.forget(before=datetime.now(UTC)).readings == 0


def test_a_backup_has_records(store: Store, tmp_path: Path) -> None:
    record = add(store)
    store.forms.change(record, "a", "1", by="ann", key="1")
    before: Mapping[str, Any] = store.forms.get(record).content
    backup(store, tmp_path / "backup")
    store.forms.delete([record])
    restore(store, tmp_path / "backup")
    assert store.forms.get(record).content == before
    assert store.forms.get(record).corrected == {"a": "1"}
    assert add(store, key="new") > record
