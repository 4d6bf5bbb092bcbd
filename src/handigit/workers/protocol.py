"""What passes between the server and a process that reads for it: JSON for what has a form, bytes for what has none.

A message is the length of its head (4 bytes, big end first), the head as JSON, and the blobs whose sizes it tells. Both
ends trust the form, not each other: nothing that comes in is run. It knows sockets and records, not who reads.
"""

import json
import socket
import struct
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import Any, Final

import numpy as np

from handigit.pipeline import Read
from handigit.records import Box, Digit, Number, Outcome

_LENGTH: Final = struct.Struct(">I")
_TOGETHER: Final = 2**20
"""Bytes of blobs up to which a message is copied into one piece; a system call for each would cost more."""
Blob = bytes | memoryview


class WorkerGone(Exception):
    """The other side has gone, or does not answer."""


def send(channel: socket.socket, head: dict[str, Any], blobs: Sequence[Blob] = ()) -> None:
    """Send one message.

    Raises:
        WorkerGone: nobody takes it.
    """
    sizes = [len(blob) for blob in blobs]
    content = json.dumps(head | {"sizes": sizes}).encode()
    begin = _LENGTH.pack(len(content)) + content
    try:
        if sum(sizes) <= _TOGETHER:
            channel.sendall(b"".join([begin, *blobs]))
            return
        channel.sendall(begin)
        for blob in blobs:
            channel.sendall(blob)
    except OSError:
        raise WorkerGone from None


def receive(channel: socket.socket) -> tuple[dict[str, Any], list[memoryview]]:
    """The next message: its head and its blobs.

    Raises:
        WorkerGone: none comes.
    """
    (length,) = _LENGTH.unpack(_exactly(channel, _LENGTH.size))
    head = dict(json.loads(bytes(_exactly(channel, length))))
    sizes = head.pop("sizes")
    whole = _exactly(channel, sum(sizes))
    return head, [whole[start:stop] for start, stop in pairwise(accumulate(sizes, initial=0))]


def _exactly(channel: socket.socket, count: int) -> memoryview:
    content = memoryview(bytearray(count))
    filled = 0
    while filled < count:
        try:
            got = channel.recv_into(content[filled:])
        except OSError:
            raise WorkerGone from None
        if not got:
            raise WorkerGone
        filled += got
    return content.toreadonly()


def encode_reads(reads: Sequence[Read | None]) -> tuple[dict[str, Any], list[Blob]]:
    """What was read from several pages as a message; None for a page that could not be read."""
    blobs: list[Blob] = []
    items: list[dict[str, Any] | None] = []
    for read in reads:
        if read is None:
            items.append(None)
            continue
        blobs.append(np.ascontiguousarray(read.page).data.cast("B"))
        numbers = [_number(number, blobs) for number in read.numbers]
        items.append({"shape": read.page.shape, "numbers": numbers, "model": read.model, "digest": read.digest})
    return {"reads": items}, blobs


def decode_reads(head: dict[str, Any], blobs: Sequence[Blob]) -> list[Read | None]:
    """The same from a message."""
    left = iter(blobs)
    return [_read_of(item, left.__next__) if item else None for item in head["reads"]]


def _number(number: Number, blobs: list[Blob]) -> dict[str, Any]:
    return {
        "outcome": number.outcome.value,
        "text": number.text,
        "confidence": number.confidence,
        "digits": [_digit(digit, blobs) for digit in number.digits],
        "alternatives": number.alternatives,
        "raw": number.raw,
        "box": _sides(number.box),
        "page": number.page,
    }


def _digit(digit: Digit, blobs: list[Blob]) -> dict[str, Any]:
    if digit.glyph is not None:
        blobs.append(np.ascontiguousarray(digit.glyph).data.cast("B"))
    return {
        "outcome": digit.outcome.value,
        "value": digit.value,
        "confidence": digit.confidence,
        "probabilities": digit.probabilities,
        "box": _sides(digit.box),
        "glyph": digit.glyph is not None,
    }


def _sides(box: Box | None) -> list[int] | None:
    return box.as_list() if box else None


def _read_of(item: dict[str, Any], take: Callable[[], Blob]) -> Read:
    page = np.frombuffer(take(), np.uint8).reshape(item["shape"])
    numbers = tuple(_number_of(number, take) for number in item["numbers"])
    return Read(numbers, page, item["model"], item["digest"])


def _number_of(told: dict[str, Any], take: Callable[[], Blob]) -> Number:
    return Number(
        outcome=Outcome(told["outcome"]),
        text=told["text"],
        confidence=told["confidence"],
        digits=tuple(_digit_of(digit, take) for digit in told["digits"]),
        alternatives=tuple((text, confidence) for text, confidence in told["alternatives"]),
        raw=told["raw"],
        box=Box.from_list(told["box"]),
        page=told["page"],
    )


def _digit_of(told: dict[str, Any], take: Callable[[], Blob]) -> Digit:
    glyph = np.frombuffer(take(), np.float32).reshape(28, 28) if told["glyph"] else None
    return Digit.from_json(told, glyph=glyph)
