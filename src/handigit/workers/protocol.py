"""Messages between the server and a worker: JSON for structure, bytes for pixels.

A message is the length of its head (4 bytes, big-endian), the head as JSON, and the blobs whose sizes the head lists.
Received data are never executed.
"""

import base64
import json
import os
import selectors
import socket
import struct
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, Final

import numpy as np
from jaxtyping import Float32

from handigit.read import PageReading
from handigit.records import Digit, Number

_LENGTH: Final = struct.Struct(">I")
_MAX_JOINED: Final = 2**20
"""Bytes of blobs up to which a message is copied into one piece, because a system call for each would cost more."""
ALIVE: Final = "alive"
"""The key of the message that a worker sends while it is busy."""
STOP: Final = "stop"
"""The key of the message by which the server gives up a batch; the worker answers as soon as it can."""
HEARTBEAT_S: Final = 0.5
Blob = bytes | memoryview


class WorkerGone(Exception):
    """The other side has closed the channel, or does not answer."""


def send(channel: socket.socket, head: dict[str, Any], blobs: Sequence[Blob] = ()) -> None:
    """Send one message.

    Raises:
        WorkerGone: the channel is closed, or the other side took no bytes within its timeout.
    """
    sizes = [len(blob) for blob in blobs]
    content = json.dumps(head | {"sizes": sizes}).encode()
    start = _LENGTH.pack(len(content)) + content
    try:
        if sum(sizes) <= _MAX_JOINED:
            channel.sendall(b"".join([start, *blobs]))
            return
        channel.sendall(start)
        for blob in blobs:
            channel.sendall(blob)
    except OSError:
        raise WorkerGone from None


def receive(channel: socket.socket) -> tuple[dict[str, Any], list[memoryview]]:
    """The next message: its head and its blobs.

    Raises:
        WorkerGone: the channel is closed, or no message arrived within its timeout.
    """
    (length,) = _LENGTH.unpack(_receive_exactly(channel, _LENGTH.size))
    head = dict(json.loads(bytes(_receive_exactly(channel, length))))
    sizes = head.pop("sizes")
    content = _receive_exactly(channel, sum(sizes))
    return head, [content[start:stop] for start, stop in pairwise(accumulate(sizes, initial=0))]


def has_message(channel: socket.socket, within_s: float) -> bool:
    """Whether something arrives in time; unlike `select`, also where a process has more than 1,024 open files."""
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)
        return bool(selector.select(within_s))


def _receive_exactly(channel: socket.socket, count: int) -> memoryview:
    content = memoryview(bytearray(count))
    filled = 0
    while filled < count:
        try:
            received = channel.recv_into(content[filled:])
        except OSError:
            raise WorkerGone from None
        if not received:
            raise WorkerGone
        filled += received
    return content.toreadonly()


def encode_reads(reads: Sequence[PageReading | None]) -> tuple[dict[str, Any], list[Blob]]:
    """Results of several pages as a message; None for a page that could not be read."""
    blobs: list[Blob] = []
    items: list[dict[str, Any] | None] = []
    for read in reads:
        if read is None:
            items.append(None)
            continue
        blobs.append(np.ascontiguousarray(read.page).data.cast("B"))
        numbers = [
            number.to_json(full=True) | {"digits": [_encode_digit(digit, blobs) for digit in number.digits]}
            for number in read.numbers
        ]
        digit = _encode_digit(read.digit, blobs) if read.digit else None
        items.append(
            {
                "shape": read.page.shape,
                "numbers": numbers,
                "model": read.model,
                "digest": read.digest,
                "digit": digit,
            }
        )
    return {"reads": items}, blobs


def decode_reads(head: dict[str, Any], blobs: Sequence[Blob]) -> list[PageReading | None]:
    """The inverse of `encode_reads`."""
    remaining = iter(blobs)
    return [_decode_read(item, remaining) if item else None for item in head["reads"]]


def _encode_digit(digit: Digit, blobs: list[Blob]) -> dict[str, Any]:
    if digit.glyph is not None:
        blobs.append(np.ascontiguousarray(digit.glyph).data.cast("B"))
    return digit.to_json(full=True) | {"glyph": digit.glyph is not None}


def _decode_read(item: dict[str, Any], blobs: Iterator[Blob]) -> PageReading:
    page = np.frombuffer(next(blobs), np.uint8).reshape(item["shape"])
    numbers = tuple(
        Number.from_json(fields, glyphs=[_decode_glyph(digit, blobs) for digit in fields["digits"]])
        for fields in item["numbers"]
    )
    digit = Digit.from_json(item["digit"], glyph=_decode_glyph(item["digit"], blobs)) if item["digit"] else None
    return PageReading(numbers, page, item["model"], item["digest"], digit)


def _decode_glyph(fields: dict[str, Any], blobs: Iterator[Blob]) -> Float32[np.ndarray, "28 28"] | None:
    return np.frombuffer(next(blobs), np.float32).reshape(28, 28) if fields["glyph"] else None


def export_channel(channel: socket.socket, process_id: int | None) -> int | str:
    """The identifier of a channel for a child: on POSIX its inherited descriptor, on Windows a duplicate for its id."""
    if os.name == "nt":
        assert process_id is not None
        return base64.b64encode(channel.share(process_id)).decode()  # type: ignore[attr-defined] # Windows only
    return channel.fileno()


def import_channel(identity: int | str) -> socket.socket:
    """The channel in the child; the inverse of `export_channel`."""
    if isinstance(identity, str):
        shared: socket.socket = socket.fromshare(base64.b64decode(identity))  # type: ignore[attr-defined] # Windows only
        return shared
    return socket.socket(fileno=identity)
