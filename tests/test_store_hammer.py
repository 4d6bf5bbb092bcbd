"""The store under writers that are killed, and under many at once."""

import importlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from bench.store import upkeep
from handigit.store import Store, StoreBusy, write_lock
from handigit.store.database import Database
from handigit.store.schema import upgrade
from handigit.store.write_lock import FairLock, WriteLock

pytest_plugins = ("store_server",)


@pytest.fixture
def bench() -> ModuleType:
    """The benchmark that does at length what these tests do in short."""
    return importlib.import_module("bench.store.durability")


def test_acknowledged_writes_survive_kill_9_exactly_once(bench: ModuleType, url: str, tmp_path: Path) -> None:
    result = bench.kill_often(url, tmp_path, kills=2)
    assert result["acknowledged"] > 0
    assert (result["lost"], result["doubled"], result["findings"]) == (0, 0, 0)


def test_a_lost_correction_is_noticed(bench: ModuleType, tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path / 'a.db'}", files=tmp_path) as store:
        bench.hammer.seed_readings(store)
        keys = frozenset({"never written"})
        assert bench.count_lost(store, bench.hammer.Killed(tried=keys, acknowledged=keys))["lost"] == 1


def test_many_writers_never_meet_a_lock(bench: ModuleType, url: str, tmp_path: Path) -> None:
    result = bench.write_together(url, tmp_path, seconds=1)
    assert result["errors"] == {}
    assert result["writes"] >= 16 * bench.hammer.LEAST_WRITES


def test_threads_get_the_lock_in_the_order_in_which_they_asked() -> None:
    lock, served = FairLock(), []

    def serve(number: int) -> None:
        assert lock.acquire(60)
        served.append(number)
        lock.release()

    threads = [threading.Thread(target=serve, args=(number,)) for number in range(8)]
    assert lock.acquire(0)
    for number, thread in enumerate(threads, start=1):
        thread.start()
        while lock.waiting < number:
            time.sleep(0.001)  # a thread cannot report that it waits
    lock.release()
    for thread in threads:
        thread.join()
    assert served == list(range(8))


def test_a_lock_is_free_after_an_error_inside(tmp_path: Path) -> None:
    lock = WriteLock(tmp_path / "a.db")
    for _ in range(2):
        with pytest.raises(ValueError, match="inside"), lock:
            raise ValueError("inside")
    lock.close()


@pytest.fixture(params=["fcntl", "filelock"])
def lock_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the system's file locks, and as on Windows, which has no `fcntl`."""
    if request.param == "filelock":
        monkeypatch.setattr(write_lock, "fcntl", None)
    return str(request.param)


def test_a_lock_that_another_process_holds_ends_the_wait(tmp_path: Path, lock_kind: str) -> None:
    path = tmp_path / f"{lock_kind}.db"
    held, waiting = WriteLock(path), WriteLock(path, wait_s=0.05)
    with held, pytest.raises(StoreBusy, match=r"busy for 0\.05 s"), waiting:
        pytest.fail("the lock was given twice")
    with waiting:
        pass  # a failed wait leaves nothing locked
    with held:
        pass
    held.close()
    waiting.close()


def test_a_thread_that_gives_up_leaves_the_queue() -> None:
    lock = FairLock()
    assert lock.acquire(0)
    assert not lock.acquire(0.01)
    assert lock.waiting == 0
    lock.release()
    assert lock.acquire(0)


def test_a_write_reports_a_busy_store(url: str) -> None:
    database, other = Database(url, wait_s=0.05), Database(url, wait_s=0.05)
    upgrade(database)
    with database.writing(), pytest.raises(StoreBusy), other.writing():
        pytest.fail("two transactions write at the same time")
    with other.writing():
        pass
    database.close()
    other.close()


@pytest.mark.parametrize(("part", "kills"), [("kill_backups", 3), ("kill_restores", 3), ("kill_upgrades", 7)])
def test_upkeep_killed_half_way_leaves_the_old_or_the_new(part: str, kills: int, tmp_path: Path) -> None:
    counts = getattr(upkeep, part)(tmp_path, kills=kills)
    assert sum(counts.get(bad, 0) for bad in ("broken", "mixed", "unsound", "lost", "wrong")) == 0, counts


@pytest.mark.slow
def test_sixteen_writers_for_longer(bench: ModuleType, new_url: Callable[[], str], tmp_path: Path) -> None:
    result = bench.write_together(new_url(), tmp_path, seconds=10)
    assert result["errors"] == {}  # its speed is in bench/store/durability.py
