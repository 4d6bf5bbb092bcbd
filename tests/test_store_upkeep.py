"""Operating a store: migrations, checks, retention, file modes, a full disk, and training pictures."""

import csv
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from bench.store.older import copy_as
from handigit.data import load
from handigit.forms.page_state import PageState
from handigit.forms.record import Field, FieldOutcome, Page, Record, RecordOutcome
from handigit.forms.specs import Kind as FieldKind
from handigit.records import Box, Outcome
from handigit.store import Filter, Policy, Provenance, Store, StoreError, Truth
from handigit.store.database import Database
from handigit.store.integrity import check
from handigit.store.schema import current_revision, latest_revision, revisions, upgrade
from handigit.store.tables import metadata
from handigit.store.training_export import crop_number, export_corrections
from store_cases import NO_SAMPLES, PROVENANCE, doubt, everything, fill, number, page, spoil

pytest_plugins = ("store_server",)

Urls = Callable[[], str]


def test_the_migrations_lead_to_the_tables(url: str) -> None:
    database = Database(url)
    upgrade(database)
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert current_revision(connection) == latest_revision()
    database.close()


def test_an_older_database_is_upgraded_with_its_rows(url: str, tmp_path: Path) -> None:
    database = Database(url)
    upgrade(database, to="0001")
    row = (
        "INSERT INTO readings (kind, source, page, outcome, text, raw, confidence, digits, alternatives, model, "
        "model_digest, request_id, at) VALUES ('number', 's', 0, '{}', '12', '12', 0.6, '[]', '[]', 'm', 'd', '', 5)"
    )
    with database.writing() as connection:
        for outcome in ("doubt", "read", "doubt"):
            connection.execute(text(row.format(outcome)))
        said = "INSERT INTO corrections (reading, outcome, text, by, key, at) VALUES (3, 'read', '13', 'ann', 'k', 6)"
        connection.execute(text(said))
    database.close()
    with Store.open(url, files=tmp_path / "p") as store:
        assert [(r.id, r.text) for r in store.readings().readings] == [(3, "13"), (2, "12"), (1, "12")]
        lease = store.lease("bob")
        assert lease
        assert lease.reading.id == 1
        assert store.lease("bob") is None
        assert check(store) == ()


def fill_all(store: Store) -> None:
    """Readings with all that belongs to them, accounts, and a form that lacks a page, with a change."""
    fill(store)
    where = Page("pile.pdf", 0, PageState.PLACED, form_page=1, method="markers", agreement=0.9)
    amount = Field("amount", FieldKind.NUMBER, FieldOutcome.READ, raw="12", text="12", confidence=0.9)
    form = Record(RecordOutcome.DOUBT, "votes", 3, "c1", {"amount": amount}, pages=(where,), missing=(2,))
    record = store.forms.add(form.to_json(), key="k", pages={1: page(5)}, request_id="monday", batch="monday")
    store.forms.change(record, "amount", "13", by="ann", key="c")


@pytest.mark.parametrize("revision", revisions()[:-1])
def test_a_database_of_every_revision_is_upgraded_with_all_it_holds(
    new_url: Urls, tmp_path: Path, revision: str
) -> None:
    files, old_url = tmp_path / "pictures", new_url()
    with Store.open(new_url(), files=files, policy=NO_SAMPLES) as newest:
        fill_all(newest)
        old = Database(old_url)
        copy_as(newest.database, old, revision)
        old.close()
        readings, forms, batches = everything(newest), newest.forms.list(), newest.forms.batches()
        users, last = newest.accounts.users(), max(reading.id for reading in newest.all())
    with Store.open(old_url, files=files, policy=NO_SAMPLES) as store:
        assert everything(store) == readings
        if revision >= "0003":
            assert store.accounts.users() == users
            assert store.accounts.sign_in("ann", "correct horse")
        if revision >= "0005":
            assert store.forms.list() == forms
            assert store.forms.batches() == batches
        assert [finding.what for finding in check(store) if not finding.harmless] == []
        assert store.add([number("1")], PROVENANCE)[0] > last


def test_a_newer_database_is_refused(url: str, tmp_path: Path) -> None:
    Store.open(url, files=tmp_path / "p").close()
    database = Database(url)
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(StoreError, match=r"step 9999.*install the newer"):
        Store.open(url, files=tmp_path / "p")


def test_a_check_finds_what_is_wrong(store: Store) -> None:
    first, second, _ = fill(store)
    assert check(store) == ()
    digest = store.reading(first).picture or ""
    spoil(store.pictures.path(digest))
    store.pictures.put("f" * 64, b"stray")
    part = store.pictures.folder / "ff" / ".x.part"
    part.touch()
    findings = {finding.what: finding.harmless for finding in check(store)}
    assert findings == {
        f"picture {digest} is altered; bring it back with `handigit store restore BACKUP --pictures-only`, "
        "or delete its readings": False,
        f"picture {'f' * 64} belongs to no reading; --sweep deletes it": True,
        ".x.part is half-written; --sweep deletes it": True,
    }
    assert store.sweep() == 1  # someone may still be writing the part
    os.utime(part, (0, 0))
    assert store.sweep() == 1
    store.pictures.remove(digest)
    with store.database.writing() as connection:
        connection.execute(text("DELETE FROM queue"))
    said = [finding.what for finding in check(store) if not finding.harmless]
    assert said[0].startswith(f"picture {digest} is missing")
    assert any("should be in the review queue" in what for what in said)
    assert store.reading(second).text == "16"


def test_dangling_rows_are_found(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path / 'a.db'}", files=tmp_path / "p") as store:
        added = fill(store)
        with store.database.engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
            connection.exec_driver_sql("BEGIN")
            connection.execute(text("DELETE FROM readings WHERE id = :id"), {"id": added[1]})
            connection.exec_driver_sql("COMMIT")
            connection.invalidate()
        assert "1 rows of corrections refer to missing rows of readings" in [f.what for f in check(store)]


def test_decisions_become_training_pictures(store: Store, tmp_path: Path) -> None:
    grey = np.full((40, 80), 240, np.uint8)
    grey[2:10, 3:6] = grey[2:10, 14:17] = grey[2:10, 24:26] = 20
    two, long, undecided, disputed = store.add(
        [doubt("15"), doubt("158"), doubt("3"), doubt("4")], PROVENANCE, page=grey
    )
    (single,) = store.add([number("7")], Provenance("s", "m", "d", kind="digit"), page=grey)
    (faceless,) = store.add([doubt("6")], PROVENANCE)
    (nothing,) = store.add([doubt("8")], PROVENANCE, page=grey)
    said = {two: "16", long: "15", disputed: "4", single: "1", faceless: "5"}
    for reading, truth in said.items():
        store.decide(reading, Truth(truth), by="ann", key=str(reading))
    store.decide(disputed, Truth("9"), by="bob", key="b")
    store.decide(nothing, Truth(outcome=Outcome.NOT_A_NUMBER), by="ann", key="n")
    done = export_corrections(store, tmp_path / "out")
    assert (done.digits, done.numbers, done.without_picture) == (3, 2, 1)
    labels = list(csv.reader((tmp_path / "out" / "numbers" / "labels.csv").open(encoding="utf-8")))
    assert labels == [["file", "text"], [f"{long}.png", "15"], [f"{two}.png", "16"]]
    learnt = load(str(tmp_path / "out" / "digits"), folder=tmp_path)
    assert learnt.labels is not None
    assert learnt.labels.tolist() == [1, 1, 6]
    assert not learnt.skipped
    assert undecided not in said
    with pytest.raises(StoreError, match="exists already"):
        export_corrections(store, tmp_path / "out")
    with pytest.raises(StoreError, match="nothing to export"):
        export_corrections(store, tmp_path / "none", Filter(model="another"))


@pytest.mark.parametrize("ink", [0, 255])
def test_a_crop_has_a_margin_of_its_own_paper(ink: int) -> None:
    grey = np.full((30, 40), 255 - ink, np.uint8)
    grey[5:15, 8:12] = ink
    grey[5:15, 12:20] = ink  # the neighbour touches
    cut = crop_number(grey, Box(8, 5, 12, 15))
    assert cut.shape == (10 + 8, 4 + 8)
    assert (cut[4:-4, 4:-4] == ink).all()
    assert (cut[:4] == 255 - ink).all()
    assert crop_number(grey, None) is grey
    assert crop_number(grey, Box(90, 90, 95, 95)) is grey


def test_a_policy_belongs_to_the_open_store_not_to_the_database(url: str, tmp_path: Path) -> None:
    with Store.open(url, files=tmp_path, policy=Policy(control_share=1)) as store:
        store.add([number("1")], PROVENANCE)
        assert store.waiting().controls == 1
    with Store.open(url, files=tmp_path, policy=NO_SAMPLES) as store:
        store.add([number("2")], PROVENANCE)
        assert store.waiting().controls == 1
