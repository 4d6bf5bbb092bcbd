"""Memory stays flat over many requests, and the measurement would notice a leak."""

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
_REQUESTS = 1500
_FLAT_MB = 12


def growth_mb(folder, code: str = "") -> float:
    """Growth of the server over many requests, after a warm-up that fills its caches."""
    with running(folder, code=code, HANDIGIT_KEEP_READINGS="0") as server, server.client() as client:
        for _ in range(300):
            client.post("/v1/digit", content=picture())
        before = server.memory_mb()
        for _ in range(_REQUESTS):
            client.post("/v1/digit", content=picture())
        return server.memory_mb() - before


@pytest.mark.slow
def test_memory_is_flat(tmp_path) -> None:
    assert growth_mb(tmp_path) < _FLAT_MB


@pytest.mark.slow
def test_a_deliberate_leak_is_noticed(tmp_path) -> None:
    assert growth_mb(tmp_path, LEAK) > _FLAT_MB
