"""A process that reads for a server: batches of pictures in, results out, until the server closes the channels.

    python -m handigit.workers.worker <<< '{"server": 1, "path": "…", "threads": 1, "limits": {…}, "channels": [3, 4]}'

It serves each channel on its own thread, and sends a heartbeat while it is busy. It ignores the signals that a terminal
or a service manager sends to a whole process group, so that accepted pictures are still read. On Linux the kernel kills
it with the server, whatever it is doing; elsewhere it ends once it notices that its channels are closed.
"""

import ctypes
import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

from handigit.images import Limits
from handigit.images.cancellation import Cancellation
from handigit.read import PageReading, Reader, read_batch
from handigit.records import Kind
from handigit.workers.memory import freeze_gc, release_memory, share_arena
from handigit.workers.protocol import (
    ALIVE,
    HEARTBEAT_S,
    STOP,
    Blob,
    WorkerGone,
    encode_reads,
    has_message,
    import_channel,
    receive,
    send,
)

_PR_SET_PDEATHSIG: Final = 1  # prctl(2)


def main() -> None:
    """Load the models that the first line on standard input names, then serve its channels."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    share_arena()
    order: dict[str, Any] = json.loads(sys.stdin.readline())
    end_with_parent(order["server"])
    channels = [import_channel(identity) for identity in order["channels"]]
    reader = Reader(Path(order["path"]), threads=order["threads"], limits=Limits(**order["limits"]))
    digests = [engine.digest for engine in reader.engines]
    freeze_gc()
    for channel in channels:
        threading.Thread(target=serve, args=(reader, digests, channel)).start()


def end_with_parent(parent: int) -> None:
    """Have the kernel kill this process once the thread that started it ends; end now if `parent` already has.

    Does nothing where the system cannot do it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the call
            sys.exit("the server has ended")


def serve(reader: Reader, digests: list[str], channel: socket.socket) -> None:
    """Report which models are loaded, then answer batch after batch."""
    try:
        send(channel, {"digests": digests})
        heartbeat = Heartbeat(channel)
        while True:
            head, contents = receive(channel)
            if STOP in head:  # it arrived after the answer
                continue
            with heartbeat.start().active():
                reads = _read(reader, [bytes(content) for content in contents], head["kind"])
            heartbeat.stop_and_send(*encode_reads(reads))
    except WorkerGone:
        channel.close()


class Heartbeat:
    """Messages that show, while a batch is being read, that the process runs; a stopped one falls silent.

    While a batch is being read, the server sends nothing but the wish to stop it, or closes the channel.
    """

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._sending = threading.Lock()
        self._batch: Cancellation | None = None
        threading.Thread(target=self._beat, daemon=True).start()

    def start(self) -> Cancellation:
        """Begin to send, after one interval; the batch should end once the result is cancelled."""
        with self._sending:
            self._batch = Cancellation()
            return self._batch

    def stop_and_send(self, head: dict[str, Any], blobs: list[Blob]) -> None:
        """Send the answer after the last beat, so that their bytes do not mix.

        Raises:
            WorkerGone: the server has closed the channel.
        """
        with self._sending:
            self._batch = None
            send(self._channel, head, blobs)

    def _beat(self) -> None:
        has_worked = False
        while True:
            time.sleep(HEARTBEAT_S)
            with self._sending:
                if self._batch is None:
                    if has_worked:
                        release_memory()
                    has_worked = False
                    continue
                has_worked = True
                try:
                    if has_message(self._channel, 0):  # read later, by the thread that serves
                        self._batch.cancel()
                    send(self._channel, {ALIVE: True})
                except (OSError, ValueError, WorkerGone):
                    self._batch.cancel()
                    return


def _read(reader: Reader, contents: list[bytes], kind: Kind) -> list[PageReading | None]:
    """The results; None for a picture that cannot be read: the server reads it again for its error."""
    try:
        return [read if isinstance(read, PageReading) else None for read in read_batch(reader, contents, kind)]
    except Exception:  # whatever it is, the server must get an answer
        return [None] * len(contents)


if __name__ == "__main__":
    main()
