"""Downloads that are made of many stored rows: few at a time, in a limited time, on disk instead of in memory."""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import IO, Final, Protocol, TypeVar, runtime_checkable

from starlette.responses import StreamingResponse

from handigit.web.problems import DEADLINE, INVALID, Problem, busy

MAX_PICTURES: Final = 20_000
"""Pictures in one workbook: a kilobyte of memory each, and spreadsheets are slow beyond."""
_AT_ONCE: Final = 2
_SECONDS: Final = 120.0
_RETRY_S: Final = 5
_CHUNK_BYTES: Final = 64 * 1024
Row = TypeVar("Row")


@runtime_checkable
class Guard(Protocol):
    """A function by which rows pass, which may end them by a `Problem`."""

    def __call__(self, rows: Iterable[Row], /) -> Iterator[Row]:
        """The rows."""


class Exports:
    """Admits downloads that take long to make; each holds one of the threads that answer other requests."""

    def __init__(self, *, at_once: int = _AT_ONCE, seconds: float = _SECONDS) -> None:
        self._seconds = seconds
        self._free = threading.BoundedSemaphore(at_once)

    @contextmanager
    def admit(self) -> Iterator[Guard]:
        """Make one download within the block; its rows must pass by the guard.

        Raises:
            Problem: others are being made; or, from the rows, the time is over.
        """
        if not self._free.acquire(blocking=False):
            raise busy(_RETRY_S, "other exports are being made")
        end = time.monotonic() + self._seconds
        try:
            yield partial(self._until, end)
        finally:
            self._free.release()

    def _until(self, end: float, rows: Iterable[Row], /) -> Iterator[Row]:
        for row in rows:
            if time.monotonic() > end:
                raise Problem(DEADLINE, f"this takes more than {self._seconds:g} s to make; select less")
            yield row


def at_most(count: int, rows: Iterable[Row], *, what: str) -> Iterator[Row]:
    """The rows.

    Raises:
        Problem: there are more than `count` of them; `what` they are, and what to select instead.
    """
    for number, row in enumerate(rows):
        if number == count:
            raise Problem(INVALID, f"more than {count:,} {what}")
        yield row


def file_response(file: IO[bytes], *, media_type: str, name: str) -> StreamingResponse:
    """An open file as a download; it is closed at the end."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Content-Length": str(file.seek(0, 2))}
    return StreamingResponse(_chunks(file), media_type=media_type, headers=headers)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
