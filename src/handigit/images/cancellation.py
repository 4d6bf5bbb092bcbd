"""The end of a decoding or a reading before its time.

A caller makes a `Cancellation` active around the work; decoders and readers check it between steps, so that no
function in between needs to pass it on.
"""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock

from handigit.errors import ReadingCancelled


class Cancellation:
    """Lets another thread end decoding and reading at once.

    `is_unwanted`: also asked whether the result is no longer wanted; from the thread that reads.
    """

    def __init__(self, is_unwanted: Callable[[], bool] = lambda: False) -> None:
        self._lock = Lock()
        self._is_unwanted = is_unwanted
        self._cancelled = False
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def cancelled(self) -> bool:
        """Whether the work should end."""
        return self._cancelled or self._is_unwanted()

    def cancel(self) -> None:
        """End the work at its next check; kill its decoder, now or as soon as it starts."""
        with self._lock:
            self._cancelled = True
            if self._child is not None:
                self._child.kill()

    @contextmanager
    def active(self) -> Iterator[None]:
        """While the block lasts, this thread's decoding and reading end when this is cancelled."""
        token = _ACTIVE.set(self)
        try:
            yield
        finally:
            _ACTIVE.reset(token)

    @contextmanager
    def watch(self, child: subprocess.Popen[bytes]) -> Iterator[None]:
        """While the block lasts, `cancel` kills this process."""
        with self._lock:
            self._child = child
            if self._cancelled:
                child.kill()
        try:
            yield
        finally:
            with self._lock:
                self._child = None  # its process id may soon be another's


_ACTIVE: ContextVar[Cancellation | None] = ContextVar("cancellation", default=None)


def active_cancellation() -> Cancellation:
    """The cancellation that is active in this thread; outside of one, a new one."""
    return _ACTIVE.get() or Cancellation()


def check_cancelled() -> None:
    """End the work of this thread if it is no longer wanted.

    Raises:
        ReadingCancelled: it is not.
    """
    cancellation = _ACTIVE.get()
    if cancellation is not None and cancellation.cancelled:
        raise ReadingCancelled("the reading was ended because its result is no longer wanted; ask again")
