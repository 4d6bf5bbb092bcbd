"""A bounded queue that runs waiting items in batches on its own threads.

A thread takes everything that waits, up to a full batch; while it works, the next batch collects. Items whose caller
has gone are dropped before they are started.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Generic, TypeVar

from handigit.images.cancellation import Cancellation
from handigit.web.problems import DEADLINE, Problem, busy

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_SMOOTHING: Final = 0.9
"""Weight of the previous seconds per item when a new batch is measured."""

_CLOSE_S: Final = 15.0
"""How long the end waits for a batch, which takes milliseconds; the store gives up a locked database after 5 s."""


class QueueFull(Exception):
    """The queue has no capacity left; `retry_after_s` is when it should have."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"no capacity for {retry_after_s:.1f} s")
        self.retry_after_s = retry_after_s


class DeadlineExceeded(Exception):
    """The deadline passed before there was an answer."""


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    """`max_batch` items per batch, `capacity` items accepted and unanswered, `threads` batches at a time."""

    max_batch: int
    capacity: int
    threads: int = 1


@dataclass(slots=True, eq=False)
class _Ticket(Generic[Item, Answer]):
    """One item and the future of its answer."""

    item: Item
    future: "asyncio.Future[Answer | Exception]"
    dropped: bool = field(default=False)


class BatchQueue(Generic[Item, Answer]):
    """Runs `work` on batches of items; it returns an answer per item, or the error of that item alone.

    The `Cancellation` active around `work` is cancelled once no item of its batch has a caller.

    Used from one event loop; `work` runs on the queue's threads. `on_batch` is called with the size of each batch.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[Sequence[Item]], Sequence[Answer | Exception]],
        policy: BatchPolicy,
        *,
        on_batch: Callable[[int], Any] = lambda size: None,  # noqa: ARG005
    ) -> None:
        self.policy = policy
        self.open_items = 0
        self._on_batch = on_batch
        self._work = work
        self._waiting: deque[_Ticket[Item, Answer]] = deque()
        self._condition = threading.Condition()
        self._closing = False
        self._seconds_per_item = 0.001
        names = (f"{name}-{number}" for number in range(policy.threads))
        self._threads = [threading.Thread(target=self._run, name=thread, daemon=True) for thread in names]
        for thread in self._threads:
            thread.start()

    def check_capacity(self, items: int = 1) -> None:
        """Refuse early.

        Raises:
            QueueFull: the items do not fit. An empty queue takes any number, else retrying would never help.
        """
        if self.open_items and self.open_items + items > self.policy.capacity:
            raise QueueFull(self.open_items * self._seconds_per_item)

    @contextmanager
    def reserve(self, items: int) -> Iterator[None]:
        """Capacity for several items while the block lasts; they are run by `run_reserved`.

        Raises:
            QueueFull: no capacity for all of them.
        """
        self.check_capacity(items)
        self.open_items += items
        try:
            yield
        finally:
            self.open_items -= items

    async def submit(self, items: Sequence[Item], *, within_s: float) -> list[Answer | Exception]:
        """The answers to several items, in order; if the caller is cancelled, items not yet started are dropped.

        Raises:
            QueueFull: no capacity for all of them.
            DeadlineExceeded: not all were answered within `within_s` seconds.
        """
        with self.reserve(len(items)):
            return await self.run_reserved(items, within_s=within_s)

    async def run_reserved(self, items: Sequence[Item], *, within_s: float) -> list[Answer | Exception]:
        """As `submit`, for items within a `reserve` block."""
        loop = asyncio.get_running_loop()
        tickets = [_Ticket[Item, Answer](item, loop.create_future()) for item in items]
        deadline = loop.call_later(within_s, _expire, tickets, within_s)
        try:
            with self._condition:
                self._waiting.extend(tickets)
                self._condition.notify()
            return [await ticket.future for ticket in tickets]
        finally:
            deadline.cancel()
            for ticket in tickets:
                ticket.dropped = True

    async def close(self) -> None:
        """Finish all accepted items, then end the threads; work that hangs is left to its daemon thread."""
        with self._condition:
            self._closing = True
            self._condition.notify_all()
        for thread in self._threads:
            await asyncio.to_thread(thread.join, _CLOSE_S)

    def _run(self) -> None:
        while batch := self._next_batch():
            started = time.monotonic()
            unwanted = Cancellation(partial(_are_dropped, batch))
            try:
                with unwanted.active():
                    answers = self._work([ticket.item for ticket in batch])
            except Exception as problem:  # whatever it is, it must reach the callers and not end the thread
                answers = [problem] * len(batch)
            seconds = (time.monotonic() - started) / len(batch) / self.policy.threads
            self._seconds_per_item = _SMOOTHING * self._seconds_per_item + (1 - _SMOOTHING) * seconds
            self._on_batch(len(batch))
            loop = batch[0].future.get_loop()
            if not loop.is_closed():  # a test's loop may end before its queue
                loop.call_soon_threadsafe(_deliver, batch, answers)

    def _next_batch(self) -> list[_Ticket[Item, Answer]]:
        """The next batch; empty once the queue is closing and drained."""
        with self._condition:
            batch: list[_Ticket[Item, Answer]] = []
            while not batch:
                while not self._waiting:
                    if self._closing:
                        return []
                    self._condition.wait()
                while self._waiting and len(batch) < self.policy.max_batch:
                    ticket = self._waiting.popleft()
                    if not ticket.dropped:
                        batch.append(ticket)
            return batch


def _are_dropped(tickets: Sequence[_Ticket[Any, Any]]) -> bool:
    return all(ticket.dropped for ticket in tickets)


def _expire(tickets: Sequence[_Ticket[Any, Any]], within_s: float) -> None:
    """Fail the first unanswered ticket, in the event loop."""
    waiting = (ticket.future for ticket in tickets if not ticket.future.done())
    if first := next(waiting, None):  # they are awaited in order: one failure ends the wait for all
        first.set_exception(DeadlineExceeded(f"no answer within {within_s:g} s"))


def _deliver(batch: Sequence[_Ticket[Any, Any]], answers: Sequence[Any]) -> None:
    """Set the results, in the event loop."""
    for ticket, answer in zip(batch, answers, strict=True):
        if not ticket.future.done():
            ticket.future.set_result(answer)


class queue_problems:  # noqa: N801 - a context manager, cheaper than a generator's on the busiest path
    """Turns a queue's refusals into problems."""

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s

    def __enter__(self) -> None:
        """Does nothing."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, QueueFull):
            raise busy(error.retry_after_s) from None
        if isinstance(error, DeadlineExceeded):
            raise Problem(
                DEADLINE,
                f"no answer within {self._within_s:g} s; send fewer at once, or allow more time with ?within=",
                headers={"Retry-After": "5"},
            ) from None
