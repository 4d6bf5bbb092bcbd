"""The server's worker processes: choosing one for a batch, and replacing one that ends.

While a worker is not ready the server reads by itself, so that no one waits for it. When one ends during a batch, each
picture is read once more on its own, so that only the picture that ended it gets an error. Workers are restarted after
growing pauses, for as long as the server runs.
"""

import logging
import threading
import time
from collections.abc import Sequence
from queue import Empty, SimpleQueue

from handigit.errors import UnreadableImage
from handigit.images.cancellation import check_cancelled
from handigit.read import PageReading, read_batch
from handigit.records import Kind
from handigit.workers.process import DEADLINES, KINDS, PROGRAM, Deadlines, Model, WorkerProcess, WorkerUnavailable
from handigit.workers.protocol import WorkerGone

log = logging.getLogger(__name__)


class WorkerSlot:
    """One place in the pool; a worker that ends is replaced, at once the first time, then after 1, 2, 4 ... seconds."""

    def __init__(self, model: Model, *, program: Sequence[str] = PROGRAM, deadlines: Deadlines = DEADLINES) -> None:
        self._model = model
        self._program = program
        self._deadlines = deadlines
        self._changing = threading.Lock()
        self._failures = 0
        self._retry_at = 0.0
        self._closed = False
        self._worker: WorkerProcess | None = None
        self.restarts = 0
        self._start()

    @property
    def pid(self) -> int | None:
        """The id of the worker process; None while there is none."""
        return self._worker.pid if self._worker else None

    def is_ready(self, kind: Kind, *, within_s: float = 0.0) -> bool:
        """Whether a worker listens, after at most `within_s` seconds."""
        end = time.monotonic() + within_s
        while True:
            worker = self._get_worker()
            try:
                if worker and worker.is_ready(kind, within_s=max(0.0, end - time.monotonic())):
                    return True
            except WorkerGone:
                self._replace(worker)
            if worker or time.monotonic() >= end:
                return False
            time.sleep(min(0.05, max(0.0, end - time.monotonic())))

    def read(self, kind: Kind, contents: Sequence[bytes]) -> list[PageReading | Exception]:
        """The result of each picture, or why it cannot be read."""
        if not self.is_ready(kind):
            return read_batch(self._model.reader, contents, kind)
        worker = self._worker
        try:
            if worker is None:
                raise WorkerGone
            return self._with_errors(kind, contents, worker.read(kind, contents))
        except WorkerGone:
            self._replace(worker)
            check_cancelled()
            if len(contents) == 1 and worker and worker.ended_by_picture:
                return [_blame()]
            return [self._retry_single(kind, content) for content in contents]

    def close(self) -> None:
        """End the worker."""
        with self._changing:
            self._closed = True
            if self._worker:
                self._worker.close()
            self._worker = None

    def _retry_single(self, kind: Kind, content: bytes) -> PageReading | Exception:
        """Read one picture of a batch whose worker has ended with another worker, on its own."""
        worker = self._worker if self.is_ready(kind, within_s=self._deadlines.start) else None
        try:
            if worker is None:
                raise WorkerGone
            (result,) = self._with_errors(kind, [content], worker.read(kind, [content]))
        except WorkerGone:
            self._replace(worker)
            if worker and worker.ended_by_picture:
                return _blame()
            return WorkerUnavailable("the process that read this picture was ended; send it again in a second")
        return result

    def _with_errors(
        self, kind: Kind, contents: Sequence[bytes], reads: Sequence[PageReading | None]
    ) -> list[PageReading | Exception]:
        """The results, and for each that is missing its error, which the server finds out for itself."""
        self._failures = 0
        missing = [content for content, read in zip(contents, reads, strict=True) if read is None]
        errors = iter(read_batch(self._model.reader, missing, kind))
        return [next(errors) if read is None else read for read in reads]

    def _get_worker(self) -> WorkerProcess | None:
        """The worker; one is started if there is none and the pause after the last failure is over."""
        with self._changing:
            if self._worker is None and not self._closed and time.monotonic() >= self._retry_at:
                self.restarts += 1
                self._start()
            return self._worker

    def _replace(self, worker: WorkerProcess | None) -> None:
        """Drop a worker that has ended or hangs, unless another thread has done so; the next one may be started."""
        with self._changing:
            if worker is None or self._worker is not worker:
                return
            worker.kill()
            log.warning("worker ended", extra={"status": worker.status})
            self._worker = None
            self._pause()

    def _start(self) -> None:
        try:
            self._worker = WorkerProcess(self._model, program=self._program, deadlines=self._deadlines)
        except OSError as problem:
            log.error("worker does not start", extra={"problem": type(problem).__name__})
            self._pause()

    def _pause(self) -> None:
        """No pause after the first failure since the last success, then 1, 2, 4 ... seconds."""
        pause = min(2.0 ** (self._failures - 1), self._deadlines.pause) if self._failures else 0.0
        self._retry_at = time.monotonic() + pause
        self._failures += 1


def _blame() -> UnreadableImage:
    return UnreadableImage("the picture ends the process that reads it; save it again as a plain PNG")


class Workers:
    """Worker processes for the model in use; called from as many threads per kind as there are processes."""

    def __init__(self, count: int, *, program: Sequence[str] = PROGRAM) -> None:
        self._count = count
        self._program = program
        self._group: _WorkerGroup | None = None
        self._changing = threading.Lock()

    @property
    def alive(self) -> int:
        """The number of processes that run."""
        return len(self.pids)

    @property
    def pids(self) -> tuple[int, ...]:
        """The ids of the processes that run."""
        group = self._group
        return tuple(slot.pid for slot in group.slots if slot.pid is not None) if group else ()

    @property
    def restarts(self) -> int:
        """How often a process was started again since the model was put to use."""
        group = self._group
        return sum(slot.restarts for slot in group.slots) if group else 0

    def prepare(self, model: Model) -> None:
        """Start processes that read with this model from now on."""
        with self._changing:
            self._get_group(model)

    def read(self, model: Model, kind: Kind, contents: Sequence[bytes]) -> list[PageReading | Exception]:
        """The result of each picture, or why it cannot be read."""
        with self._changing:
            group = self._get_group(model)
            slot = group.take(kind)
        if slot is None:
            return read_batch(model.reader, contents, kind)
        try:
            return slot.read(kind, contents)
        finally:
            group.idle[kind].put(slot)

    def close(self) -> None:
        """End all processes once none is reading."""
        with self._changing:
            if self._group:
                self._group.close()
            self._group = None

    def _get_group(self, model: Model) -> "_WorkerGroup":
        """The processes for a model; those of another model end when they have finished."""
        if self._group is None or self._group.model is not model:
            if self._group:
                threading.Thread(target=self._group.close, name="retire").start()
            self._group = _WorkerGroup(model, self._count, self._program)
        return self._group


class _WorkerGroup:
    """The slots for one model; for each kind a slot is idle or reads one batch."""

    def __init__(self, model: Model, count: int, program: Sequence[str]) -> None:
        self.model = model
        self.slots = [WorkerSlot(model, program=program) for _ in range(count)]
        self.idle: dict[Kind, SimpleQueue[WorkerSlot]] = {kind: SimpleQueue() for kind in KINDS}
        for kind in KINDS:
            for slot in self.slots:
                self.idle[kind].put(slot)

    def take(self, kind: Kind) -> WorkerSlot | None:
        """An idle slot, or None."""
        try:
            return self.idle[kind].get_nowait()
        except Empty:
            return None

    def close(self) -> None:
        """End each process once it is idle."""
        for kind in KINDS:
            for _ in self.slots:
                self.idle[kind].get()
        for slot in self.slots:
            slot.close()
