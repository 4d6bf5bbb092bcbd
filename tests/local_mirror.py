"""A real HTTP server on this machine that misbehaves as told: what `fetch` must live with.

Each request takes the next behaviour from a list; when the list is used up, requests are answered well.
"""

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

Behaviour = Literal[
    "well", "break_off", "stall", "wrong_byte", "forbidden", "busy", "ignore_range", "odd_range", "endless"
]


MOST_BYTES = 50_000_000
"""What an endless answer ends at, so that a test of it ends too."""


@dataclass
class Request:
    """What was asked for, how it was answered, and how many bytes of content went out."""

    name: str
    range: str | None
    behaviour: Behaviour
    sent: int = 0


@dataclass
class Mirror:
    """The server's content by file name, its plan, and what has happened so far."""

    content: dict[str, bytes]
    plan: list[Behaviour]
    url: str = ""
    requests: list[Request] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)


@contextmanager
def mirror(content: dict[str, bytes], plan: Sequence[Behaviour] = ()) -> Iterator[Mirror]:
    """Serve until the block ends."""
    state = Mirror(content, list(plan))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(state))
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.closing.set()
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def _handler(state: Mirror) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.close_connection = True
            name = self.path.lstrip("/")
            behaviour = state.plan.pop(0) if state.plan else "well"
            # Noted before a byte goes out: the client may be done before this thread is.
            self.noted = Request(name, self.headers["Range"], behaviour)
            state.requests.append(self.noted)
            self.answer(state.content.get(name), behaviour)

        def answer(self, content: bytes | None, behaviour: Behaviour) -> None:
            refusal = {"forbidden": 403, "busy": 503}.get(behaviour, 404 if content is None else 0)
            if refusal or content is None:
                return self.send_error(refusal)
            start = 0 if behaviour == "ignore_range" else self.asked_start()
            if start and start >= len(content):
                return self.send_error(416)
            if behaviour == "odd_range" and start:
                start //= 2
            body = content[start:]
            if behaviour == "wrong_byte":
                body = body[:-20] + bytes([body[-20] ^ 1]) + body[-19:]
            self.announce(start, len(body), endless=behaviour == "endless")
            return self.send_for_ever(body) if behaviour == "endless" else self.send_body(body, behaviour)

        def announce(self, start: int, length: int, *, endless: bool) -> None:
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{start + length - 1}/{start + length}")
            if not endless:
                self.send_header("Content-Length", str(length))
            self.send_header("Connection", "close")
            self.end_headers()

        def send_body(self, body: bytes, behaviour: Behaviour) -> None:
            cut = len(body) // 2 if behaviour in ("break_off", "stall") else len(body)
            self.noted.sent = cut
            self.wfile.write(body[:cut])
            self.wfile.flush()
            if behaviour == "stall":
                state.closing.wait(5)

        def send_for_ever(self, body: bytes) -> None:
            with suppress(OSError):  # the client has had enough, as it should
                while not state.closing.is_set() and self.noted.sent < MOST_BYTES:
                    self.noted.sent += self.wfile.write(body)

        def asked_start(self) -> int:
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
            return int(asked[1]) if asked else 0

        def log_message(self, *args: object) -> None:
            """Stay quiet."""

    return Handler
