"""Lanes and documents: what waits is done together, what nobody waits for is not done, patience has an end."""

import asyncio
import threading
import time

import pytest

from handigit.web.batching import Lane, LaneFull, TooLate, Width
from handigit.web.page_stream import Desk

_USUAL = Width(batch=4, room=100)


def in_lane(work, asked, width=_USUAL):
    """Run `asked(lane)` with a lane that does `work`."""

    async def run():
        lane = Lane("test", work, width)
        try:
            return await asked(lane)
        finally:
            await lane.close()

    return asyncio.run(run())


def test_answers_come_in_order_and_a_bad_item_costs_only_itself() -> None:
    def work(items):
        return [ValueError(item) if item == 3 else item * 2 for item in items]

    answers = in_lane(work, lambda lane: lane.ask_all(list(range(10)), within_s=5))
    assert [answer for answer in answers if not isinstance(answer, ValueError)] == [0, 2, 4, 8, 10, 12, 14, 16, 18]
    assert isinstance(answers[3], ValueError)


def test_work_that_fails_fails_everybody_in_its_batch_and_the_lane_goes_on() -> None:
    def work(items):
        if 0 in items:
            raise RuntimeError("broken")
        return items

    async def asked(lane):
        first = await lane.ask_all([0, 0], within_s=5)
        return first, await lane.ask_all([1], within_s=5)

    first, second = in_lane(work, asked)
    assert [str(one) for one in first] == ["broken", "broken"]
    assert second == [1]


def test_what_waits_meanwhile_is_done_together() -> None:
    sizes, gate = [], threading.Event()

    def work(items):
        sizes.append(len(items))
        gate.wait(5)
        return items

    async def asked(lane):
        asking = [asyncio.create_task(lane.ask_all([n], within_s=5)) for n in range(9)]
        await asyncio.sleep(0.05)
        gate.set()
        return await asyncio.gather(*asking)

    assert in_lane(work, asked) == [[n] for n in range(9)]
    assert max(sizes) == 4
    assert sum(sizes) == 9


def test_past_its_room_a_lane_refuses_and_says_when_to_come_back() -> None:
    gate = threading.Event()

    def work(items):
        gate.wait(5)
        return items

    async def asked(lane):
        asking = asyncio.create_task(lane.ask_all([1, 2], within_s=5))
        await asyncio.sleep(0.02)
        with pytest.raises(LaneFull) as refused:
            await lane.ask_all([3], within_s=5)
        gate.set()
        await asking
        return refused.value.retry_after_s, await lane.ask_all([3], within_s=5)

    patience, later = in_lane(work, asked, Width(batch=4, room=2))
    assert patience > 0
    assert later == [3]


def test_one_on_its_way_takes_room_for_those_behind_it_until_it_is_there() -> None:
    gate = threading.Event()

    def work(items):
        gate.wait(5)
        return items

    async def asked(lane):
        first = asyncio.create_task(lane.ask_all([1], within_s=5))
        await asyncio.sleep(0.02)
        second = asyncio.create_task(lane.ask_all([2], within_s=5))
        before = lane.patience_s()
        lane.expect()
        expecting = lane.patience_s()
        await asyncio.sleep(0.02)
        there, lane_is_full = lane.patience_s(), lane.open_items == 2
        gate.set()
        answers = await first, await second
        return before, expecting, there, lane_is_full, lane.patience_s(), answers

    before, expecting, there, lane_is_full, after, answers = in_lane(work, asked, Width(batch=1, room=2))
    assert (before, after) == (0, 0)
    assert expecting > 0
    assert there > 0
    assert lane_is_full
    assert answers == ([1], [2])


def test_what_is_late_or_cancelled_is_dropped_before_it_is_begun() -> None:
    done, gate = [], threading.Event()

    def work(items):
        done.extend(items)
        gate.wait(5)
        return items

    async def asked(lane):
        first = asyncio.create_task(lane.ask_all(["first"], within_s=5))
        await asyncio.sleep(0.02)
        cancelled = asyncio.create_task(lane.ask_all(["cancelled"], within_s=5))
        await asyncio.sleep(0.02)
        cancelled.cancel()
        with pytest.raises(TooLate):
            await lane.ask_all(["late"], within_s=0.02)
        gate.set()
        await first
        return await lane.ask_all(["last"], within_s=5)

    assert in_lane(work, asked) == ["last"]
    assert done == ["first", "last"]


def test_closing_finishes_what_was_accepted() -> None:
    def work(items):
        time.sleep(0.02)
        return items

    async def run():
        lane = Lane("test", work, Width(batch=1, room=100))
        asking = asyncio.create_task(lane.ask_all([1, 2, 3], within_s=5))
        await asyncio.sleep(0.01)
        await lane.close()
        return await asking

    assert asyncio.run(run()) == [1, 2, 3]


def test_a_document_is_turned_page_by_page_and_closed_when_nobody_reads_on() -> None:
    turned, closed = [], threading.Event()

    def pages():
        try:
            for page in range(1000):
                turned.append(page)
                yield page
        finally:
            closed.set()

    async def run():
        desk = Desk(at_once=1, room=1)
        reading = desk.pages(pages, within_s=5)
        taken = [await anext(reading) for _ in range(3)]
        with pytest.raises(LaneFull):
            desk.check_room()
        await reading.aclose()
        await desk.close()
        return taken

    assert asyncio.run(run()) == [0, 1, 2]
    assert closed.is_set()
    assert turned == [0, 1, 2]


def test_a_page_that_takes_too_long_is_given_up() -> None:
    def pages():
        time.sleep(0.2)
        yield 1

    async def run():
        desk = Desk(at_once=1, room=1)
        with pytest.raises(TooLate):
            _ = [page async for page in desk.pages(pages, within_s=0.02)]
        await desk.close()

    asyncio.run(run())
