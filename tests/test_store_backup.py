"""Backups: complete under load, verified, and restored whole or not at all."""

import hashlib
import json
import shutil
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from handigit.store import BrokenBackup, Role, Store, StoreError
from handigit.store.backup import backup, restore, restore_pictures
from handigit.store.integrity import check
from store_cases import NO_SAMPLES, PROVENANCE, everything, fill, number, page, spoil

pytest_plugins = ("store_server",)

Urls = Callable[[], str]


def picture_of(store: Store, reading: int) -> Path:
    """The file of a reading's page."""
    return store.pictures.path(store.reading(reading).picture or "")


@pytest.mark.parametrize("elsewhere", [False, True], ids=["same kind", "into SQLite"])
def test_a_backup_brings_everything_back(new_url: Urls, tmp_path: Path, elsewhere: bool) -> None:
    with Store.open(new_url(), files=tmp_path / "a", policy=NO_SAMPLES) as store:
        added = fill(store)
        before, secret = everything(store), store.accounts.add_token("t", Role.ADMIN)
        done = backup(store, tmp_path / "backup")
        assert (done.readings, done.pictures, done.omitted.damaged) == (3, 2, ())
    other = f"sqlite:///{tmp_path / 'other.db'}" if elsewhere else new_url()
    with Store.open(other, files=tmp_path / "b", policy=NO_SAMPLES) as store:
        store.add([number("555")], PROVENANCE, page=page(3))
        restore(store, tmp_path / "backup")
        assert everything(store) == before
        assert store.accounts.token(secret)
        assert check(store) == ()
        assert len(list(store.pictures.all())) == 2
        assert store.add([number("1")], PROVENANCE)[0] > max(added)


@pytest.mark.parametrize("how", ["altered", "missing", "not in SHA256SUMS"])
def test_a_broken_backup_changes_nothing(store: Store, tmp_path: Path, how: str) -> None:
    fill(store)
    folder = backup(store, tmp_path / "backup").folder
    (reading,) = store.add([number("42")], PROVENANCE, page=page(5))
    before = everything(store)
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS"):
        broken = tmp_path / "broken"
        shutil.copytree(folder, broken)
        copy = broken / file.relative_to(folder)
        {"altered": spoil, "missing": Path.unlink}.get(how, lambda p: p.with_name("x").touch())(copy)
        with pytest.raises(BrokenBackup, match=how):
            restore(store, broken)
        shutil.rmtree(broken)
    assert everything(store) == before
    assert store.picture(store.reading(reading).picture or "")


def test_a_backup_needs_a_new_folder(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="exists already"):
        backup(store, tmp_path)
    with pytest.raises(BrokenBackup, match="not a readable backup"):
        restore(store, tmp_path / "nothing")


def test_a_missing_or_broken_picture_is_named_and_the_rest_is_saved(store: Store, tmp_path: Path) -> None:
    ids = [store.add([number("7")], PROVENANCE, page=page(seed))[0] for seed in range(4)]
    missing, broken, empty = (picture_of(store, reading) for reading in ids[:3])
    missing.unlink()
    spoil(broken)
    empty.write_bytes(b"")
    done = backup(store, tmp_path / "backup")
    assert len(done.omitted.missing) == 1
    assert len(done.omitted.broken) == 2
    assert (done.readings, done.pictures, done.omitted.deleted) == (4, 1, ())
    manifest = json.loads((tmp_path / "backup" / "backup.json").read_text(encoding="utf-8"))
    assert sorted(manifest["omitted"]["missing"] + manifest["omitted"]["broken"]) == sorted(done.omitted.damaged)
    restore(store, tmp_path / "backup")  # what is missing in the store stays missing, and `check` names it
    assert [reading.id for reading in store.in_order()] == ids
    assert sum(not finding.harmless for finding in check(store)) == 3


@pytest.fixture
def deleting(store: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[int]], None]:
    """Deletes readings between the copy of the database and that of the pictures, as a client at work does."""
    doomed: list[int] = []
    read = store.pictures.read_verified

    def read_after_deletion(digest: str) -> bytes:
        if doomed:
            store.delete(doomed)
            doomed.clear()
        return read(digest)

    monkeypatch.setattr(store.pictures, "read_verified", read_after_deletion)
    return doomed.extend


def test_a_deletion_during_a_backup_is_a_deletion_after_restoring(
    store: Store, tmp_path: Path, deleting: Callable[[list[int]], None]
) -> None:
    ids = [store.add([number("7")], PROVENANCE, page=page(seed))[0] for seed in range(4)]
    deleting(ids[1:3])
    done = backup(store, tmp_path / "backup")
    assert len(done.omitted.deleted) == 2
    assert done.omitted.damaged == ()
    assert restore(store, tmp_path / "backup").readings == 2
    assert [reading.id for reading in store.in_order()] == [ids[0], ids[3]]
    assert check(store) == ()


def test_backups_succeed_while_clients_add_and_delete(store: Store, tmp_path: Path) -> None:
    added, stop = threading.Event(), threading.Event()

    def churn() -> None:
        pages = np.random.default_rng(1)
        while not stop.is_set():
            ids = [
                store.add([number("7")], PROVENANCE, page=pages.integers(0, 255, (9, 9), dtype=np.uint8))[0]
                for _ in range(3)
            ]
            added.set()
            store.delete(ids[:2])

    client = threading.Thread(target=churn)
    client.start()
    try:
        assert added.wait(30)
        for number_of in range(4):
            assert backup(store, tmp_path / str(number_of)).omitted.damaged == ()
    finally:
        stop.set()
        client.join()
    restore(store, tmp_path / "3")
    assert check(store) == ()


def test_single_pictures_come_back_and_nothing_else_changes(store: Store, tmp_path: Path) -> None:
    ids = [store.add([number("7")], PROVENANCE, page=page(seed))[0] for seed in range(3)]
    backup(store, tmp_path / "backup")
    (late,) = store.add([number("8")], PROVENANCE, page=page(9))
    before = everything(store)
    picture_of(store, ids[0]).unlink()
    spoil(picture_of(store, ids[1]))
    picture_of(store, late).unlink()
    done = restore_pictures(store, tmp_path / "backup")
    assert done.restored == 2
    assert done.still_missing == (store.reading(late).picture,)
    assert everything(store) == before
    store.delete([late])
    assert check(store) == ()


def test_a_damaged_file_is_replaced_when_its_picture_comes_again(store: Store) -> None:
    for damage in (spoil, lambda path: path.write_bytes(b"")):
        (first,) = store.add([number("7")], PROVENANCE, page=page(1))
        damage(picture_of(store, first))
        (again,) = store.add([number("7")], PROVENANCE, page=page(1))
        assert store.picture(store.reading(again).picture or "")


def test_an_id_is_never_given_again_after_a_restore(new_url: Urls, tmp_path: Path) -> None:
    with Store.open(new_url(), files=tmp_path / "a", policy=NO_SAMPLES) as store:
        ids = store.add([number(str(i)) for i in range(10)], PROVENANCE)
        store.delete(ids[5:])
        backup(store, tmp_path / "early")
        later = store.add([number("1")] * 5, PROVENANCE)
        restore(store, tmp_path / "early")  # over itself: the later ids were given, too
        assert store.add([number("2")], PROVENANCE)[0] > later[-1]
    for url in (new_url(), f"sqlite:///{tmp_path / 'fresh.db'}"):
        with Store.open(url, files=tmp_path / "b", policy=NO_SAMPLES) as fresh:
            restore(fresh, tmp_path / "early")
            assert fresh.add([number("3")], PROVENANCE)[0] > ids[-1]


def test_a_restore_never_sets_ids_back(new_url: Urls, tmp_path: Path) -> None:
    with Store.open(new_url(), files=tmp_path / "a") as small, Store.open(new_url(), files=tmp_path / "b") as large:
        small.add([number("1")], PROVENANCE)
        backup(small, tmp_path / "backup")
        given = large.add([number("1")] * 7, PROVENANCE)
        restore(large, tmp_path / "backup")
        assert large.add([number("2")], PROVENANCE)[0] > given[-1]


def test_a_backup_is_private(store: Store, tmp_path: Path) -> None:
    fill(store)
    backup(store, tmp_path / "backup")
    for path in [tmp_path / "backup", *(tmp_path / "backup").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_backup_of_the_first_format_is_restored(tmp_path: Path) -> None:
    """Without the list of omitted pictures."""
    with Store.open(f"sqlite:///{tmp_path / 'a.db'}", files=tmp_path / "a") as store:
        added = fill(store)
        folder = backup(store, tmp_path / "backup").folder
    manifest = json.loads((folder / "backup.json").read_text(encoding="utf-8"))
    del manifest["omitted"]
    (folder / "backup.json").write_text(json.dumps(manifest), encoding="utf-8")
    sums = folder / "SHA256SUMS"
    lines = [line for line in sums.read_text(encoding="utf-8").splitlines() if "backup.json" not in line]
    digest = hashlib.sha256((folder / "backup.json").read_bytes()).hexdigest()
    sums.write_text("\n".join([*lines, f"{digest}  backup.json"]) + "\n", encoding="utf-8")
    with Store.open(f"sqlite:///{tmp_path / 'b.db'}", files=tmp_path / "b") as store:
        restore(store, folder)
        assert [reading.id for reading in store.in_order()] == list(added)
