"""Documents are read page by page on a few threads of their own; each page only when the one before has been taken.

It knows nothing of what is on a page.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Final, Generic, TypeVar

from handigit.web.batching import LaneFull, TooLate

Page = TypeVar("Page")

_SECONDS_EACH: Final = 2.0
"""What a document that waits before us is taken to cost, for want of knowing."""


class _Document(Generic[Page]):
    """One document that several threads may turn over, one at a time."""

    def __init__(self, pages: Generator[Page, None, None]) -> None:
        self._pages = pages
        self._turning = Lock()
        self._dropped = False

    def turn(self) -> Page | None:
        """The next page; None after the last, and when nobody wants it any longer."""
        with self._turning:
            return None if self._dropped else next(self._pages, None)

    def drop(self) -> None:
        """Give back what it holds, once the page that is being read is done."""
        self._dropped = True
        with self._turning:
            self._pages.close()


class Desk:
    """`at_once` documents are worked on, `room` may be open; used from one event loop."""

    def __init__(self, *, at_once: int, room: int) -> None:
        self.open_documents = 0
        self._room = room
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="document")

    def check_room(self) -> None:
        """Refuse early.

        Raises:
            LaneFull: too many documents are open.
        """
        if self.open_documents >= self._room:
            raise LaneFull(self.open_documents * _SECONDS_EACH)

    async def pages(
        self, begin: Callable[[], Generator[Page, None, None]], *, within_s: float
    ) -> AsyncGenerator[Page, None]:
        """Each page as soon as it is there.

        Raises:
            LaneFull: too many documents are open.
            TooLate: a page has not come in time.
        """
        self.check_room()
        self.open_documents += 1
        document = _Document(begin())
        try:
            while (page := await self._turn(document, within_s)) is not None:
                yield page
        finally:
            self.open_documents -= 1
            self._threads.submit(document.drop)

    async def close(self) -> None:
        """Finish, then end the threads."""
        await asyncio.to_thread(self._threads.shutdown)

    async def _turn(self, document: _Document[Page], within_s: float) -> Page | None:
        try:
            async with asyncio.timeout(within_s):
                return await asyncio.wrap_future(self._threads.submit(document.turn))
        except TimeoutError:
            raise TooLate(f"no page within {within_s:g} s") from None
