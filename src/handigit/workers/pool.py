"""The server's side of the processes that read for it: who is asked, and what happens when one ends.

As long as a process is not ready, the server reads by itself, so nobody waits for it. When one ends in the middle of a
batch, the batch is read once more picture by picture, so that only the picture that has ended it gets an error. It
knows nothing of HTTP.
"""

import json
import logging
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from queue import Empty, SimpleQueue
from typing import Final, Protocol, runtime_checkable

from handigit.errors import UnreadableImage
from handigit.pipeline import Kind, Read, read_together
from handigit.read import Reader
from handigit.workers.protocol import WorkerGone, decode_reads, receive, send

log = logging.getLogger(__name__)
KINDS: Final[tuple[Kind, ...]] = ("digit", "number")
"""What is read here, each on a channel of its own so that numbers do not hold digits up."""
_ANSWER_S: Final = 60.0
"""Longest wait for a batch, which takes milliseconds; whoever needs longer is ended."""
_START_S: Final = 30.0
_END_S: Final = 5.0


@runtime_checkable
class Model(Protocol):
    """What is read with: the server's own reader, and the digests of its files."""

    @property
    def reader(self) -> Reader:
        """The reader in this process."""

    @property
    def digests(self) -> tuple[str, ...]:
        """The SHA-256 of each of its files."""


class Worker:
    """One process that reads with a model, and a channel to it for each kind."""

    def __init__(self, model: Model) -> None:
        self._digests = list(model.digests)
        self._ready: dict[Kind, bool] = dict.fromkeys(KINDS, False)
        self._channels: dict[Kind, socket.socket] = {}
        theirs = []
        for kind in KINDS:
            self._channels[kind], end = socket.socketpair()
            self._channels[kind].settimeout(_ANSWER_S)
            theirs.append(end)
        reader = model.reader
        numbers = [end.fileno() for end in theirs]
        order = {"place": str(reader.model_path), "threads": reader.threads, "limits": asdict(reader.limits)}
        command = [sys.executable, "-m", "handigit.workers.worker", json.dumps(order | {"channels": numbers})]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(command, pass_fds=numbers, stdin=quiet, stdout=quiet, stderr=quiet)
        for end in theirs:
            end.close()

    def is_ready(self, kind: Kind, *, within_s: float = 0.0) -> bool:
        """Whether it has loaded the very same models and listens.

        Raises:
            WorkerGone: it has ended.
        """
        if not self._ready[kind] and select.select([self._channels[kind]], [], [], within_s)[0]:
            head, _ = receive(self._channels[kind])
            self._ready[kind] = head["digests"] == self._digests
        return self._ready[kind]

    def ask(self, kind: Kind, contents: Sequence[bytes]) -> list[Read | None]:
        """What was read from each picture; None for one that cannot be read.

        Raises:
            WorkerGone: it has ended, or does not answer.
        """
        send(self._channels[kind], {"kind": kind}, contents)
        return decode_reads(*receive(self._channels[kind]))

    def close(self, *, at_once: bool = False) -> None:
        """End it, by force if it does not end by itself."""
        for channel in self._channels.values():
            channel.close()
        try:
            self.process.wait(0.0 if at_once else _END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class WorkerSlot:
    """The place of one process: when it ends, another takes it."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._worker = _started(model)
        self._changing = threading.Lock()

    def read(self, kind: Kind, contents: Sequence[bytes]) -> list[Read | Exception]:
        """What was read from each picture, or why it cannot be read."""
        worker = self._listening(kind)
        if worker is None:
            return read_together(self._model.reader, contents, kind)
        try:
            return self._whole(kind, contents, worker.ask(kind, contents))
        except WorkerGone:
            self._replace(worker)
            return [self._alone(kind, content) for content in contents]

    def close(self) -> None:
        """End the process."""
        with self._changing:
            if self._worker:
                self._worker.close()
            self._worker = None

    def _listening(self, kind: Kind) -> Worker | None:
        """The process, if it is ready; one that has ended before it was will not be started again."""
        worker = self._worker
        try:
            return worker if worker and worker.is_ready(kind) else None
        except WorkerGone:
            log.error("worker does not start", extra={"status": worker.process.poll() if worker else None})
            self.close()
            return None

    def _replace(self, worker: Worker) -> None:
        """Start another process instead of one that has ended or hangs, unless that was done already."""
        with self._changing:
            if self._worker is worker:
                worker.close(at_once=True)
                log.warning("worker ended", extra={"status": worker.process.returncode})
                self._worker = _started(self._model)

    def _alone(self, kind: Kind, content: bytes) -> Read | Exception:
        """One picture of a batch that has ended a process, by another, for which it is waited."""
        worker = self._worker
        try:
            if worker is None or not worker.is_ready(kind, within_s=_START_S):
                raise WorkerGone
            return self._whole(kind, [content], worker.ask(kind, [content]))[0]
        except WorkerGone:
            if worker:
                self._replace(worker)
            return UnreadableImage("the picture ends the process that reads it; save it again as a plain PNG")

    def _whole(self, kind: Kind, contents: Sequence[bytes], reads: Sequence[Read | None]) -> list[Read | Exception]:
        """The answers, and for each that is missing the reason, which the server finds out for itself."""
        missing = [content for content, read in zip(contents, reads, strict=True) if read is None]
        reasons = iter(read_together(self._model.reader, missing, kind))
        return [next(reasons) if read is None else read for read in reads]


def _started(model: Model) -> Worker | None:
    """A new process; none where the system gives none."""
    try:
        return Worker(model)
    except OSError as problem:
        log.error("worker does not start", extra={"problem": type(problem).__name__})
        return None


class Workers:
    """Some processes that read with the model in use; called from as many threads a kind as there are processes."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._crew: _WorkerGroup | None = None
        self._changing = threading.Lock()

    def prepare(self, model: Model) -> None:
        """Start processes that read with this model from now on."""
        with self._changing:
            self._crew_of(model)

    def read(self, model: Model, kind: Kind, contents: Sequence[bytes]) -> list[Read | Exception]:
        """What was read from each picture, or why it cannot be read."""
        with self._changing:
            crew = self._crew_of(model)
            seat = crew.take(kind)
        if seat is None:
            return read_together(model.reader, contents, kind)
        try:
            return seat.read(kind, contents)
        finally:
            crew.idle[kind].put(seat)

    def close(self) -> None:
        """End all processes, once nobody reads."""
        with self._changing:
            if self._crew:
                self._crew.close()
            self._crew = None

    def _crew_of(self, model: Model) -> "_WorkerGroup":
        """Those who read with the model; those who read with another go when they are done."""
        if self._crew is None or self._crew.model is not model:
            if self._crew:
                threading.Thread(target=self._crew.close, name="retire").start()
            self._crew = _WorkerGroup(model, self._count)
        return self._crew


class _WorkerGroup:
    """The processes that read with one model, each idle or busy with one batch of a kind."""

    def __init__(self, model: Model, count: int) -> None:
        self.model = model
        self.idle: dict[Kind, SimpleQueue[WorkerSlot]] = {kind: SimpleQueue() for kind in KINDS}
        self._seats = [WorkerSlot(model) for _ in range(count)]
        for kind in KINDS:
            for seat in self._seats:
                self.idle[kind].put(seat)

    def take(self, kind: Kind) -> WorkerSlot | None:
        """One that is idle."""
        try:
            return self.idle[kind].get_nowait()
        except Empty:
            return None

    def close(self) -> None:
        """End each when it is done."""
        for kind in KINDS:
            for _ in self._seats:
                self.idle[kind].get()
        for seat in self._seats:
            seat.close()
