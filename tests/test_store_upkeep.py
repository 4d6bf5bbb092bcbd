"""What an operator does with the store: migrations, backups, checks, pictures to learn from, new models."""

import csv
import itertools
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from handigit.data import load
from handigit.evaluate.promotion import PromotionRefused, compare, install, mcnemar, require_no_loss
from handigit.records import Box, Outcome
from handigit.store import BrokenBackup, Filter, Policy, Provenance, Role, Store, StoreError, Truth
from handigit.store.backup import backup, restore
from handigit.store.database import Database
from handigit.store.integrity import check
from handigit.store.schema import current_revision, latest_revision, upgrade
from handigit.store.tables import metadata
from handigit.store.training_export import cut_out, export_corrections
from store_cases import NO_SAMPLES, PROVENANCE, doubt, number, page

pytest_plugins = ("store_server",)

Urls = Callable[[], str]


def fill(store: Store) -> tuple[int, ...]:
    """Two pages, three readings, a correction, an undone one, a lease, and accounts."""
    added = store.add([number("007"), doubt("15")], PROVENANCE, page=page(1)) + store.add(
        [doubt("9")], PROVENANCE, page=page(2)
    )
    store.decide(added[1], Truth("16"), by="ann", key="1")
    store.undo(store.decide(added[2], Truth(outcome=Outcome.BLANK), by="ann", key="2").id, by="bob")
    store.lease("cem")
    store.accounts.add_user("ann", "correct horse", Role.REVIEWER)
    store.accounts.sign_in("ann", "correct horse")
    store.accounts.add_token("till", Role.READER)
    return added


def everything(store: Store) -> list[str]:
    return [*store.export(format="jsonl"), *(str(store.history(r.id)) for r in store.all())]


def test_the_steps_lead_to_the_tables(url: str) -> None:
    database = Database(url)
    upgrade(database)
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert current_revision(connection) == latest_revision()
    database.close()


def test_an_older_database_is_brought_up_with_what_is_in_it(url: str, tmp_path: Path) -> None:
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


def test_a_newer_database_is_refused(url: str, tmp_path: Path) -> None:
    Store.open(url, files=tmp_path / "p").close()
    database = Database(url)
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(StoreError, match=r"step 9999.*install the newer"):
        Store.open(url, files=tmp_path / "p")


@pytest.mark.parametrize("elsewhere", [False, True], ids=["same kind", "into SQLite"])
def test_a_backup_brings_everything_back(new_url: Urls, tmp_path: Path, elsewhere: bool) -> None:
    with Store.open(new_url(), files=tmp_path / "a", policy=NO_SAMPLES) as store:
        added = fill(store)
        before, secret = everything(store), store.accounts.add_token("t", Role.ADMIN)
        done = backup(store, tmp_path / "backup")
        assert (done.readings, done.pictures) == (3, 2)
    other = f"sqlite:///{tmp_path / 'other.db'}" if elsewhere else new_url()
    with Store.open(other, files=tmp_path / "b", policy=NO_SAMPLES) as store:
        store.add([number("555")], PROVENANCE, page=page(3))
        restore(store, tmp_path / "backup")
        assert everything(store) == before
        assert store.accounts.token(secret)
        assert check(store) == ()
        assert len(list(store.pictures.all())) == 2
        assert store.add([number("1")], PROVENANCE)[0] > max(added)


def spoil(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["altered", "missing", "not on the list"])
def test_a_broken_backup_changes_nothing(store: Store, tmp_path: Path, how: str) -> None:
    fill(store)
    folder = backup(store, tmp_path / "backup").folder
    (reading,) = store.add([number("42")], PROVENANCE, page=page(5))
    before = everything(store)
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS"):
        broken = tmp_path / "broken"
        shutil.copytree(folder, broken)
        copy = broken / file.relative_to(folder)
        {"altered": spoil, "missing": Path.unlink, "not on the list": lambda p: p.with_name("x").touch()}[how](copy)
        with pytest.raises(BrokenBackup, match=how):
            restore(store, broken)
        shutil.rmtree(broken)
    assert everything(store) == before
    assert store.picture(store.reading(reading).picture or "")


def test_a_backup_needs_a_new_folder(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there already"):
        backup(store, tmp_path)
    with pytest.raises(BrokenBackup, match="no backup"):
        restore(store, tmp_path / "nothing")


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
        f"picture {digest} is altered; restore it from a backup": False,
        f"picture {'f' * 64} belongs to no reading": True,
        ".x.part was left half-written": True,
    }
    assert store.sweep() == 1  # the part may still be being written
    os.utime(part, (0, 0))
    assert store.sweep() == 1
    store.pictures.remove(digest)
    with store.database.writing() as connection:
        connection.execute(text("DELETE FROM queue"))
    said = [finding.what for finding in check(store) if not finding.harmless]
    assert said[0].startswith(f"picture {digest} is missing")
    assert any("should wait for review" in what for what in said)
    assert store.reading(second).text == "16"


def test_rows_that_refer_to_nothing_are_found(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path / 'a.db'}", files=tmp_path / "p") as store:
        added = fill(store)
        with store.database.engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
            connection.exec_driver_sql("BEGIN")
            connection.execute(text("DELETE FROM readings WHERE id = :id"), {"id": added[1]})
            connection.exec_driver_sql("COMMIT")
            connection.invalidate()
        assert "1 rows of corrections refer to readings that are not there" in [f.what for f in check(store)]


def test_decisions_become_pictures_to_learn_from(store: Store, tmp_path: Path) -> None:
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
    with pytest.raises(StoreError, match="there already"):
        export_corrections(store, tmp_path / "out")
    with pytest.raises(StoreError, match="nothing to export"):
        export_corrections(store, tmp_path / "none", Filter(model="another"))


@pytest.mark.parametrize("ink", [0, 255])
def test_a_digit_is_cut_out_onto_its_own_paper(ink: int) -> None:
    grey = np.full((30, 40), 255 - ink, np.uint8)
    grey[5:15, 8:12] = ink
    grey[5:15, 12:20] = ink  # the neighbour touches
    cut = cut_out(grey, Box(8, 5, 12, 15))
    assert cut.shape == (10 + 8, 4 + 8)
    assert (cut[4:-4, 4:-4] == ink).all()
    assert (cut[:4] == 255 - ink).all()
    assert cut_out(grey, None) is grey
    assert cut_out(grey, Box(90, 90, 95, 95)) is grey


def right(pattern: str) -> np.ndarray:
    return np.array([sign == "+" for sign in pattern], dtype=bool)


@pytest.mark.parametrize(
    ("lost", "gained", "chance"), [(0, 0, 1), (0, 9, 1), (1, 0, 0.5), (5, 0, 1 / 32), (3, 1, 5 / 16)]
)
def test_the_paired_test_is_exact(lost: int, gained: int, chance: float) -> None:
    assert mcnemar(lost, gained) == pytest.approx(chance)


@given(st.integers(0, 30), st.integers(0, 30))
def test_a_net_loss_is_what_chance_gives_at_most_half_the_time(lost: int, gained: int) -> None:
    assert (mcnemar(lost, gained) <= 0.5) == (lost > gained)


@pytest.mark.slow
def test_the_paired_test_agrees_with_counting_every_outcome() -> None:
    for lost, gained in itertools.product(range(6), repeat=2):
        throws = list(itertools.product((0, 1), repeat=lost + gained))
        assert mcnemar(lost, gained) == pytest.approx(sum(sum(t) >= lost for t in throws) / len(throws))


def test_a_model_that_loses_is_refused_with_figures(tmp_path: Path) -> None:
    answers = {"live": right("++++-"), "better": right("+++++"), "worse": right("+++--"), "equal": right("-++++")}

    def right_of(model: Path) -> np.ndarray:
        return answers[model.name]

    live = tmp_path / "live"
    assert require_no_loss(live, tmp_path / "better", right_of).gained == 1
    assert require_no_loss(live, tmp_path / "equal", right_of).chance == 0.75
    with pytest.raises(
        PromotionRefused, match=r"of 5 examples .* 2 wrong, the live one 1; it loses 1 .* gains 0.* 0\.5"
    ):
        require_no_loss(live, tmp_path / "worse", right_of)
    assert require_no_loss(live, tmp_path / "worse", right_of, significance=0.05).lost == 1
    with pytest.raises(StoreError, match="empty"):
        compare(right(""), right(""))


def test_a_promoted_model_leaves_the_one_before_beside_it(tmp_path: Path) -> None:
    live = tmp_path / "models" / "digit.onnx"
    for content in (b"one", b"two"):
        (tmp_path / "new").write_bytes(content)
        previous = install(tmp_path / "new", live, facts={"new": content.decode()})
    assert previous is not None
    assert (live.read_bytes(), previous.read_bytes(), previous.name) == (b"two", b"one", "digit.previous.onnx")
    lines = (live.parent / "promotions.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["new"] for line in lines] == ["one", "two"]
    assert install(previous, live, facts={}) == previous  # and back
    assert live.read_bytes() == b"one"


def test_a_policy_travels_with_the_store_not_with_the_database(url: str, tmp_path: Path) -> None:
    with Store.open(url, files=tmp_path, policy=Policy(control_share=1)) as store:
        store.add([number("1")], PROVENANCE)
        assert store.waiting().controls == 1
    with Store.open(url, files=tmp_path, policy=NO_SAMPLES) as store:
        store.add([number("2")], PROVENANCE)
        assert store.waiting().controls == 1
