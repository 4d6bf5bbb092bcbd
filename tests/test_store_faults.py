"""The store when its surroundings fail: a lost file, a full disk, a wrong clock, curious neighbours."""

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import pytest
from sqlalchemy import event

from handigit.store import (
    LeaseLost,
    RetentionRefused,
    Role,
    Store,
    StoreDamaged,
    StoreError,
    StoreFull,
    TooManyAttempts,
    Truth,
)
from handigit.store.deletion import Reserve
from handigit.store.integrity import check
from store_cases import NO_SAMPLES, PROVENANCE, doubt, number, page


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@contextmanager
def opened(home: Path) -> Iterator[Store]:
    """A store in SQLite."""
    with Store.open(f"sqlite:///{home / 'handigit.db'}", files=home / "pictures", policy=NO_SAMPLES) as store:
        yield store


def add(store: Store, count: int) -> list[int]:
    return [store.add([number("7")], PROVENANCE, page=page(seed))[0] for seed in range(count)]


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_a_lost_database_file_is_noticed_before_a_write_is_lost(home: Path, how: str) -> None:
    with opened(home) as store:
        add(store, 1)
        store.ping()
        (home / "handigit.db").unlink()
        if how == "replaced":
            (home / "handigit.db").touch()
        with pytest.raises(StoreDamaged, match="deleted or replaced"):
            store.ping()
        with pytest.raises(StoreDamaged, match="restore the file or the last backup"):
            store.add([number("8")], PROVENANCE)


def read_all(home: Path) -> None:
    with opened(home) as store:
        assert any("restore" in finding.what for finding in check(store))
        list(store.all())


def test_a_damaged_database_says_restore(home: Path) -> None:
    with opened(home) as store:
        add(store, 50)
    path = home / "handigit.db"
    content = bytearray(path.read_bytes())
    content[4096 * 2 :] = b"\xaa" * (len(content) - 4096 * 2)
    path.write_bytes(content)
    with pytest.raises(StoreDamaged, match="restore the last backup"):
        read_all(home)


def test_a_lost_database_is_not_sound_and_its_pictures_are_not_swept(home: Path) -> None:
    with opened(home) as store:
        add(store, 3)
    for file in home.glob("handigit.db*"):
        file.unlink()
    with opened(home) as store:
        findings = check(store)
        assert [finding.harmless for finding in findings] == [False]
        assert "may have been lost" in findings[0].what
        with pytest.raises(StoreError, match="may have been lost"):
            store.sweep()
        assert len(list(store.pictures.all())) == 3
        assert store.sweep(force=True) == 3


def test_files_are_private(home: Path) -> None:
    with opened(home) as store:
        add(store, 1)
        for path in [home, home / "pictures", *home.glob("handigit*"), *home.glob("pictures/??"), *home.rglob("*.png")]:
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_home_that_others_can_read_is_named(home: Path) -> None:
    with opened(home) as store:
        add(store, 1)
        assert check(store) == ()
        home.chmod(0o755)
        store.pictures.folder.chmod(0o755)
        (finding,) = check(store)
        assert finding.harmless
        assert f"chmod -R go= {store.pictures.folder}" in finding.what


def test_a_wrong_clock_deletes_nothing(home: Path) -> None:
    with opened(home) as store:
        add(store, 20)
        a_year_ahead = datetime.now(UTC) + timedelta(days=365 - 90)
        with pytest.raises(RetentionRefused, match=r"20 of 20 readings and forms .* check the clock"):
            store.forget(before=a_year_ahead)
        assert len(list(store.all())) == 20
        assert store.forget(before=a_year_ahead, force=True).readings == 20


def test_the_usual_retention_goes_on(home: Path) -> None:
    with opened(home) as store:
        add(store, 9)
        middle = datetime.now(UTC)
        add(store, 11)
        assert store.forget(before=middle).readings == 9
        assert store.forget(before=middle).readings == 0


def shifted(**how: float) -> type[datetime]:
    """A clock that is wrong, by the arguments of `timedelta`."""

    class Wrong(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Wrong":
            return super().now(tz) + timedelta(**how)

    return Wrong


@pytest.mark.parametrize("days", [365, -365])
def test_a_clock_that_was_wrong_by_a_year_leaves_nothing_behind(
    home: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    right = "correct horse"
    with opened(home) as store:
        (reading,) = store.add([doubt("15")], PROVENANCE, page=page())
        store.accounts.add_user("ann", right, Role.ADMIN)
        with monkeypatch.context() as wrong:
            for module in ("accounts", "store"):
                wrong.setattr(f"handigit.store.{module}.datetime", shifted(days=days))
            lease, secret = store.lease("ann"), store.accounts.sign_in("ann", right) or ""
            assert lease
            assert store.accounts.session(secret)
            for _ in range(5):
                assert store.accounts.sign_in("ann", "a guess") is None
            with pytest.raises(TooManyAttempts):
                store.accounts.sign_in("ann", right)
        assert store.accounts.session(secret) is None
        assert store.accounts.sign_in("ann", right)
        held = store.lease("bob")
        assert held
        assert held.reading.id == reading
        with pytest.raises(LeaseLost):
            store.decide(reading, Truth("16"), by="ann", key="a", lease=lease.id)
        store.decide(reading, Truth("16"), by="bob", key="b", lease=held.id)
        assert store.forget(before=datetime.now(UTC) - timedelta(days=90)).readings == 0
        assert check(store) == ()


def test_clocks_of_two_servers_may_differ_by_minutes(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(home) as store:
        store.add([doubt("15")], PROVENANCE)
        store.accounts.add_user("ann", "correct horse", Role.ADMIN)
        with monkeypatch.context() as ahead:
            ahead.setattr("handigit.store.accounts.datetime", shifted(minutes=2))
            ahead.setattr("handigit.store.store.datetime", shifted(minutes=2))
            secret = store.accounts.sign_in("ann", "correct horse") or ""
            assert store.lease("ann")
        assert store.accounts.session(secret)
        assert store.lease("bob") is None


@contextmanager
def full_disk(store: Store, home: Path) -> Iterator[None]:
    """Refuses to change readings, as SQLite does on a full disk, while the reserve holds the space."""

    def refuse(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if (
            statement.startswith(("INSERT INTO readings", "DELETE FROM readings"))
            and (home / "handigit-reserve").exists()
        ):
            problem = sqlite3.OperationalError("database or disk is full")
            problem.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise problem

    event.listen(store.database.engine, "before_cursor_execute", refuse)
    try:
        yield
    finally:
        event.remove(store.database.engine, "before_cursor_execute", refuse)


def test_a_full_disk_is_named_and_readings_can_still_be_deleted(home: Path) -> None:
    with opened(home) as store:
        ids = add(store, 3)
        with full_disk(store, home):
            with pytest.raises(StoreFull, match="delete readings, or free some disk space"):
                store.add([number("8")], PROVENANCE)
            assert store.delete(ids).readings == 3
        assert (home / "handigit-reserve").exists()
        assert store.add([number("9")], PROVENANCE)
        assert check(store) == ()


def test_the_reserve_holds_space_and_gives_it_back(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "reserve", size=2**20)
    reserve.fill()
    assert (tmp_path / "reserve").stat().st_blocks * 512 >= 2**20
    reserve.fill()
    assert reserve.release()
    assert not reserve.release()
    assert list(tmp_path.iterdir()) == []
