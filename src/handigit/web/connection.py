"""A connection: uvicorn's own, which here hangs up on whoever says nothing, and refuses a flood at the door.

While there is no room, a request for it is answered when its head is there: before a task, a scope or a route is made
for it, which would cost as much as reading a digit. It knows HTTP's framing, not what is asked for.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from handigit.web.door import Door
from handigit.web.exchange import TRIFLE

FIRST_HEAD_S = 20.0
"""How long a new connection may take to send the head of its first request."""


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

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Give the caller a while to say something."""
        super().connection_made(transport)
        self.loop.call_later(FIRST_HEAD_S, self._hang_up, transport)

    def data_received(self, data: bytes) -> None:
        """Take what has come; a connection on which the last request was refused may idle as long as any other."""
        super().data_received(data)
        if self.cycle is _REFUSED and self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_headers_complete(self) -> None:
        """Answer at once if there is no room, else let the request begin."""
        patience_s = self._door.patience_s(self.url)
        if not patience_s or not self._can_refuse(given := dict(self.headers)):
            super().on_headers_complete()
            return
        own = self.server_state.default_headers
        self.transport.write(self._door.refuse(self.url, own, given=given, patience_s=patience_s))
        self.server_state.total_requests += 1
        self.cycle = _REFUSED

    def _can_refuse(self, given: dict[bytes, bytes]) -> bool:
        """Whether the answer may go out now and the connection live on: all that is rare goes the long way."""
        in_turn = self.cycle is None or self.cycle.response_complete
        length = given.get(b"content-length", b"")
        is_trifle = length.isdigit() and int(length) <= TRIFLE and b"transfer-encoding" not in given
        stays = self.parser.should_keep_alive() and not self.parser.should_upgrade() and not self.expect_100_continue
        return in_turn and is_trifle and stays and not self.flow.write_paused and self.parser.get_method() == b"POST"

    def _hang_up(self, transport: asyncio.Transport) -> None:
        if self.cycle is None:  # no request has come yet
            transport.close()
