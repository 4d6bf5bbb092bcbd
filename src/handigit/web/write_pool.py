"""Threads for changes of the store, apart from those that answer reads."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from handigit.web.problems import unavailable

Result = TypeVar("Result")
_THREADS: Final = 8
_CAPACITY: Final = 64
"""Changes that may wait; more accumulate only when the store is stuck."""
_DEADLINE_S: Final = 10.0
"""Above the store's own 5 s for its write lock."""


class WritePool:
    """Runs changes of the store; while another process holds its lock, only these threads wait for it."""

    def __init__(self, *, capacity: int = _CAPACITY, deadline_s: float = _DEADLINE_S) -> None:
        self._capacity = capacity
        self._deadline_s = deadline_s
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="write")
        self._open = 0

    async def run(self, change: Callable[[], Result]) -> Result:
        """The result of `change`.

        Raises:
            Problem: too many changes wait, or the store takes too long; `change` may still take effect.
        """
        if self._open >= self._capacity:
            raise unavailable("the store is busy; try again in a few seconds")
        self._open += 1
        try:
            async with asyncio.timeout(self._deadline_s):
                return await asyncio.get_running_loop().run_in_executor(self._threads, change)
        except TimeoutError:
            raise unavailable("the store takes too long; try again in a few seconds") from None
        finally:
            self._open -= 1

    def close(self) -> None:
        """Start no more changes."""
        self._threads.shutdown(wait=False, cancel_futures=True)
