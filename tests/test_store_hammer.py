"""The store under writers that are killed, and under many at once."""

import importlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from handigit.store import Store
from handigit.store.write_lock import Line, Turn

pytest_plugins = ("store_server",)


@pytest.fixture
def bench() -> ModuleType:
    """The bench that measures at length what is tried here in short."""
    return importlib.import_module("bench.store.durability")


def test_what_was_acknowledged_survives_kill_9_exactly_once(bench: ModuleType, url: str, tmp_path: Path) -> None:
    said = bench.kill_often(url, tmp_path, kills=2)
    assert said["acknowledged"] > 0
    assert (said["lost"], said["doubled"], said["findings"]) == (0, 0, 0)


def test_a_lost_correction_would_be_noticed(bench: ModuleType, tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path / 'a.db'}", files=tmp_path) as store:
        bench.hammer.seed_readings(store)
        keys = frozenset({"never written"})
        assert bench._look(store, bench.hammer.Killed(tried=keys, acknowledged=keys))["lost"] == 1


def test_many_writers_never_meet_a_lock(bench: ModuleType, url: str, tmp_path: Path) -> None:
    said = bench.write_together(url, tmp_path, seconds=1)
    assert said["errors"] == {}
    assert said["writes"] >= 16 * bench.hammer.LEAST_WRITES


def test_threads_get_the_lock_in_the_order_in_which_they_came() -> None:
    line, served = Line(), []

    def customer(number: int) -> None:
        with line:
            served.append(number)

    customers = [threading.Thread(target=customer, args=(i,)) for i in range(8)]
    with line:
        for number, one in enumerate(customers, start=1):
            one.start()
            while len(line._waiting) < number:
                time.sleep(0.001)
    for one in customers:
        one.join()
    assert served == list(range(8))


def test_a_lock_is_free_after_an_error_inside(tmp_path: Path) -> None:
    turn = Turn(tmp_path / "a.db")
    for _ in range(2):
        with pytest.raises(ValueError, match="inside"), turn:
            raise ValueError("inside")
    turn.close()


@pytest.mark.slow
def test_sixteen_writers_for_longer(bench: ModuleType, new_url: Callable[[], str], tmp_path: Path) -> None:
    said = bench.write_together(new_url(), tmp_path, seconds=10)
    assert said["errors"] == {}  # how fast it is, bench/store.py says
