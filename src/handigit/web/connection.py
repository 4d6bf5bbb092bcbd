"""A connection: uvicorn's own, which here hangs up on whoever says nothing, and refuses a flood at the door.

While there is no room, a request for it is answered when its head is there: before a task, a scope or a route is made
for it, which would cost as much as reading a digit. One that comes whole and plain is answered before it is parsed. It
knows HTTP's framing, not what is asked for.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from handigit.web.door import Door
from handigit.web.exchange import TRIFLE

FIRST_HEAD_S = 20.0
"""How long a new connection may take to send the head of its first request."""
_TARGET: Final = re.compile(rb"POST (\S+) HTTP/1\.1\r\n")
_UNUSUAL: Final = re.compile(rb"\r\n(?:transfer-encoding|connection|expect|upgrade)\b", re.IGNORECASE)
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)(?=\r\n)", re.IGNORECASE)
_ID: Final = re.compile(rb"\r\nx-request-id: *([^\r]*)\r\n", re.IGNORECASE)


class _Refused:
    """Stands where uvicorn has a request and its answer, once the answer has gone out: what still comes is dropped."""

    response_complete = True
    message_event = asyncio.Event()


_REFUSED: Final[Any] = _Refused()


class Connection(HttpToolsProtocol):
    """uvicorn's protocol, which by itself waits for ever for a first request and makes a task of each."""

    def __init__(self, *args: Any, door: Door, **how: Any) -> None:
        super().__init__(*args, **how)
        self._door = door
        self._inside = False  # a message

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Give the caller a while to say something."""
        super().connection_made(transport)
        self.loop.call_later(FIRST_HEAD_S, self._hang_up, transport)

    def data_received(self, data: bytes) -> None:
        """Take what has come; a connection on which the last request was refused may idle as long as any other."""
        target = None if self._inside or not self._is_in_turn else plain_target(data)
        if target and (patience_s := self._door.patience_s(target)):
            own_id = _ID.search(data)
            self._refuse(target, {b"x-request-id": own_id[1]} if own_id else {}, patience_s)
            self._unset_keepalive_if_required()
            self._wait_for_next()
            return
        super().data_received(data)
        if target:
            self._door.expect(target)
        if self.cycle is _REFUSED and self.timeout_keep_alive_task is None:
            self._wait_for_next()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._inside = True
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """A request has come, whole."""
        self._inside = False
        super().on_message_complete()

    def on_headers_complete(self) -> None:
        """Answer at once if there is no room, else let the request begin."""
        patience_s = self._door.patience_s(self.url)
        if not patience_s or not self._can_refuse(given := dict(self.headers)):
            super().on_headers_complete()
            return
        self._refuse(self.url, given, patience_s)

    @property
    def _is_in_turn(self) -> bool:
        """Whether an answer may go out now: none before it is still to come."""
        return (self.cycle is None or self.cycle.response_complete) and not self.flow.write_paused

    def _refuse(self, target: bytes, given: Mapping[bytes, bytes], patience_s: float) -> None:
        own = self.server_state.default_headers
        self.transport.write(self._door.refuse(target, own, given=given, patience_s=patience_s))
        self.server_state.total_requests += 1
        self.cycle = _REFUSED

    def _wait_for_next(self) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _can_refuse(self, given: dict[bytes, bytes]) -> bool:
        """Whether the answer may go out now and the connection live on: all that is rare goes the long way."""
        length = given.get(b"content-length", b"")
        is_trifle = length.isdigit() and int(length) <= TRIFLE and b"transfer-encoding" not in given
        stays = self.parser.should_keep_alive() and not self.parser.should_upgrade() and not self.expect_100_continue
        return self._is_in_turn and is_trifle and stays and self.parser.get_method() == b"POST"

    def _hang_up(self, transport: asyncio.Transport) -> None:
        if self.cycle is None:  # no request has come yet
            transport.close()


def plain_target(data: bytes) -> bytes | None:
    """What a POST asks for, if these bytes are all of it and it has nothing unusual about it."""
    begin = _TARGET.match(data)
    end = data.find(b"\r\n\r\n")
    if not begin or end < 0:
        return None
    lengths = _LENGTH.findall(data, 0, end + 2)
    is_whole = len(lengths) == 1 and len(lengths[0]) < 10 and end + 4 + int(lengths[0]) == len(data)
    return begin[1] if is_whole and not _UNUSUAL.search(data, 0, end) else None
