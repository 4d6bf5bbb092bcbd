"""Whose turn it is to write an SQLite file: first come, first served among threads, and nearly so among processes.

SQLite's own way to wait is to sleep and to try again, which starves some of many writers for seconds. The system
wakes those who wait for a file lock, but whoever has just given it back is quicker to take it again; so there are two
locks, and who wants the turn must first have stood at the head of the line. Both end with the process that held them.
"""

import fcntl
import threading
from collections import deque
from pathlib import Path


class Line:
    """A lock that threads get in the order in which they came: who leaves hands it to the next."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._taken = False

    def __enter__(self) -> None:
        with self._guard:
            if not self._taken:
                self._taken = True
                return
            call = threading.Lock()
            call.acquire()
            self._waiting.append(call)
        try:
            call.acquire()
        except BaseException:
            self._step_out(call)
            raise

    def __exit__(self, *error: object) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False

    def _step_out(self, call: threading.Lock) -> None:
        """Leave the line, or, called in just now, hand on."""
        with self._guard:
            if call in self._waiting:
                self._waiting.remove(call)
                return
        self.__exit__()


class Turn:
    """The turn to write the database at a path; two small files beside it carry the locks."""

    def __init__(self, path: Path) -> None:
        self._line = Line()
        self._head = path.with_name(path.name + "-head").open("wb")
        self._turn = path.with_name(path.name + "-turn").open("wb")

    def __enter__(self) -> None:
        self._line.__enter__()
        try:
            fcntl.flock(self._head, fcntl.LOCK_EX)
            fcntl.flock(self._turn, fcntl.LOCK_EX)
            fcntl.flock(self._head, fcntl.LOCK_UN)
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *error: object) -> None:
        fcntl.flock(self._head, fcntl.LOCK_UN)
        fcntl.flock(self._turn, fcntl.LOCK_UN)
        self._line.__exit__()

    def close(self) -> None:
        """Let go of the files."""
        self._head.close()
        self._turn.close()
