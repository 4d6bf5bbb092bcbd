"""One request and its answer, watched on the way: how much comes in and how fast, what goes out, under which id.

A body that is larger than allowed, or comes too slowly, ends in a problem while it still comes in; nothing of it is
gathered here. It knows ASGI's messages, not what they mean.
"""

import asyncio
import random
import re
import time
from collections.abc import Mapping
from typing import Final

from starlette.types import Message, Receive, Scope, Send

from handigit.web.problems import TOO_LARGE, TOO_SLOW, Problem

_OWN_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_PAUSE_S: Final = 20.0
"""Longest wait for the next bytes of a body."""
_SLOWEST: Final = 10_000
"""Bytes a second that a body must bring on average once the first `_PAUSE_S` are over."""
_DISCARD_S: Final = 5.0
"""How long the rest of a refused body is read and thrown away, so that its sender gets to read the answer."""
TRIFLE: Final = 64 * 1024
"""A refused body that is smaller than this costs less to read than a new connection."""

HEADERS: Final[dict[bytes, bytes]] = {
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=()",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
}
"""On every answer that does not bring its own."""


def request_id_of(headers: Mapping[bytes, bytes]) -> str:
    """The id that the caller has given a request, if it can do no harm, or a new one."""
    own = headers.get(b"x-request-id", b"")
    if own and _OWN_ID.fullmatch(own):
        return own.decode()
    return f"{random.getrandbits(128):032x}"  # no secret, and to ask the system for one takes longer


class Exchange:
    """Stands between the server and the application for one request."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, max_bytes: float) -> None:
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.request_id = request_id_of(self.headers)
        self.began = time.perf_counter()
        self.received = 0
        self.status = 0
        self.finished = False
        self._receive = receive
        self._send = send
        self._max_bytes = max_bytes
        self._whole = not (b"transfer-encoding" in self.headers or self.declared)
        scope.setdefault("state", {})["request_id"] = self.request_id

    @property
    def declared(self) -> int:
        """The body's length as its sender says; 0 where nothing is said."""
        length = self.headers.get(b"content-length", b"0")
        return int(length) if length.isdigit() else 0

    def check_declared(self) -> None:
        """Refuse by the declared length.

        Raises:
            Problem: too large.
        """
        if self.declared > self._max_bytes:
            raise self._too_large()

    async def receive(self) -> Message:
        """The next message, with the body measured.

        Raises:
            Problem: too large, or too slow.
        """
        if self._whole:
            return await self._receive()
        message = await self._next_chunk()
        self.received += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self.received > self._max_bytes:
            raise self._too_large()
        return message

    async def send(self, message: Message) -> None:
        """Pass an answer's message on, with what every answer carries."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], *self._own_headers(message)]
            await self._send(message)
        elif self._whole or message.get("more_body"):
            self.finished = not message.get("more_body", False)
            await self._send(message)
        else:
            await self._send({**message, "more_body": True})
            await self._discard()
            self.finished = True
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    def _own_headers(self, message: Message) -> list[tuple[bytes, bytes]]:
        there = {name.lower() for name, _ in message["headers"]}
        added = [(name, value) for name, value in HEADERS.items() if name not in there]
        added.append((b"x-request-id", self.request_id.encode()))
        if not self._whole and not 0 < self.declared <= TRIFLE:
            added.append((b"connection", b"close"))
        return added

    async def _next_chunk(self) -> Message:
        spent = time.perf_counter() - self.began
        if spent > _PAUSE_S + self.received / _SLOWEST:
            raise self._too_slow()
        try:
            async with asyncio.timeout(_PAUSE_S):
                return await self._receive()
        except TimeoutError:
            raise self._too_slow() from None

    async def _discard(self) -> None:
        """Read on for a while and keep nothing: a connection cut while bytes come in loses the answer too."""
        try:
            async with asyncio.timeout(_DISCARD_S):
                while (message := await self._receive())["type"] == "http.request" and message.get("more_body"):
                    pass
        except TimeoutError:
            pass

    def _too_large(self) -> Problem:
        here = f"{self.declared:,} bytes" if self.declared else f"more than {self.received:,} bytes"
        most = f"{self._max_bytes:,.0f}"
        return Problem(
            TOO_LARGE, f"the request has {here}, {most} are allowed; send less at once, or raise HANDIGIT_MAX_UPLOAD_MB"
        )

    def _too_slow(self) -> Problem:
        return Problem(
            TOO_SLOW, f"{self.received:,} bytes came before the connection stalled; send it again, or send less at once"
        )
