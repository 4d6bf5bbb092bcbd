"""What a flood meets first: while there is no room, the refusal, whole, by a request's first line and headers alone.

It knows which addresses can be full, and how a refusal looks on the wire; not connections, and not why there is no
room.
"""

import json
import logging
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from handigit.pipeline import Kind
from handigit.web.exchange import HEADERS, request_id_of
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
