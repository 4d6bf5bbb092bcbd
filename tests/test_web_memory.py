"""Memory stays flat over many requests, and the measurement would notice a leak."""

from itertools import pairwise
from pathlib import Path

import pytest

from serving import picture, running

LEAK = """
from handigit.web import service
hoard, honest = [], service.PageResult.as_dicts
def hoarding(self):
    hoard.append(bytearray(20_000))
    return honest(self)
service.PageResult.as_dicts = hoarding
"""
_WINDOWS = 4
_REQUESTS = 450  # a window's leak: 9 MB
_FLAT_MB = 4


def growth_mb(folder: Path, code: str = "") -> float:
    """The server's least growth over a window of requests: a leak grows in each, an arena or a cache in one."""
    with running(folder, code=code, HANDIGIT_KEEP_READINGS="0") as server, server.client() as client:
        sizes = []
        for _ in range(_WINDOWS + 1):
            for _ in range(_REQUESTS):
                client.post("/v1/digit", content=picture())
            sizes.append(server.memory_mb())
    return min(after - before for before, after in pairwise(sizes))


@pytest.mark.slow
def test_memory_is_flat(tmp_path: Path) -> None:
    assert growth_mb(tmp_path) < _FLAT_MB


@pytest.mark.slow
def test_a_deliberate_leak_is_noticed(tmp_path: Path) -> None:
    assert growth_mb(tmp_path, LEAK) > _FLAT_MB
