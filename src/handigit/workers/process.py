"""The server's handle on one worker process, and how that process ended."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Final, Protocol, runtime_checkable

from handigit.errors import HandigitError
from handigit.images.cancellation import active_cancellation
from handigit.read import PageReading, Reader
from handigit.records import Kind
from handigit.workers.protocol import (
    ALIVE,
    STOP,
    WorkerGone,
    decode_reads,
    export_channel,
    has_message,
    receive,
    send,
)

KINDS: Final[tuple[Kind, ...]] = ("digit", "number")
"""Kinds of pictures; each has its own channel, so that numbers do not delay digits."""
PROGRAM: Final = (sys.executable, "-m", "handigit.workers.worker")
_END_S: Final = 5.0
_LAST_MOMENTS_S: Final = 0.2
"""A crashing process closes its channels some milliseconds before its status is known."""
_STARTER: Final = ThreadPoolExecutor(1, "worker starter")
"""Starts every worker: the kernel ends a worker with the thread that started it, so that must last."""
_CRASHES: Final = frozenset(
    -number for number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, getattr(signal, "SIGBUS", 0))
)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Maximum waits for a worker, in seconds.

    Args:
        silence: A worker that is silent for this long, without a heartbeat, hangs.
        answer: A batch takes milliseconds; more than this means a picture that a decoder cannot get through.
        start: For a new worker before a retry; loading the models takes one to two seconds.
        pause: Before a worker that keeps ending is started again.
    """

    silence: float = 2.0
    answer: float = 10.0
    start: float = 10.0
    pause: float = 60.0


DEADLINES: Final = Deadlines()


class WorkerUnavailable(HandigitError):
    """A picture that was not read because its worker ended for a reason outside the picture; try it again."""


@runtime_checkable
class Model(Protocol):
    """The model to read with: the server's own reader, and the digests of its files."""

    @property
    def reader(self) -> Reader:
        """The reader in this process."""

    @property
    def digests(self) -> tuple[str, ...]:
        """The SHA-256 of each of its files."""


def skip_launcher(
    program: Sequence[str], *, is_windows: bool = os.name == "nt"
) -> tuple[Sequence[str], dict[str, str] | None]:
    """The command and environment that start `program` itself, so that its process id is known.

    On Windows the python.exe of a virtual environment only starts the real one, which a socket must be shared with.
    """
    base = getattr(sys, "_base_executable", sys.executable)
    if not is_windows or program[0] != sys.executable or base == sys.executable:
        return program, None
    return (base, *program[1:]), {**os.environ, "__PYVENV_LAUNCHER__": sys.executable}


def _start(
    command: Sequence[str], environment: dict[str, str] | None, inherited: Sequence[int]
) -> subprocess.Popen[bytes]:
    quiet = subprocess.DEVNULL
    return subprocess.Popen(
        command, env=environment, pass_fds=inherited, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet
    )


class WorkerProcess:
    """One process that reads with a model, with a channel per kind. `program` is started with its order on stdin.

    Raises:
        OSError: the system cannot start it.
    """

    def __init__(self, model: Model, *, program: Sequence[str] = PROGRAM, deadlines: Deadlines = DEADLINES) -> None:
        self._deadlines = deadlines
        self._digests = list(model.digests)
        self._ready: dict[Kind, bool] = dict.fromkeys(KINDS, False)
        self._channels: dict[Kind, socket.socket] = {}
        self._guard = threading.Lock()
        self._at_work = 0
        self._was_shared = False
        self._is_too_slow = False
        theirs = []
        for kind in KINDS:
            self._channels[kind], end = socket.socketpair()
            self._channels[kind].settimeout(deadlines.silence)
            theirs.append(end)
        inherited = () if os.name == "nt" else tuple(end.fileno() for end in theirs)
        try:
            command, environment = skip_launcher(program)
            starting: Future[subprocess.Popen[bytes]] = _STARTER.submit(_start, command, environment, inherited)
            self._process = starting.result()
            self._send_order(model.reader, [export_channel(end, self._process.pid) for end in theirs])
        except OSError:
            self._shut_channels()
            raise
        finally:
            for end in theirs:
                end.close()

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    @property
    def ended_by_picture(self) -> bool:
        """Whether the only batch at work is to blame: the process crashed, exited, or worked on it for too long.

        A signal from outside, such as that of a system without memory, and a process that was stopped are not its
        fault; nor is anything that happened while the other channel was busy, too.
        """
        status = self.status
        if self._was_shared:
            return False
        return self._is_too_slow or status in _CRASHES or (status is not None and status > 0)

    def is_ready(self, kind: Kind, *, within_s: float = 0.0) -> bool:
        """Whether it has loaded the same models as the server and listens.

        Raises:
            WorkerGone: it has ended.
        """
        try:
            if not self._ready[kind] and has_message(self._channels[kind], within_s):
                head, _ = receive(self._channels[kind])
                self._ready[kind] = head["digests"] == self._digests
        except (OSError, ValueError, KeyError):  # another thread has closed the channel
            raise WorkerGone from None
        return self._ready[kind]

    def read(self, kind: Kind, contents: Sequence[bytes]) -> list[PageReading | None]:
        """The result of each picture; None for one that cannot be read.

        When the active `Cancellation` is cancelled, the process is asked to stop, and most results are None.

        Raises:
            WorkerGone: it has ended, hangs, or takes too long.
        """
        with self._guard:
            self._at_work += 1
        try:
            return self._exchange(self._channels[kind], kind, contents)
        except WorkerGone:
            self._was_shared |= self._at_work > 1
            raise
        finally:
            with self._guard:
                self._at_work -= 1

    def _exchange(self, channel: socket.socket, kind: Kind, contents: Sequence[bytes]) -> list[PageReading | None]:
        end, cancellation, is_stopped = time.monotonic() + self._deadlines.answer, active_cancellation(), False
        send(channel, {"kind": kind}, contents)
        while True:
            head, blobs = receive(channel)
            if ALIVE not in head:
                return decode_reads(head, blobs)
            if cancellation.cancelled and not is_stopped:
                send(channel, {STOP: True})
                is_stopped = True
            if time.monotonic() > end:
                self._is_too_slow = True
                raise WorkerGone

    def close(self) -> None:
        """End it once it has finished; by force after some seconds."""
        self._shut_channels()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once; the status of one that is ending by itself is kept."""
        self._shut_channels()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_LAST_MOMENTS_S)
        self._process.kill()
        self._process.wait()

    def _send_order(self, reader: Reader, channels: list[int | str]) -> None:
        order = {
            "server": os.getpid(),
            "path": str(reader.model_path),
            "threads": reader.threads,
            "limits": asdict(reader.limits),
            "channels": channels,
        }
        assert self._process.stdin
        with self._process.stdin as stream:
            stream.write(json.dumps(order).encode() + b"\n")

    def _shut_channels(self) -> None:
        """Close the channels; `shutdown` first wakes threads that wait on them."""
        for channel in self._channels.values():
            with suppress(OSError):
                channel.shutdown(socket.SHUT_RDWR)
            channel.close()
