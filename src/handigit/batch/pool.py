"""The local driver: worker processes that may die or hang without ending the batch.

Chunks of inputs go to a `ProcessPoolExecutor`. When a worker dies the executor is lost with all its chunks, so their
inputs are read again one at a time in a process of their own: that shows which input kills its reader. After two such
tries the input is quarantined, that is, its error becomes its result.
"""

import faulthandler
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from itertools import chain, islice
from types import TracebackType
from typing import Final

from handigit.batch.inputs import Input
from handigit.batch.worker import BatchError, BatchWorker, InputResult, ReadOptions

CHUNK: Final = 16
"""Inputs per task: enough that handing them out costs little, few enough that a crash costs little."""
TRIES: Final = 2
"""Times that an input is read alone before it is quarantined."""
MAX_STARTS: Final = 10
_MAX_PROCESSES: Final = 61 if os.name == "nt" else 1024
"""What a process pool accepts."""
_POLL_S: Final = 1.0
"""On Windows, Ctrl+C is noticed only between waits."""
DEFAULT_TIMEOUT_S: Final = 120.0

_worker: BatchWorker | None = None
_timeout_s = DEFAULT_TIMEOUT_S


class WorkerPool:
    """`jobs` processes, each with its own model.

    `timeout_s`: seconds that one chunk may take; a worker that hangs longer is ended by its own watchdog, which works
    even inside a C library.
    """

    def __init__(self, options: ReadOptions, *, jobs: int, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        self.options, self.jobs, self.timeout_s = options, jobs, timeout_s
        self._pool: ProcessPoolExecutor | None = None
        self._single: ProcessPoolExecutor | None = None

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool in (self._pool, self._single):
            if pool is not None:
                pool.shutdown(wait=kind is None, cancel_futures=True)

    def results(self, inputs: Iterable[Input], *, chunk: int = CHUNK) -> Iterator[InputResult]:
        """One result per input, in the order of completion; at most two chunks per worker are in flight."""
        chunks = split_into_chunks(inputs, chunk)
        pending: dict[Future[list[InputResult]], tuple[Input, ...]] = {}
        while True:
            lost = self._submit(chunks, pending)
            if not pending and not lost:
                return
            if pending and not lost:
                for future in wait(pending, _POLL_S, FIRST_COMPLETED).done:
                    items = pending.pop(future)
                    try:
                        yield from future.result()
                    except BrokenExecutor:
                        lost.append(items)
            if lost:
                lost += pending.values()  # they are lost too
                pending.clear()
                self._pool = None
                for item in chain.from_iterable(lost):
                    yield self._read_alone(item)

    def _submit(
        self, chunks: Iterator[tuple[Input, ...]], pending: dict[Future[list[InputResult]], tuple[Input, ...]]
    ) -> list[tuple[Input, ...]]:
        """Keep two chunks per worker in flight; returns a chunk that a dying pool refused."""
        while len(pending) < 2 * self.jobs and (items := next(chunks, None)):
            if self._pool is None:
                self._pool = self._start(self.jobs)
            try:
                pending[self._pool.submit(_read, items)] = items
            except BrokenExecutor:
                return [items]
        return []

    def _read_alone(self, item: Input) -> InputResult:
        """Read an input in a process that reads nothing else; a process that dies while it starts does not count."""
        for _ in range(TRIES):
            process = self._ready_process()
            try:
                return process.submit(_read, (item,)).result()[0]
            except BrokenExecutor:
                self._single = None
        message = f"{item.source}: its reader crashed or took longer than {self.timeout_s:g} s, {TRIES} times alone"
        return InputResult(item.without_content()).fail("Quarantined", message)

    def _ready_process(self) -> ProcessPoolExecutor:
        """A process that has loaded its model.

        Raises:
            BatchError: none starts.
        """
        for _ in range(MAX_STARTS):
            if self._single is None:
                self._single = self._start(1)
            try:
                self._single.submit(_load_model).result()
            except BrokenExecutor:
                self._single = None
            else:
                return self._single
        raise BatchError(
            f"reading processes die while they start, {MAX_STARTS} times in a row; is there enough memory?"
        )

    def _start(self, workers: int) -> ProcessPoolExecutor:
        # Not fork: ONNX Runtime's threads do not survive it.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(min(workers, _MAX_PROCESSES), context, _initialise, (self.options, self.timeout_s))


def _initialise(options: ReadOptions, timeout_s: float) -> None:
    """Set up a worker process: it ignores Ctrl+C, which the driver handles, and ends with its parent."""
    global _worker, _timeout_s
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    _worker, _timeout_s = BatchWorker(options), timeout_s


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _load_model() -> None:
    assert _worker is not None, "set by _initialise"
    _worker.load()


def _read(items: tuple[Input, ...]) -> list[InputResult]:
    assert _worker is not None, "set by _initialise"
    with open(os.devnull, "w") as sink:  # noqa: PTH123 - the watchdog's traceback is for no one
        faulthandler.dump_traceback_later(_timeout_s, exit=True, file=sink)
        try:
            return _worker.read(items)
        finally:
            faulthandler.cancel_dump_traceback_later()


def split_into_chunks(inputs: Iterable[Input], size: int) -> Iterator[tuple[Input, ...]]:
    """Tuples of `size` inputs; the last one may be shorter."""
    iterator = iter(inputs)
    while chunk := tuple(islice(iterator, size)):
        yield chunk
