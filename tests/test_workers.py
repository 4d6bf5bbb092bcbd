"""Processes that read for the server: what passes between them, and what happens when one ends."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handigit.errors import ModelError, UnreadableImage
from handigit.pipeline import Read, read_together
from handigit.read import Reader
from handigit.read.reader import EMBEDDED
from handigit.records import Box, Digit, Number, Outcome
from handigit.web.model_registry import Model
from handigit.workers import Workers
from handigit.workers.pool import Worker, WorkerSlot
from handigit.workers.protocol import WorkerGone, decode_reads, encode_reads, receive, send
from serving import picture, running

SHARES = st.floats(0, 1)
BOXES = st.none() | st.builds(Box, *[st.integers(-9, 9999)] * 4)
OUTCOMES = st.sampled_from(Outcome)


@st.composite
def digits(draw: st.DrawFn) -> Digit:
    glyph = np.full((28, 28), draw(st.floats(0, 1, width=32)), np.float32) if draw(st.booleans()) else None
    value, ten = draw(st.none() | st.integers(0, 9)), tuple(draw(st.lists(SHARES, min_size=10, max_size=10)))
    return Digit(draw(OUTCOMES), value, draw(SHARES), ten, draw(BOXES), glyph)


NUMBERS = st.builds(
    Number,
    outcome=OUTCOMES,
    text=st.text("0123456789", max_size=12),
    confidence=SHARES,
    digits=st.lists(digits(), max_size=3).map(tuple),
    alternatives=st.lists(st.tuples(st.text("0123456789"), SHARES), max_size=3).map(tuple),
    raw=st.text(max_size=12),
    box=BOXES,
    page=st.integers(0, 999),
)
PAGES = st.tuples(st.integers(1, 40), st.integers(1, 40)).map(lambda size: np.arange(np.prod(size)).reshape(size) % 251)
READS = st.builds(
    Read,
    numbers=st.lists(NUMBERS, max_size=2).map(tuple),
    page=PAGES.map(lambda page: page.astype(np.uint8)),
    model=st.text(max_size=9),
    digest=st.text("0123456789abcdef", max_size=64),
)


def told(read: Read | None) -> object:
    """What a read says, arrays as bytes, to be compared."""
    if read is None:
        return None
    glyphs = [digit.glyph.tobytes() if digit.glyph is not None else None for n in read.numbers for digit in n.digits]
    boxes = [(number.box, number.page, number.raw, *(digit.box for digit in number.digits)) for number in read.numbers]
    shares = [[digit.probabilities for digit in number.digits] for number in read.numbers]
    says = [number.as_dict(source="", model=read.model) for number in read.numbers]
    return read.page.shape, read.page.tobytes(), read.digest, glyphs, boxes, shares, says


@pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # what checks the types as they are made does
@given(reads=st.lists(st.none() | READS, max_size=4))
def test_what_was_read_comes_back_as_it_was_sent(reads: list[Read | None]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sender = threading.Thread(target=send, args=(ours, *encode_reads(reads)))
        sender.start()
        again = decode_reads(*receive(theirs))
        sender.join()
    assert [told(one) for one in again] == [told(one) for one in reads]


def test_large_messages_pass_in_pieces() -> None:
    ours, theirs = socket.socketpair()
    blobs = [os.urandom(900_000), b"", os.urandom(900_000)]
    with ours, theirs:
        sender = threading.Thread(target=send, args=(ours, {"kind": "digit"}, blobs))
        sender.start()
        head, taken = receive(theirs)
        sender.join()
    assert head == {"kind": "digit"}
    assert [bytes(one) for one in taken] == blobs


def test_an_end_that_has_gone_is_told() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours, pytest.raises(WorkerGone):
        receive(ours)


@pytest.fixture(scope="module")
def model() -> Model:
    return Model("default", Reader(threads=1))


@pytest.fixture
def seat(model: Model) -> Iterator[WorkerSlot]:
    """A process that is ready for digits."""
    taken = WorkerSlot(model)
    assert worker_of(taken).is_ready("digit", within_s=60)
    yield taken
    taken.close()


def worker_of(seat: WorkerSlot) -> Worker:
    worker = seat._worker
    assert worker is not None
    return worker


def texts(reads: list[Read | Exception]) -> list[str | type]:
    return [one.numbers[0].text if isinstance(one, Read) else type(one) for one in reads]


def test_a_process_reads_as_the_server_does(seat: WorkerSlot, model: Model) -> None:
    contents = [picture(7), b"no picture", picture(1, size=90), picture(7, format="JPEG")]
    ours, theirs = read_together(model.reader, contents, "digit"), seat.read("digit", contents)
    assert texts(theirs) == ["7", UnreadableImage, "1", "7"]
    assert [told(one) for one in theirs if isinstance(one, Read)] == [
        told(one) for one in ours if isinstance(one, Read)
    ]
    assert str(theirs[1]) == str(ours[1])
    numbers = seat.read("number", [picture(7, size=90)])
    assert texts(numbers) == texts(read_together(model.reader, [picture(7, size=90)], "number"))


def test_what_its_model_cannot_read_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "number.onnx").write_bytes((EMBEDDED / "number.onnx").read_bytes())
    seat = WorkerSlot(Model("numbers", Reader(tmp_path, threads=1)))
    assert worker_of(seat).is_ready("digit", within_s=60)
    with pytest.raises(ModelError, match=r"no digit\.onnx"):
        seat.read("digit", [picture(7)])
    seat.close()


def _whole(read: Read | Exception) -> object:
    return told(read) if isinstance(read, Read) else str(read)


def test_a_batch_whose_process_is_killed_is_read_again_by_another(seat: WorkerSlot) -> None:
    first = worker_of(seat)
    first.process.kill()
    first.process.wait()
    assert texts(seat.read("digit", [picture(7), picture(1)])) == ["7", "1"]
    assert worker_of(seat) is not first


def test_only_the_picture_that_ends_its_process_gets_an_error(
    seat: WorkerSlot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Worker, "ask", _killed_by(b"deadly", Worker.ask))
    reads = seat.read("digit", [picture(7), b"deadly", picture(1)])
    assert texts(reads) == ["7", UnreadableImage, "1"]
    assert "ends the process" in str(reads[1])
    assert caplog.messages.count("worker ended") == 2


def _killed_by(deadly: bytes, ask: Callable[..., list[Read | None]]) -> Callable[..., list[Read | None]]:
    """`Worker.ask`, but its process ends when it gets certain bytes."""

    def asked(self: Worker, kind: str, contents: list[bytes]) -> list[Read | None]:
        if deadly in contents:
            self.process.kill()
        return ask(self, kind, contents)

    return asked


def test_one_that_hangs_is_ended(seat: WorkerSlot) -> None:
    first = worker_of(seat)
    for channel in first._channels.values():
        channel.settimeout(0.2)
    first.process.send_signal(signal.SIGSTOP)
    assert texts(seat.read("digit", [picture(7)])) == ["7"]
    assert first.process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("program", ["/bin/false", "/no/such/program"])
def test_where_none_can_be_started_the_server_reads_by_itself(
    program: str, model: Model, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", program)
    seat = WorkerSlot(model)
    if seat._worker:
        seat._worker.process.wait()
    assert texts(seat.read("digit", [picture(7)])) == ["7"]
    assert caplog.messages == ["worker does not start"]
    assert seat._worker is None
    assert texts(seat.read("digit", [picture(1)])) == ["1"]


def test_another_model_is_read_with_by_other_processes(model: Model) -> None:
    workers = Workers(1)
    other = Model("other", Reader(threads=1))
    workers.prepare(model)
    before = workers._crew
    assert texts(workers.read(other, "digit", [picture(7)])) == ["7"]
    assert workers._crew is not before
    workers.close()


def test_processes_end_with_a_server_that_is_killed(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        (child,) = server.children()
        server.process.kill()
        server.process.wait()
        assert _ends(child)


def test_a_server_may_do_without(tmp_path: Path) -> None:
    with running(tmp_path, HANDIGIT_WORKERS="0") as server, server.client() as client:
        assert server.children() == []
        assert client.post("/v1/digit", content=picture()).json()["readings"][0]["text"] == "7"


def _ends(child: int) -> bool:
    """Whether a process that is not ours ends within some seconds."""
    waiting = threading.Event()
    for _ in range(200):
        if not Path(f"/proc/{child}").exists():
            return True
        waiting.wait(0.05)
    return False
