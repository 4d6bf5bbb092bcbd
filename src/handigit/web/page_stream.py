"""Documents, page by page, on a few threads; a page is read only when the one before has been taken."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Final, Generic, TypeVar

from handigit.images.cancellation import Cancellation
from handigit.web.batching import DeadlineExceeded, QueueFull
from handigit.workers.memory import release_memory

Page = TypeVar("Page")

_SECONDS_PER_DOCUMENT: Final = 2.0
"""Assumed cost of a document that waits: its size in pages is not known yet."""


class _Document(Generic[Page]):
    """One document's pages; several threads may ask for them, one at a time."""

    def __init__(self, pages: Generator[Page, None, None]) -> None:
        self._pages = pages
        self._cancellation = Cancellation()
        self._lock = Lock()
        self._dropped = False

    def next_page(self) -> Page | None:
        """The next page; None after the last, and once the document was dropped."""
        with self._lock, self._cancellation.active():
            return None if self._dropped else next(self._pages, None)

    def drop(self) -> None:
        """End the decoding or reading of the current page, and release the document."""
        self._dropped = True
        self._cancellation.cancel()
        with self._lock:
            self._pages.close()
        release_memory()  # pages take tens of megabytes


class PageStreamer:
    """Reads `threads` documents at a time, `capacity` may be open; used from one event loop."""

    def __init__(self, *, threads: int, capacity: int) -> None:
        self.open_documents = 0
        self._capacity = capacity
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="document")
        self._droppers = ThreadPoolExecutor(1, thread_name_prefix="drop")  # not behind the pages that it must end

    def check_capacity(self) -> None:
        """Refuse early.

        Raises:
            QueueFull: too many documents are open.
        """
        if self.open_documents >= self._capacity:
            raise QueueFull(self.open_documents * _SECONDS_PER_DOCUMENT)

    async def pages(
        self, open_document: Callable[[], Generator[Page, None, None]], *, within_s: float
    ) -> AsyncGenerator[Page, None]:
        """Each page as soon as it is read; when no more are wanted, the `Cancellation` active in its thread ends it.

        Raises:
            QueueFull: too many documents are open.
            DeadlineExceeded: a page took longer than `within_s` seconds.
        """
        self.check_capacity()
        self.open_documents += 1
        document = _Document(open_document())
        try:
            while (page := await self._next_page(document, within_s)) is not None:
                one = [page]
                del page  # keeps no reference while the next page is read
                yield one.pop()
        finally:
            self.open_documents -= 1
            self._droppers.submit(document.drop)

    async def close(self) -> None:
        """Finish, then end the threads."""
        await asyncio.to_thread(self._threads.shutdown)
        await asyncio.to_thread(self._droppers.shutdown)

    async def _next_page(self, document: _Document[Page], within_s: float) -> Page | None:
        try:
            async with asyncio.timeout(within_s):
                return await asyncio.wrap_future(self._threads.submit(document.next_page))
        except TimeoutError:
            raise DeadlineExceeded(f"no page within {within_s:g} s") from None
