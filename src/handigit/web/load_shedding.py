"""A connection: uvicorn's own, which here hangs up on whoever says nothing, and refuses a flood at the door.

While there is no room, a request for it is answered when its head is there: before a task, a scope or a route is made
for it, which would cost as much as reading a digit. One that comes whole and plain is answered before it is parsed. It
knows HTTP's framing, not what is asked for.
"""

import asyncio
import json
import logging
import re
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from handigit.pipeline import Kind
from handigit.web.exchange_limits import HEADERS, TRIFLE, request_id_of
from handigit.web.metrics import Metrics
from handigit.web.problems import BUSY, MEDIA_TYPE, busy
from handigit.web.service import Service

log = logging.getLogger(__name__)
_KINDS: Final[dict[str, Kind]] = {"/v1/digit": "digit", "/v1/number": "number", "/v1/page": "page"}
"""What is read where."""
_PLACES: Final = {path.encode(): path for path in _KINDS}
_SLOT: Final = "request-id"
"""Where the request's id goes; it has no letter that JSON would write in another way."""


class Door:
    """Looks at requests before the application does, and at the service's room."""

    def __init__(self, service: Service, metrics: Metrics) -> None:
        self._service = service
        self._metrics = metrics
        self._unsaid = 0
        self._said_at = 0.0

    def check(self, path: str) -> None:
        """Let a request for this path pass.

        Raises:
            Problem: there is no room for what it wants, or no model yet.
        """
        if kind := _KINDS.get(path):
            self._service.check_room(kind)

    def patience_s(self, target: bytes) -> float:
        """Seconds until a POST to this target may find room; 0 if it may come in."""
        path = _PLACES.get(target.partition(b"?")[0])
        return self._service.patience_s(_KINDS[path]) if path else 0.0

    def expect(self, target: bytes) -> None:
        """Count a POST to this target that was let in, whole, until it has found its room."""
        if path := _PLACES.get(target.partition(b"?")[0]):
            self._service.expect(_KINDS[path])

    def refuse(
        self, target: bytes, headers: Iterable[tuple[bytes, bytes]], *, given: Mapping[bytes, bytes], patience_s: float
    ) -> bytes:
        """The refusal as it goes over the wire, counted; `headers` the server's own, `given` those of the request."""
        self._metrics.refused(_PLACES[target.partition(b"?")[0]], "POST", BUSY.status)
        self.note_refusal()
        request_id = request_id_of(given)
        head, body = _answer(max(1, round(patience_s)))
        own = b"".join(b"%b: %b\r\n" % header for header in headers)
        return b"%b%bx-request-id: %b\r\n" % (head, own, request_id.encode()) + _framed(body, request_id)

    def note_refusal(self) -> None:
        """A flood must not become a flood of lines: one a second, with their number."""
        self._unsaid += 1
        now = time.monotonic()
        if now - self._said_at > 1:
            log.warning("refused", extra={"status": BUSY.status, "count": self._unsaid})
            self._unsaid, self._said_at = 0, now


def _framed(body: str, request_id: str) -> bytes:
    content = body.replace(_SLOT, request_id).encode()
    return b"content-length: %d\r\n\r\n%b" % (len(content), content)


@lru_cache(maxsize=64)
def _answer(patience_s: int) -> tuple[bytes, str]:
    """What all refusals that ask for the same patience share: the beginning of the head, and the body."""
    problem = busy(patience_s)
    lines = {b"content-type": MEDIA_TYPE.encode(), b"retry-after": problem.headers["Retry-After"].encode()} | HEADERS
    head = b"HTTP/1.1 429 Too Many Requests\r\n" + b"".join(b"%b: %b\r\n" % line for line in lines.items())
    return head, json.dumps(problem.as_dict(_SLOT), ensure_ascii=False)


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
