"""uvicorn's HTTP protocol with limits on request heads: time, line length, number of headers, total size.

uvicorn (0.54) with httptools has none of them: a head may take for ever and be of any length.
"""

import asyncio
import json
import logging
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from handigit.web.exchange_limits import HEADERS, request_id_of
from handigit.web.problems import MEDIA_TYPE, Problem, ProblemType

log = logging.getLogger(__name__)
HEAD_TIMEOUT_S: Final = 20.0
"""How long a request's head may take, from its first byte, or from the connection to the first request."""
MAX_LINE_BYTES: Final = 16 * 1024
MAX_HEADERS: Final = 100
MAX_HEAD_BYTES: Final = 64 * 1024
STATUS_LINE[413] = b"HTTP/1.1 413 Content Too Large\r\n"  # RFC 9110; Python 3.11 has older phrases
STATUS_LINE[422] = b"HTTP/1.1 422 Unprocessable Content\r\n"
_URI_TOO_LONG: Final = ProblemType("uri-too-long", 414, "The address is too long")
_HEAD_TOO_LARGE: Final = ProblemType("head-too-large", 431, "The request's head is too large")


class HeadLimits(HttpToolsProtocol):
    """Closes connections whose request head is too slow, and rejects heads that are too large."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._rejected = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        """Start the timer of the first head."""
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and measure the head if it is still incomplete afterwards."""
        if self._rejected:
            return
        self._head_bytes += len(data) if self._in_head else 0
        super().data_received(data)
        if self._rejected or self.transport.is_closing() or not self._in_head:
            return
        if self._head_bytes > MAX_HEAD_BYTES:
            self._reject(_HEAD_TOO_LARGE, f"the head has more than {MAX_HEAD_BYTES:,} bytes")
        elif self._head_bytes and self._head_timer is None:
            self._start_timer()

    def on_headers_complete(self) -> None:
        """Check the complete head before a task is made for the request."""
        if self._rejected:  # a pipelined request behind it
            return
        self._in_head = False
        self._stop_timer()
        sizes = [len(name) + len(value) for name, value in self.headers]
        if len(self.url) > MAX_LINE_BYTES:
            self._reject(_URI_TOO_LONG, f"the address has {len(self.url):,} bytes, {MAX_LINE_BYTES:,} are allowed")
        elif len(sizes) > MAX_HEADERS:
            self._reject(_HEAD_TOO_LARGE, f"{len(sizes):,} headers, {MAX_HEADERS} are allowed")
        elif max(sizes, default=0) > MAX_LINE_BYTES or len(self.url) + sum(sizes) > MAX_HEAD_BYTES:
            limits = f"{MAX_LINE_BYTES:,} bytes per line and {MAX_HEAD_BYTES:,} in all are allowed"
            self._reject(_HEAD_TOO_LARGE, f"the headers have {sum(sizes):,} bytes; {limits}")
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass the body on, unless its request was rejected."""
        if not self._rejected:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Expect the next head."""
        self._in_head, self._head_bytes = True, 0
        if not self._rejected:
            super().on_message_complete()

    def _start_timer(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._close_unless_busy)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _close_unless_busy(self) -> None:
        """Close the connection, unless the response to an earlier request is still being sent."""
        self._head_timer = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
        else:
            self._start_timer()

    def _reject(self, kind: ProblemType, detail: str) -> None:
        """Answer from here and close; the application never sees the request."""
        self._rejected = True
        self._stop_timer()
        log.warning("head rejected", extra={"status": kind.status})
        if self.cycle is None or self.cycle.response_complete:  # else the answer would be out of order
            request_id = request_id_of({})
            body = json.dumps(Problem(kind, f"{detail}; shorten it").as_dict(request_id)).encode()
            headers = {
                b"content-type": MEDIA_TYPE.encode(),
                b"content-length": str(len(body)).encode(),
                b"connection": b"close",
                b"x-request-id": request_id.encode(),
            } | HEADERS
            lines = [b"%b: %b\r\n" % header for header in (*self.server_state.default_headers, *headers.items())]
            self.transport.write(b"HTTP/1.1 %d\r\n" % kind.status + b"".join(lines) + b"\r\n" + body)
        self.transport.close()
