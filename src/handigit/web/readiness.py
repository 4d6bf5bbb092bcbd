"""Whether the server can do its work now: model, store, disk and workers."""

import asyncio
import shutil
import time
from pathlib import Path
from typing import Final

from handigit.errors import HandigitError
from handigit.web.problems import unavailable
from handigit.web.service import Service

MAX_AGE_S: Final = 1.0
"""How long an answer is reused: probes are sent every few seconds from several places."""
TIMEOUT_S: Final = 1.0
"""How long the store may take to answer; a database that hangs is not ready."""
_MIN_FREE_BYTES: Final = 64_000_000
"""Free disk space below which the next uploads would fail."""
_NOT_READY: Final = {
    "starting": "the model is being loaded; try again in a second",
    "failed": "no model could be loaded; see the log, and set HANDIGIT_MODEL_DIR to a folder with one",
    "draining": "the server is shutting down; send requests elsewhere",
}


class Readiness:
    """Asks every part that a stored reading needs; `folder` holds the pictures."""

    def __init__(self, service: Service, folder: Path) -> None:
        self._service = service
        self._folder = folder
        self._checking = asyncio.Lock()
        self._checked_at = -MAX_AGE_S
        self._problem: str | None = None

    def check_model(self) -> None:
        """Check that a model is loaded, and that the server is not shutting down.

        Raises:
            Problem: with the reason.
        """
        if self._service.state != "ready":
            raise unavailable(_NOT_READY[self._service.state], retry_after_s=1)

    async def check(self) -> None:
        """Check every part; an answer is reused for a second.

        Raises:
            Problem: with the reason.
        """
        self.check_model()
        async with self._checking:
            if time.monotonic() - self._checked_at >= MAX_AGE_S:
                self._problem = await self._find_problem()
                self._checked_at = time.monotonic()
        if self._problem:
            raise unavailable(self._problem)

    async def _find_problem(self) -> str | None:
        workers, store = self._service.workers, self._service.store
        if workers and not workers.alive:
            return "no worker process is running; it is being restarted"
        if store is None:
            return None
        if self._service.store_is_failing:
            return "the store refuses new readings; see the log"
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await asyncio.to_thread(store.ping)
                free = await asyncio.to_thread(shutil.disk_usage, self._folder)
        except TimeoutError:
            return f"the store has not answered within {TIMEOUT_S:g} s"
        except (HandigitError, OSError):
            return "the store does not answer; see the log"
        return f"only {free.free:,} bytes are free on the disk; make room" if free.free < _MIN_FREE_BYTES else None
