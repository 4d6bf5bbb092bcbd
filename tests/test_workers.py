"""Worker processes: the messages, how a worker reads, and what happens when one ends."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handigit.errors import ModelError, ReadingCancelled, UnreadableImage
from handigit.images.cancellation import Cancellation
from handigit.read import PageReading, Reader, read_batch
from handigit.read.engine import EMBEDDED
from handigit.records import Box, Digit, Number, Outcome
from handigit.web.served_model import Model
from handigit.workers import Workers, WorkerUnavailable
from handigit.workers.pool import WorkerSlot
from handigit.workers.process import Deadlines
from handigit.workers.protocol import STOP, WorkerGone, decode_reads, encode_reads, receive, send
from handigit.workers.worker import Heartbeat
from serving import all_end, picture, running

FAKE = (sys.executable, "-S", "-E", str(Path(__file__).with_name("fake_worker.py")))
QUICK = Deadlines(silence=3, answer=5, start=60, pause=60)

PROBABILITIES = st.floats(0, 1)
BOXES = st.none() | st.builds(Box, *[st.integers(-9, 9999)] * 4)
OUTCOMES = st.sampled_from(Outcome)


@st.composite
def digits(draw: st.DrawFn) -> Digit:
    glyph = np.full((28, 28), draw(st.floats(0, 1, width=32)), np.float32) if draw(st.booleans()) else None
    value, ten = draw(st.none() | st.integers(0, 9)), tuple(draw(st.lists(PROBABILITIES, min_size=10, max_size=10)))
    return Digit(draw(OUTCOMES), value, draw(PROBABILITIES), ten, draw(BOXES), glyph)


NUMBERS = st.builds(
    Number,
    outcome=OUTCOMES,
    text=st.text("0123456789", max_size=12),
    confidence=PROBABILITIES,
    digits=st.lists(digits(), max_size=3).map(tuple),
    alternatives=st.lists(st.tuples(st.text("0123456789"), PROBABILITIES), max_size=3).map(tuple),
    raw=st.text(max_size=12),
    box=BOXES,
    page=st.integers(0, 999),
)
PAGES = st.tuples(st.integers(1, 40), st.integers(1, 40)).map(lambda size: np.arange(np.prod(size)).reshape(size) % 251)
READS = st.builds(
    PageReading,
    numbers=st.lists(NUMBERS, max_size=2).map(tuple),
    page=PAGES.map(lambda page: page.astype(np.uint8)),
    model=st.text(max_size=9),
    digest=st.text("0123456789abcdef", max_size=64),
)


def comparable(read: PageReading | None) -> object:
    """The content of a result, arrays as bytes."""
    if read is None:
        return None
    glyphs = [digit.glyph.tobytes() if digit.glyph is not None else None for n in read.numbers for digit in n.digits]
    boxes = [(number.box, number.page, number.raw, *(digit.box for digit in number.digits)) for number in read.numbers]
    probabilities = [[[round(p, 6) for p in digit.probabilities] for digit in number.digits] for number in read.numbers]
    fields = [number.as_dict(source="", model=read.model) for number in read.numbers]
    return read.page.shape, read.page.tobytes(), read.digest, glyphs, boxes, probabilities, fields


@pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # what checks the types as they are made does
@given(reads=st.lists(st.none() | READS, max_size=4))
def test_results_come_back_as_they_were_sent(reads: list[PageReading | None]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sender = threading.Thread(target=send, args=(ours, *encode_reads(reads)))
        sender.start()
        again = decode_reads(*receive(theirs))
        sender.join()
    assert [comparable(read) for read in again] == [comparable(read) for read in reads]


def test_large_messages_pass_in_pieces() -> None:
    ours, theirs = socket.socketpair()
    blobs = [os.urandom(900_000), b"", os.urandom(900_000)]
    with ours, theirs:
        sender = threading.Thread(target=send, args=(ours, {"kind": "digit"}, blobs))
        sender.start()
        head, received = receive(theirs)
        sender.join()
    assert head == {"kind": "digit"}
    assert [bytes(blob) for blob in received] == blobs


def test_an_end_that_has_gone_is_comparable() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours, pytest.raises(WorkerGone):
        receive(ours)


class FakeModel:
    """A model whose files the fake worker has; the server itself cannot read with it."""

    digests = ("fake",)
    reader = Reader(threads=1)


@pytest.fixture
def slot() -> Iterator[WorkerSlot]:
    """A slot with a fake worker that is ready."""
    slot = WorkerSlot(FakeModel(), program=FAKE, deadlines=QUICK)
    assert slot.is_ready("digit", within_s=60)
    assert slot.is_ready("number", within_s=60)
    yield slot
    slot.close()


def results(reads: list[PageReading | Exception]) -> list[str | type]:
    return [read.numbers[0].text if isinstance(read, PageReading) else type(read) for read in reads]


def test_a_batch_is_read_in_order(slot: WorkerSlot) -> None:
    assert results(slot.read("digit", [b"text 1", b"bad", b"text 2"])) == ["1", UnreadableImage, "2"]


def test_a_batch_whose_worker_is_killed_is_read_by_another(slot: WorkerSlot) -> None:
    first = slot.pid
    assert first
    os.kill(first, signal.SIGKILL)
    assert results(slot.read("digit", [b"text 7", b"text 1"])) == ["7", "1"]
    assert slot.pid != first
    assert slot.restarts == 1


@pytest.mark.parametrize("deadly", [f"kill {signal.SIGSEGV:d}", f"kill {signal.SIGABRT:d}", "exit 3", "spin"])
def test_only_the_picture_that_ends_its_worker_is_blamed(slot: WorkerSlot, deadly: str) -> None:
    reads = slot.read("digit", [b"text 7", deadly.encode(), b"text 1"])
    assert results(reads) == ["7", UnreadableImage, "1"]
    assert "ends the process" in str(reads[1])


@pytest.mark.parametrize("fate", [f"kill {signal.SIGKILL:d}", f"kill {signal.SIGTERM:d}", "stop"])
def test_a_picture_is_not_blamed_for_a_signal_from_outside(slot: WorkerSlot, fate: str) -> None:
    assert results(slot.read("digit", [b"text 7", fate.encode()])) == ["7", WorkerUnavailable]
    assert slot.is_ready("digit", within_s=60)
    assert results(slot.read("digit", [fate.encode()])) == [WorkerUnavailable]


def test_a_stopped_worker_costs_one_deadline(slot: WorkerSlot) -> None:
    first = slot.pid
    assert first
    os.kill(first, signal.SIGSTOP)
    os.waitid(os.P_PID, first, os.WSTOPPED | os.WNOWAIT)  # until then one of its threads may still answer
    assert results(slot.read("digit", [b"text 7"])) == ["7"]
    assert slot.is_ready("digit", within_s=60)
    assert slot.pid != first


def test_a_batch_that_is_not_wanted_ends_and_its_worker_stays(slot: WorkerSlot) -> None:
    first = slot.pid
    with Cancellation(lambda: True).active(), pytest.raises(ReadingCancelled):
        slot.read("digit", [b"text 7", b"wait"])
    assert results(slot.read("digit", [b"text 7"])) == ["7"]
    assert slot.pid == first


@pytest.mark.parametrize("wish", [lambda ours: send(ours, {STOP: True}), socket.socket.close], ids=["stop", "gone"])
def test_a_worker_at_work_learns_that_its_batch_is_not_wanted(wish) -> None:
    ours, theirs = socket.socketpair()
    with theirs, ours:
        heartbeat = Heartbeat(theirs)
        cancelled = threading.Event()
        batch = heartbeat.start()
        batch.cancel = cancelled.set  # type: ignore[method-assign]
        wish(ours)
        assert cancelled.wait(60)


def test_threads_of_both_kinds_survive_the_end_of_their_worker(slot: WorkerSlot) -> None:
    answers: dict[str, list[str | type]] = {}

    def read(kind: str) -> None:
        answers[kind] = results(slot.read(kind, [picture(7), picture(7)]))  # type: ignore[arg-type]

    for _ in range(3):
        assert slot.is_ready("digit", within_s=60)
        assert slot.is_ready("number", within_s=60)
        threads = [threading.Thread(target=read, args=(kind,)) for kind in ("digit", "number")]
        if slot.pid:
            os.kill(slot.pid, signal.SIGKILL)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == {"digit": ["7", "7"], "number": ["7", "7"]}


def test_a_worker_that_ends_while_it_starts_is_started_again(model: Model, caplog: pytest.LogCaptureFixture) -> None:
    slot = WorkerSlot(model, program=(*FAKE, "ends"), deadlines=Deadlines(pause=0))
    restarts = threading.Event()
    while slot.restarts < 3 and not restarts.wait(0.05):
        assert results(slot.read("digit", [picture(7)])) == ["7"]  # the server reads by itself
    assert "worker ended" in caplog.messages
    slot.close()


def test_where_no_process_can_be_started_the_server_reads(model: Model, caplog: pytest.LogCaptureFixture) -> None:
    slot = WorkerSlot(model, program=("/no/such/program",), deadlines=Deadlines(pause=0))
    assert results(slot.read("digit", [picture(7)])) == ["7"]
    assert slot.pid is None
    assert "worker does not start" in caplog.messages
    slot.close()


def test_pauses_between_restarts_grow() -> None:
    slot = WorkerSlot(FakeModel(), program=("/no/such/program",))
    assert not slot.is_ready("digit")  # the first restart comes at once
    assert slot.restarts == 1
    assert not slot.is_ready("digit")
    assert slot.restarts == 1  # the second one only after a second
    slot.close()


def test_a_pool_counts_its_workers() -> None:
    workers = Workers(2, program=FAKE)
    assert (workers.alive, workers.restarts) == (0, 0)
    workers.prepare(FakeModel())
    assert workers.alive == 2
    assert len(set(workers.pids)) == 2
    workers.close()
    assert workers.alive == 0


@pytest.fixture(scope="module")
def model() -> Model:
    return Model("default", Reader(threads=1))


def test_a_worker_reads_as_the_server_does(model: Model) -> None:
    slot = WorkerSlot(model)
    assert slot.is_ready("digit", within_s=120)
    contents = [picture(7), b"no picture", picture(1, size=90), picture(7, format="JPEG")]
    ours, theirs = read_batch(model.reader, contents, "digit"), slot.read("digit", contents)
    assert results(theirs) == ["7", UnreadableImage, "1", "7"]
    assert [comparable(read) for read in theirs if isinstance(read, PageReading)] == [
        comparable(read) for read in ours if isinstance(read, PageReading)
    ]
    assert str(theirs[1]) == str(ours[1])
    numbers = slot.read("number", [picture(7, size=90)])
    assert results(numbers) == results(read_batch(model.reader, [picture(7, size=90)], "number"))
    slot.close()


def test_a_kind_that_the_model_cannot_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "number.onnx").write_bytes((EMBEDDED / "number.onnx").read_bytes())
    slot = WorkerSlot(Model("numbers", Reader(tmp_path, threads=1)))
    with pytest.raises(ModelError, match=r"no digit\.onnx"):
        slot.read("digit", [picture(7)])
    slot.close()


def test_another_model_gets_other_workers() -> None:
    workers = Workers(1, program=FAKE)
    first, second = FakeModel(), FakeModel()
    workers.prepare(first)
    before = workers.pids
    workers.prepare(second)
    assert workers.pids != before
    workers.close()


@pytest.mark.parametrize("hung", [False, True], ids=["usual", "hung"])
def test_workers_end_with_a_server_that_is_killed(tmp_path: Path, hung: bool) -> None:
    with running(tmp_path) as server:
        (child,) = server.children()
        if hung and sys.platform == "linux":
            wait_until_serving(child)
            os.kill(child, signal.SIGSTOP)
        server.process.kill()
        server.process.wait()
        assert all_end([child])


def wait_until_serving(worker: int) -> None:
    """Wait until a worker has loaded its models: it then has a thread and a heartbeat for each of its channels."""
    while len(list(Path(f"/proc/{worker}/task").iterdir())) < 5:
        time.sleep(0.01)  # it reports nothing to others than its server


_HOLD_EVERYTHING = """
import ctypes, os
from handigit.workers.worker import end_with_parent

end_with_parent(os.getppid())
print("ready", flush=True)
ctypes.PyDLL(None).sleep(3600)  # native code that never releases the interpreter
"""
_START = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
os.kill(os.getpid(), 9)
"""
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")


@linux
def test_a_process_in_native_code_ends_with_its_parent() -> None:
    command = [sys.executable, "-c", _START, _HOLD_EVERYTHING]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        parent.wait()
        assert all_end([child])


@linux
def test_a_process_whose_parent_has_ended_already_ends() -> None:
    program = "import os; from handigit.workers.worker import end_with_parent; end_with_parent(os.getppid() + 1)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr.strip()) == (1, "the server has ended")


def test_a_worker_outlives_the_thread_that_asked_for_it(model: Model) -> None:
    slots: list[WorkerSlot] = []
    thread = threading.Thread(target=lambda: slots.append(WorkerSlot(model)))
    thread.start()
    thread.join()
    (slot,) = slots
    assert slot.is_ready("digit", within_s=120)
    assert slot.restarts == 0
    slot.close()


def test_a_server_can_work_without_workers(tmp_path: Path) -> None:
    with running(tmp_path, HANDIGIT_WORKERS="0") as server, server.client() as client:
        assert server.children() == []
        assert client.post("/v1/digit", content=picture()).json()["readings"][0]["text"] == "7"


_COUNT_ARENAS = """
import ctypes, re, threading
from pathlib import Path
from handigit.workers.memory import share_arena

share_arena()
threads = [threading.Thread(target=lambda: [ctypes.create_string_buffer(10_000) for _ in range(9)]) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
stream = ctypes.c_void_p(libc.fopen(b"malloc.xml", b"w"))
libc.malloc_info(0, stream)
libc.fclose(stream)
print(len(re.findall("<heap nr=", Path("malloc.xml").read_text())))
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="needs glibc")
def test_threads_share_one_arena(tmp_path: Path) -> None:
    program = [sys.executable, "-c", _COUNT_ARENAS]
    counted = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert counted.stdout.strip() == "1"
