"""Batch queues and page streams: batching, order, capacity, deadlines, cancellation, closing."""

import asyncio
import threading

import pytest

from handigit.errors import ReadingCancelled
from handigit.images.cancellation import check_cancelled
from handigit.web.batching import BatchPolicy, BatchQueue, DeadlineExceeded, QueueFull
from handigit.web.page_stream import PageStreamer

POLICY = BatchPolicy(max_batch=4, capacity=100)


class Gate:
    """Work that announces each batch and waits until it may go on."""

    def __init__(self) -> None:
        self.batches: list[list[object]] = []
        self.started = threading.Event()
        self.open = threading.Event()

    def __call__(self, items):
        """Announce the batch and wait."""
        self.batches.append(list(items))
        self.started.set()
        assert self.open.wait(30)
        return items

    async def wait_until_started(self) -> None:
        """Wait for the first batch."""
        assert await asyncio.to_thread(self.started.wait, 30)


def with_queue(work, use, policy=POLICY):
    """Run `use(queue)` with a queue that does `work`."""

    async def run():
        queue = BatchQueue("test", work, policy)
        try:
            return await use(queue)
        finally:
            await queue.close()

    return asyncio.run(run())


async def until(condition) -> None:
    """Let the event loop run until the condition holds."""
    while not condition():
        await asyncio.sleep(0)


def test_answers_come_in_order_and_an_error_is_only_for_its_item() -> None:
    def work(items):
        return [ValueError(item) if item == 3 else item * 2 for item in items]

    answers = with_queue(work, lambda queue: queue.submit(list(range(10)), within_s=30))
    assert [answer for answer in answers if not isinstance(answer, ValueError)] == [0, 2, 4, 8, 10, 12, 14, 16, 18]
    assert isinstance(answers[3], ValueError)


def test_failing_work_fails_its_batch_and_the_queue_continues() -> None:
    def work(items):
        if 0 in items:
            raise RuntimeError("broken")
        return items

    async def use(queue):
        first = await queue.submit([0, 0], within_s=30)
        return first, await queue.submit([1], within_s=30)

    first, second = with_queue(work, use)
    assert [str(error) for error in first] == ["broken", "broken"]
    assert second == [1]


def test_items_that_wait_are_batched() -> None:
    gate = Gate()

    async def use(queue):
        requests = [asyncio.create_task(queue.submit([n], within_s=30)) for n in range(9)]
        await until(lambda: queue.open_items == 9)
        gate.open.set()
        return await asyncio.gather(*requests)

    assert with_queue(gate, use) == [[n] for n in range(9)]
    assert max(map(len, gate.batches)) == 4
    assert sum(map(len, gate.batches)) == 9


def test_a_full_queue_refuses_and_says_when_to_retry() -> None:
    gate = Gate()

    async def use(queue):
        request = asyncio.create_task(queue.submit([1, 2], within_s=30))
        await until(lambda: queue.open_items == 2)
        with pytest.raises(QueueFull) as refused:
            await queue.submit([3], within_s=30)
        gate.open.set()
        await request
        return refused.value.retry_after_s, await queue.submit([3], within_s=30)

    retry_after_s, later = with_queue(gate, use, BatchPolicy(max_batch=4, capacity=2))
    assert retry_after_s > 0
    assert later == [3]


def test_reserved_items_count_until_the_block_ends() -> None:
    async def use(queue):
        with queue.reserve(2):
            first = await queue.run_reserved([1], within_s=30)
            with pytest.raises(QueueFull):
                queue.check_capacity()
            second = await queue.run_reserved([2], within_s=30)
        queue.check_capacity()
        return first + second

    assert with_queue(list, use, BatchPolicy(max_batch=4, capacity=2)) == [1, 2]


def test_late_and_cancelled_items_are_dropped_before_they_start() -> None:
    gate = Gate()

    async def use(queue):
        first = asyncio.create_task(queue.submit(["first"], within_s=30))
        await gate.wait_until_started()
        cancelled = asyncio.create_task(queue.submit(["cancelled"], within_s=30))
        await until(lambda: queue.open_items == 2)
        cancelled.cancel()
        with pytest.raises(DeadlineExceeded):
            await queue.submit(["late"], within_s=0.02)
        gate.open.set()
        await first
        return await queue.submit(["last"], within_s=30)

    assert with_queue(gate, use) == ["last"]
    assert gate.batches == [["first"], ["last"]]


def read_until_cancelled(ended: threading.Event) -> None:
    """Read until no one waits for the result."""
    try:
        while True:
            check_cancelled()
    except ReadingCancelled:
        ended.set()
        raise


def test_a_batch_ends_once_no_one_waits_for_any_of_it() -> None:
    started, ended = threading.Event(), threading.Event()

    def work(items):
        if items == ["first"]:
            started.set()
            read_until_cancelled(ended)
        return items

    async def use(queue):
        first = asyncio.create_task(queue.submit(["first"], within_s=30))
        assert await asyncio.to_thread(started.wait, 30)
        first.cancel()
        return await queue.submit(["next"], within_s=30)

    assert with_queue(work, use) == ["next"]
    assert ended.is_set()


def test_closing_finishes_accepted_items() -> None:
    gate = Gate()

    async def run():
        queue = BatchQueue("test", gate, BatchPolicy(max_batch=1, capacity=100))
        request = asyncio.create_task(queue.submit([1, 2, 3], within_s=30))
        await gate.wait_until_started()
        gate.open.set()
        await queue.close()
        return await request

    assert asyncio.run(run()) == [1, 2, 3]


def test_a_document_is_read_page_by_page_and_closed_early() -> None:
    read, closed = [], threading.Event()

    def pages():
        try:
            for page in range(1000):
                read.append(page)
                yield page
        finally:
            closed.set()

    async def run():
        streamer = PageStreamer(threads=1, capacity=1)
        stream = streamer.pages(pages, within_s=30)
        taken = [await anext(stream) for _ in range(3)]
        with pytest.raises(QueueFull):
            streamer.check_capacity()
        await stream.aclose()
        await streamer.close()
        return taken

    assert asyncio.run(run()) == [0, 1, 2]
    assert closed.is_set()
    assert read == [0, 1, 2]


def test_a_page_that_takes_too_long_exceeds_the_deadline() -> None:
    release = threading.Event()

    def pages():
        assert release.wait(30)
        yield 1

    async def run():
        streamer = PageStreamer(threads=1, capacity=1)
        with pytest.raises(DeadlineExceeded):
            _ = [page async for page in streamer.pages(pages, within_s=0.02)]
        release.set()
        await streamer.close()

    asyncio.run(run())


def test_reading_a_document_that_no_one_waits_for_ends_at_once() -> None:
    ended = threading.Event()

    def pages():
        read_until_cancelled(ended)
        yield 1

    async def run():
        streamer = PageStreamer(threads=1, capacity=1)
        with pytest.raises(DeadlineExceeded):
            _ = [page async for page in streamer.pages(pages, within_s=0.02)]
        await streamer.close()

    asyncio.run(run())
    assert ended.is_set()
