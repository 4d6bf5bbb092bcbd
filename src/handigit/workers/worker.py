"""A process that reads for a server: batches of pictures in, what was read from each out, until the server has gone.

    python -m handigit.workers.worker '{"place": "…", "threads": 1, "limits": {…}, "channels": [3, 4]}'

Each channel is a socket that was inherited; on each it answers one batch after another, on a thread of its own. It ends
when the channels do, and by no signal that a terminal or a service manager sends to a whole group: what the server has
accepted is still read.
"""

import json
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

from handigit.images import Limits
from handigit.pipeline import Kind, Read, read_together
from handigit.read import Reader
from handigit.workers.gc_tuning import freeze_gc
from handigit.workers.protocol import WorkerGone, encode_reads, receive, send


def main() -> None:
    """Load the models as the first argument says, and answer until nobody asks any more."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    order: dict[str, Any] = json.loads(sys.argv[1])
    reader = Reader(Path(order["place"]), threads=order["threads"], limits=Limits(**order["limits"]))
    digests = [engine.digest for engine in reader.engines]
    freeze_gc()
    channels = [socket.socket(fileno=number) for number in order["channels"]]
    threads = [threading.Thread(target=answer, args=(reader, digests, channel)) for channel in channels]
    for thread in threads:
        thread.start()


def answer(reader: Reader, digests: list[str], channel: socket.socket) -> None:
    """Say which models are loaded, then answer batch after batch."""
    try:
        send(channel, {"digests": digests})
        while True:
            head, contents = receive(channel)
            send(channel, *encode_reads(reads_of(reader, [bytes(content) for content in contents], head["kind"])))
    except WorkerGone:
        channel.close()


def reads_of(reader: Reader, contents: list[bytes], kind: Kind) -> list[Read | None]:
    """What was read from each picture; None where there was an error, whose reason the server finds out for itself."""
    try:
        return [read if isinstance(read, Read) else None for read in read_together(reader, contents, kind)]
    except Exception:  # whatever it is, the server must not wait for an answer
        return [None] * len(contents)


if __name__ == "__main__":
    main()
