"""A real HTTP server on loopback that misbehaves on demand, for tests of downloads.

Each request takes the next behaviour from a list; when the list is used up, requests are answered correctly.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

Behaviour = Literal["correct", "break_off", "stall", "drip", "wrong_byte", "forbidden", "busy", "endless", "redirect"]

MAX_ENDLESS_BYTES = 50_000_000
"""An endless answer stops here, so that a test of it ends too."""


@dataclass
class Request:
    """A request: the file's name, the behaviour, and the number of content bytes sent."""

    name: str
    behaviour: Behaviour
    sent: int = 0


@dataclass
class Mirror:
    """The server's content by file name, its planned behaviours, and the requests so far."""

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
            behaviour = state.plan.pop(0) if state.plan else "correct"
            # Recorded before a byte goes out: the client may finish before this thread does.
            self.request_log = Request(name, behaviour)
            state.requests.append(self.request_log)
            content = state.content.get(name)
            if behaviour == "redirect":
                return self.redirect_in_a_circle()
            status = {"forbidden": 403, "busy": 503}.get(behaviour, 404 if content is None else 200)
            if status != 200 or content is None:
                return self.send_error(status)
            return self.send_content(content, behaviour)

        def redirect_in_a_circle(self) -> None:
            self.send_response(302)
            self.send_header("Location", self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()
            state.plan.append("redirect")

        def send_content(self, content: bytes, behaviour: Behaviour) -> None:
            if behaviour == "wrong_byte":
                content = content[:-20] + bytes([content[-20] ^ 1]) + content[-19:]
            self.send_response(200)
            if behaviour != "endless":
                self.send_header("Content-Length", str(len(content)))
            self.send_header("Connection", "close")
            self.end_headers()
            if behaviour == "endless":
                return self.send_endlessly(content)
            if behaviour == "drip":
                return self.send_slowly(content)
            cut = len(content) // 2 if behaviour in ("break_off", "stall") else len(content)
            self.request_log.sent = cut
            self.wfile.write(content[:cut])
            self.wfile.flush()
            if behaviour == "stall":
                state.closing.wait(5)
            return None

        def send_endlessly(self, content: bytes) -> None:
            with suppress(OSError):  # the client closes the connection, as it should
                while not state.closing.is_set() and self.request_log.sent < MAX_ENDLESS_BYTES:
                    self.request_log.sent += self.wfile.write(content)

        def send_slowly(self, content: bytes) -> None:
            with suppress(OSError):
                for byte in content[:1000]:
                    self.request_log.sent += self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    if state.closing.wait(0.02):
                        return

        def log_message(self, *args: object) -> None:
            """Stay quiet."""

    return Handler
