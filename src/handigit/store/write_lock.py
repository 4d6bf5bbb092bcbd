"""A fair write lock for SQLite, FIFO among threads and nearly FIFO among processes, with a deadline.

SQLite itself waits by sleeping and retrying, which starves some of many writers for seconds. Between processes two
file locks are taken in order, `head` then `turn`: a process that has just released `turn` must first win `head`, which
the next process already holds. The operating system releases both when a process ends.
"""

import contextlib
import os
import threading
import time
from collections import deque
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from handigit.store.errors import StoreBusy

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment] # checked before use

WAIT_S: Final = 5.0
"""Maximum wait for the lock; every write takes milliseconds, so a longer wait means a stopped process."""
_POLL_S: Final = 0.001


class FairLock:
    """A lock that threads acquire in the order in which they asked; releasing it hands it to the next."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._taken = False

    @property
    def waiting(self) -> int:
        """Number of threads that wait."""
        return len(self._waiting)

    def acquire(self, timeout_s: float) -> bool:
        """Whether the lock was acquired within `timeout_s` seconds."""
        with self._guard:
            if not self._taken:
                self._taken = True
                return True
            ticket = threading.Lock()
            ticket.acquire()
            self._waiting.append(ticket)
        acquired = False
        try:
            acquired = ticket.acquire(timeout=max(0.0, timeout_s))
        finally:
            if not acquired:
                self._abandon(ticket)
        return acquired

    def release(self) -> None:
        """Hand the lock to the thread that has waited longest."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False

    def _abandon(self, ticket: threading.Lock) -> None:
        """Leave the queue; a ticket that was called in the meantime passes the lock on."""
        with self._guard:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
                return
        self.release()


class _FileLock:
    """An exclusive lock on a file between processes.

    `flock` on an open file takes 1.2 µs per lock and release, `filelock`, which opens the file each time, 122 µs
    (2,000 repetitions); so the latter serves only where there is no `fcntl`.
    """

    def __init__(self, path: Path) -> None:
        self._fallback = None if fcntl else FileLock(path, thread_local=False, poll_interval=_POLL_S)
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600) if fcntl else -1

    def acquire(self, timeout_s: float) -> bool:
        """Whether the lock was acquired within `timeout_s` seconds."""
        if self._fallback:
            try:
                self._fallback.acquire(timeout=max(0.0, timeout_s))
            except Timeout:
                return False
            return True
        end = time.monotonic() + timeout_s
        while True:
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= end:
                    return False
                time.sleep(_POLL_S)
            else:
                return True

    def release(self) -> None:
        """Release the lock; one that is not held is no error."""
        if self._fallback:
            self._fallback.release()
        else:
            fcntl.flock(self._handle, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


class WriteLock:
    """The right to write the database at `path`; two small files beside it carry the locks between processes.

    Raises:
        StoreBusy: on entering, when the lock was not free within `wait_s` seconds.
    """

    def __init__(self, path: Path, *, wait_s: float = WAIT_S) -> None:
        self._wait_s = wait_s
        self._threads = FairLock()
        self._head = _FileLock(path.with_name(path.name + "-head"))
        self._turn = _FileLock(path.with_name(path.name + "-turn"))

    def __enter__(self) -> None:
        end = time.monotonic() + self._wait_s
        with contextlib.ExitStack() as undo:
            for lock in (self._threads, self._head, self._turn):
                if not lock.acquire(end - time.monotonic()):
                    raise StoreBusy(f"the store was busy for {self._wait_s:g} s; try again in a few seconds")
                undo.callback(lock.release)
            undo.pop_all()
        self._head.release()

    def __exit__(self, *error: object) -> None:
        self._turn.release()
        self._threads.release()

    def close(self) -> None:
        """Close the lock files."""
        self._head.close()
        self._turn.close()
