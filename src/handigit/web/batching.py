"""A lane: work that waits is done together, on threads of its own, and no more waits than there is room for.

A thread takes all that waits, up to a full batch: while it works the next batch gathers. What nobody waits for any
longer is dropped before it is begun. It knows nothing of pictures, models or HTTP.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_STEADY: Final = 0.9
"""How much of the measured pace is kept when a new batch is measured."""


class LaneFull(Exception):
    """No room; `retry_after_s` is when there should be some."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"no room in the lane for {retry_after_s:.1f} s")
        self.retry_after_s = retry_after_s


class TooLate(Exception):
    """The deadline went by before there was an answer."""


@dataclass(frozen=True, slots=True)
class Width:
    """How a lane works: `batch` items together, `room` items accepted and unanswered, `threads` batches at a time."""

    batch: int
    room: int
    threads: int = 1


@dataclass(slots=True, eq=False)
class _Ticket(Generic[Item, Answer]):
    """One item and who waits for it."""

    item: Item
    future: "asyncio.Future[Answer | Exception]"
    dropped: bool = field(default=False)


class Lane(Generic[Item, Answer]):
    """Runs `work` on batches of items; for each it gives an answer, or the error that is this item's alone.

    Used from one event loop; `work` runs on the lane's threads.
    """

    def __init__(self, name: str, work: Callable[[Sequence[Item]], Sequence[Answer | Exception]], width: Width) -> None:
        self.width = width
        self.open_items = 0
        self._on_their_way = 0
        self.on_batch: Callable[[int], Any] = lambda size: None  # noqa: ARG005 - a metric may listen
        self._work = work
        self._waiting: deque[_Ticket[Item, Answer]] = deque()
        self._bell = threading.Condition()
        self._closing = False
        self._pace_s = 0.001  # per item
        names = (f"{name}-{number}" for number in range(width.threads))
        self._threads = [threading.Thread(target=self._run, name=one, daemon=True) for one in names]
        for thread in self._threads:
            thread.start()

    def check_room(self, items: int = 1) -> None:
        """Refuse early what would be refused anyway.

        Raises:
            LaneFull: so many more do not fit. An empty lane takes any number, else no patience would ever help.
        """
        if self.open_items and self.open_items + items > self.width.room:
            raise LaneFull(self.open_items * self._pace_s)

    def patience_s(self) -> float:
        """Seconds until there should be room for one that comes after all that are on their way; 0 where there is."""
        before = self.open_items + self._on_their_way
        return before * self._pace_s if before >= self.width.room else 0.0

    def expect(self) -> None:
        """Count one that has come whole and whose task is made: until the event loop has come round to that task."""
        self._on_their_way += 1
        asyncio.get_running_loop().call_soon(self._arrive)

    def _arrive(self) -> None:
        self._on_their_way -= 1

    async def ask_all(self, items: Sequence[Item], *, within_s: float) -> list[Answer | Exception]:
        """The answers to several items, in order; if the caller is cancelled, what was not begun is dropped.

        Raises:
            LaneFull: no room for all of them.
            TooLate: not all answered in time.
        """
        self.check_room(len(items))
        loop = asyncio.get_running_loop()
        tickets = [_Ticket[Item, Answer](item, loop.create_future()) for item in items]
        end = loop.call_later(within_s, _give_up, tickets, within_s)
        self.open_items += len(tickets)
        try:
            self._enqueue(tickets)
            return [await ticket.future for ticket in tickets]
        finally:
            end.cancel()
            self.open_items -= len(tickets)
            for ticket in tickets:
                ticket.dropped = True

    async def close(self) -> None:
        """Finish what was accepted, then end the threads."""
        with self._bell:
            self._closing = True
            self._bell.notify_all()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def _enqueue(self, tickets: Sequence[_Ticket[Item, Answer]]) -> None:
        with self._bell:
            self._waiting.extend(tickets)
            self._bell.notify()

    def _run(self) -> None:
        """A thread's life."""
        while batch := self._collect():
            began = time.monotonic()
            answers = self._answers([ticket.item for ticket in batch])
            pace = (time.monotonic() - began) / len(batch) / self.width.threads
            self._pace_s = _STEADY * self._pace_s + (1 - _STEADY) * pace
            self.on_batch(len(batch))
            loop = batch[0].future.get_loop()
            if not loop.is_closed():  # a test's loop may end before its lane
                loop.call_soon_threadsafe(_deliver, batch, answers)

    def _answers(self, items: Sequence[Item]) -> Sequence[Answer | Exception]:
        try:
            return self._work(items)
        except Exception as problem:  # whatever it is, it must reach those who wait and not end the thread
            return [problem] * len(items)

    def _collect(self) -> list[_Ticket[Item, Answer]]:
        """What is to be done next; nothing once the lane is closing and empty."""
        with self._bell:
            batch: list[_Ticket[Item, Answer]] = []
            while not batch:
                while not self._waiting:
                    if self._closing:
                        return []
                    self._bell.wait()
                while self._waiting and len(batch) < self.width.batch:
                    ticket = self._waiting.popleft()
                    if not ticket.dropped:
                        batch.append(ticket)
            return batch


def _give_up(tickets: Sequence[_Ticket[Any, Any]], within_s: float) -> None:
    """Tell whoever waits that it is too late, in the event loop."""
    waiting = (ticket.future for ticket in tickets if not ticket.future.done())
    if first := next(waiting, None):  # they are awaited in order: one who is told leaves the rest
        first.set_exception(TooLate(f"no answer within {within_s:g} s"))


def _deliver(batch: Sequence[_Ticket[Any, Any]], answers: Sequence[Any]) -> None:
    """Hand the answers over, in the event loop."""
    for ticket, answer in zip(batch, answers, strict=True):
        if not ticket.future.done():  # else nobody waits any longer
            ticket.future.set_result(answer)
