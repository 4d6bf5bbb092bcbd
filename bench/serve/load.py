"""Load for a web server: a fixed number of connections that each send the same request repeatedly, over raw sockets.

A client that did more (parse, build requests) would be slower than the server it measures. This one takes about 20 µs
per request and reports how much of a core it used. A connection sends nothing while it waits for an answer, like real
clients. As a program it reads JSON from stdin and writes JSON to stdout, so that the load runs in its own process.
"""

import json
import re
import selectors
import socket
import statistics
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSING: Final = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_TURN_S: Final = 0.001
"""How often requests that are due are sent, where they come at a rate."""
_PATIENCE_S: Final = 10.0
"""How long answers are waited for at the end."""


@dataclass(slots=True)
class Tally:
    """What came back: the seconds that each answer took, by status (0: no answer); how many found no connection."""

    answers: dict[int, list[float]] = field(default_factory=dict)
    unsent: int = 0

    def add(self, status: int, took: float) -> None:
        """Note one answer."""
        self.answers.setdefault(status, []).append(took)

    def figures(self, seconds: float) -> dict[str, Any]:
        """Answers a second and their times in milliseconds; for refusals too."""
        good, refused = self.answers.get(200, []), self.answers.get(429, [])
        counts = {str(status): len(taken) for status, taken in sorted(self.answers.items())}
        sent = sum(counts.values())
        rates = {"per_second": round(len(good) / seconds, 1), "sent_per_second": round(sent / seconds, 1)}
        return (
            rates
            | {"statuses": counts, "unsent": self.unsent}
            | percentiles(good, "")
            | percentiles(refused, "refused_")
        )


def percentiles(taken: list[float], prefix: str) -> dict[str, float]:
    """Median and 99th percentile in milliseconds."""
    if len(taken) < 2:
        return {}
    cuts = statistics.quantiles(taken, n=100, method="inclusive")
    return {f"{prefix}p50_ms": round(cuts[49] * 1e3, 2), f"{prefix}p99_ms": round(cuts[98] * 1e3, 2)}


def request_of(path: str, port: int, body: bytes, kind: str = "application/octet-stream") -> bytes:
    """One POST as it goes over the wire."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


class Connection:
    """One connection with at most one request in flight; reopened when the server has closed it."""

    def __init__(self, port: int, selector: selectors.BaseSelector) -> None:
        self._port = port
        self._selector = selector
        self._open()

    def ask(self, request: bytes) -> None:
        """Send the request; `answer` has its answer, in time."""
        self.asked_at = time.perf_counter()
        self._buffer = b""
        try:
            self._socket.sendall(request)
        except OSError:
            self._open()
            self._socket.sendall(request)

    def answer(self) -> int | None:
        """The status of the whole answer once it has come, 0 if the connection ended instead, else None."""
        data = self._read()
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if data and not found:
            return None
        length = _LENGTH.search(head)
        if data and len(rest) < int(length[1] if length else 0):
            return None
        if not data or _CLOSING.search(head):
            self._open()
        return int(head[9:12]) if found else 0

    def close(self) -> None:
        """End the connection."""
        self._selector.unregister(self._socket)
        self._socket.close()

    def _open(self) -> None:
        if hasattr(self, "_socket"):
            self.close()
        self._buffer = b""
        self._socket = socket.create_connection(("127.0.0.1", self._port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(self._socket, selectors.EVENT_READ, self)

    def _read(self) -> bytes:
        try:
            return self._socket.recv(65536)
        except OSError:
            return b""


class Pool:
    """A fixed number of connections, and what came back on them."""

    def __init__(self, port: int, size: int) -> None:
        self.tally = Tally()
        self._selector = selectors.DefaultSelector()
        self._all = [Connection(port, self._selector) for _ in range(size)]
        self.idle = deque(self._all)

    def ask(self, request: bytes) -> None:
        """Send a request on a connection that waits for nothing, if there is one."""
        if self.idle:
            self.idle.popleft().ask(request)
        else:
            self.tally.unsent += 1

    def take_answers(self, within_s: float) -> None:
        """Note the answers that have come; wait for the first."""
        for connection in self._readable(within_s):
            status = connection.answer()
            if status is not None:
                self.tally.add(status, time.perf_counter() - connection.asked_at)
                self.idle.append(connection)

    def finish(self) -> Tally:
        """Wait for what is on its way, and close everything; what has not come by then got no answer."""
        end = time.perf_counter() + _PATIENCE_S
        while len(self.idle) < len(self._all) and time.perf_counter() < end:
            self.take_answers(0.1)
        for _ in range(len(self._all) - len(self.idle)):
            self.tally.add(0, _PATIENCE_S)
        for connection in self._all:
            connection.close()
        return self.tally

    def _readable(self, within_s: float) -> Iterator[Connection]:
        for key, _ in self._selector.select(within_s):
            yield key.data


def closed_loop(port: int, request: bytes, *, clients: int, seconds: float) -> Tally:
    """Clients that each wait for their answer and ask again."""
    pool, end = Pool(port, clients), time.perf_counter() + seconds
    while time.perf_counter() < end:
        while pool.idle:
            pool.ask(request)
        pool.take_answers(0.1)
    return pool.finish()


def open_loop(port: int, request: bytes, *, rate: float, connections: int, seconds: float) -> Tally:
    """Requests at a fixed rate, whether or not earlier ones are answered, for as long as connections are free."""
    pool, began, sent = Pool(port, connections), time.perf_counter(), 0
    while (now := time.perf_counter() - began) < seconds:
        due = int(now * rate)
        for _ in range(due - sent):
            pool.ask(request)
        sent = due
        pool.take_answers(_TURN_S)
    return pool.finish()


def run(job: dict[str, Any]) -> dict[str, Any]:
    """One job: `{port, path, body (hex), kind, seconds}` with `clients`, or with `rate` and `connections`."""
    request = request_of(job["path"], job["port"], bytes.fromhex(job["body"]), job["kind"])
    how = {name: job[name] for name in ("clients", "rate", "connections", "seconds") if name in job}
    began, spent = time.perf_counter(), time.process_time()
    tally = (open_loop if "rate" in job else closed_loop)(job["port"], request, **how)
    share = (time.process_time() - spent) / (time.perf_counter() - began)
    return tally.figures(job["seconds"]) | {"generator_cores": round(share, 2)}


if __name__ == "__main__":
    print(json.dumps(run(json.load(sys.stdin))))
