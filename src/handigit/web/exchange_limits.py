"""Limits on one request while its body arrives, and the headers of every response.

A body that is larger than allowed, or arrives too slowly, ends in a problem at that moment.
"""

import asyncio
import random
import re
import time
from collections.abc import Mapping
from typing import Final

from starlette.requests import HTTPConnection
from starlette.types import Message, Receive, Scope, Send

from handigit.web.problems import SLOW_UPLOAD, TOO_LARGE, Problem, busy

_CLIENT_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_MAX_PAUSE_S: Final = 20.0
"""Longest wait for the next bytes of a body."""
_MIN_BYTES_PER_S: Final = 10_000
"""Average rate that a body must reach once the first `_MAX_PAUSE_S` are over."""
_DISCARD_S: Final = 5.0
"""How long the rest of a rejected body is read and dropped: a connection cut while bytes arrive loses the response."""
SMALL_BODY: Final = 64 * 1024
"""Drain smaller rejected bodies: cheaper than a reconnect."""

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
"""On every response that does not set its own."""


def request_id_of(headers: Mapping[bytes, bytes]) -> str:
    """The client's `X-Request-ID` if it is harmless, or a new one."""
    client_id = headers.get(b"x-request-id", b"")
    if client_id and _CLIENT_ID.fullmatch(client_id):
        return client_id.decode()
    return f"{random.getrandbits(128):032x}"  # not a secret, and os.urandom takes longer


class UploadBudget:
    """The bytes of all request bodies that the server holds at once; used from one event loop."""

    _RETRY_AFTER_S: Final = 5.0

    def __init__(self, max_bytes: float) -> None:
        self._max_bytes = max_bytes
        self._held = 0

    def check(self, size: int) -> None:
        """Refuse a declared size that does not fit now.

        Raises:
            Problem: too many bytes of other uploads are held.
        """
        if self._held and self._held + size > self._max_bytes:
            raise busy(self._RETRY_AFTER_S, "too many large uploads are in progress")

    def take(self, size: int) -> None:
        """Count bytes that have arrived.

        Raises:
            Problem: as `check`.
        """
        self.check(size)
        self._held += size

    def release(self, size: int) -> None:
        """Give bytes back once their request has been answered."""
        self._held -= size


def guard_of(connection: HTTPConnection) -> "RequestGuard":
    """The guard of a request that has passed `GuardMiddleware`."""
    guard: RequestGuard = connection.state.guard
    return guard


class RequestGuard:
    """Wraps `receive` and `send` of one request; routes find it as `guard_of(request)`."""

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        max_bytes: float,
        budget: UploadBudget,
        origins: frozenset[str] = frozenset(),
    ) -> None:
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.request_id = request_id_of(self.headers)
        self.started = time.perf_counter()
        self.received = 0
        self.status = 0
        self.finished = False
        self._receive = receive
        self._send = send
        self._max_bytes = max_bytes
        self._limit_name = "HANDIGIT_MAX_UPLOAD_MB"
        self._budget = budget
        self._held = 0
        self._is_head = scope["method"] == "HEAD"
        origin = self.headers.get(b"origin")
        self._allowed_origin = origin if origin and origin.decode("latin-1").lower() in origins else None
        self._complete = not (b"transfer-encoding" in self.headers or self.declared)
        state = scope.setdefault("state", {})
        state["request_id"], state["guard"] = self.request_id, self

    @property
    def declared(self) -> int:
        """The body's declared length; 0 if none is declared."""
        length = self.headers.get(b"content-length", b"0")
        return int(length) if length.isdigit() else 0

    def check_declared(self) -> None:
        """Check the declared length.

        Raises:
            Problem: too large, or too much while other uploads are in progress.
        """
        if self.declared > self._max_bytes:
            raise self._too_large()
        if self.declared > SMALL_BODY:
            self._budget.check(self.declared)

    def limit_body(self, max_bytes: int) -> None:
        """Lower the limit for a route that parses its body in memory; before the first byte is received.

        Raises:
            Problem: the declared length is larger.
        """
        if max_bytes < self._max_bytes:
            self._max_bytes, self._limit_name = max_bytes, ""
        self.check_declared()

    def close(self) -> None:
        """Return the bytes that this request held."""
        self._budget.release(self._held)
        self._held = 0

    async def receive(self) -> Message:
        """The next message, with the body measured.

        Raises:
            Problem: too large, too slow, or too much while other uploads are in progress.
        """
        if self._complete:
            return await self._receive()
        message = await self._next_chunk()
        self.received += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self.received > self._max_bytes:
            raise self._too_large()
        if self.received > SMALL_BODY:
            self._budget.take(self.received - self._held)
            self._held = self.received
        return message

    async def send(self, message: Message) -> None:
        """Pass a response's message on, with the headers that every response has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], *self._extra_headers(message)]
            await self._send(message)
        elif self._is_head:
            if not self.finished:
                self.finished = True
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        elif self._complete or message.get("more_body"):
            self.finished = not message.get("more_body", False)
            await self._send(message)
        else:
            await self._send({**message, "more_body": True})
            await self._discard()
            self.finished = True
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    def _extra_headers(self, message: Message) -> list[tuple[bytes, bytes]]:
        present = {name.lower() for name, _ in message["headers"]}
        extra = [(name, value) for name, value in HEADERS.items() if name not in present]
        extra.append((b"x-request-id", self.request_id.encode()))
        if self._allowed_origin and b"access-control-allow-origin" not in present:  # a refusal by this middleware
            extra += [(b"access-control-allow-origin", self._allowed_origin), (b"vary", b"Origin")]
        if not self._complete and not 0 < self.declared <= SMALL_BODY:
            extra.append((b"connection", b"close"))
        return extra

    async def _next_chunk(self) -> Message:
        elapsed = time.perf_counter() - self.started
        if elapsed > _MAX_PAUSE_S + self.received / _MIN_BYTES_PER_S:
            raise self._too_slow()
        try:
            async with asyncio.timeout(_MAX_PAUSE_S):
                return await self._receive()
        except TimeoutError:
            raise self._too_slow() from None

    async def _discard(self) -> None:
        try:
            async with asyncio.timeout(_DISCARD_S):
                while (message := await self._receive())["type"] == "http.request" and message.get("more_body"):
                    pass
        except TimeoutError:
            pass

    def _too_large(self) -> Problem:
        size = f"{self.declared:,} bytes" if self.declared else f"more than {self.received:,} bytes"
        limit = f"{self._max_bytes:,.0f}"
        return Problem(
            TOO_LARGE,
            f"the request has {size}, {limit} are allowed; send less at once, or raise HANDIGIT_MAX_UPLOAD_MB",
        )

    def _too_slow(self) -> Problem:
        return Problem(
            SLOW_UPLOAD,
            f"{self.received:,} bytes arrived before the connection stalled; send it again, or send less at once",
        )
