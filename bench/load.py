"""Load for a web server: many connections that each send the same request again, over raw sockets.

A client that did more (parse, build requests) would be slower than the server it measures. It knows nothing of what is
asked or answered beyond statuses. As a program: JSON in on stdin, JSON out on stdout, so that the load has a process of
its own.
"""

import asyncio
import json
import statistics
import sys
import time
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Tally:
    """What came back: (seconds since the start, seconds it took) of each answer, by status; 0: no answer."""

    answers: dict[int, list[tuple[float, float]]] = field(default_factory=dict)

    def add(self, status: int, at: float, took: float) -> None:
        """Note one answer."""
        self.answers.setdefault(status, []).append((at, took))

    def figures(self, seconds: float) -> dict[str, Any]:
        """Answers a second and their times in milliseconds; for refusals too."""
        good = [took for _, took in self.answers.get(200, [])]
        refused = [took for _, took in self.answers.get(429, [])]
        counts = {str(status): len(taken) for status, taken in sorted(self.answers.items())}
        told = {"per_second": round(len(good) / seconds, 1), "statuses": counts}
        return told | percentiles(good, "") | percentiles(refused, "refused_")


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


class Connection(asyncio.Protocol):
    """One connection; `ask` sends the request and waits for the status of the whole answer."""

    def __init__(self) -> None:
        self._buffer = b""
        self._answered: asyncio.Future[int] | None = None
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    @property
    def is_open(self) -> bool:
        """Whether another request may be sent."""
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, request: bytes) -> int:
        """Send the request; its answer's status, 0 if the connection ended instead."""
        if self._transport is None or not self.is_open:
            return 0
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answered

    def close(self) -> None:
        """End the connection."""
        if self._transport:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Part of an answer."""
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(rest) >= length:
            self._buffer = rest[length:]
            if b"connection: close" in head.lower():
                self.close()
            self._settle(int(head[9:12]))

    def connection_lost(self, _problem: Exception | None) -> None:
        """The server has ended the connection."""
        self._settle(0)

    def _settle(self, status: int) -> None:
        if self._answered and not self._answered.done():
            self._answered.set_result(status)


async def closed_loop(port: int, request: bytes, *, clients: int, seconds: float) -> Tally:
    """Clients that each wait for their answer and ask again."""
    tally, began = Tally(), time.perf_counter()

    async def client() -> None:
        connection = await connect(port)
        while time.perf_counter() - began < seconds:
            sent = time.perf_counter()
            status = await connection.ask(request)
            now = time.perf_counter()
            tally.add(status, sent - began, now - sent)
            if not connection.is_open:
                connection = await connect(port)
        connection.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return tally


async def open_loop(port: int, request: bytes, *, rate: float, seconds: float) -> Tally:
    """Requests at a fixed rate, whether or not earlier ones are answered; idle connections are used again."""
    tally, began = Tally(), time.perf_counter()
    idle: list[Connection] = []
    open_tasks: set[asyncio.Task[None]] = set()

    async def one() -> None:
        sent = time.perf_counter()
        try:
            connection = idle.pop() if idle else await connect(port)
            status = await connection.ask(request)
        except OSError:
            tally.add(0, sent - began, time.perf_counter() - sent)
            return
        tally.add(status, sent - began, time.perf_counter() - sent)
        if connection.is_open:
            idle.append(connection)

    sent = 0
    while (now := time.perf_counter() - began) < seconds:
        for _ in range(int(now * rate) - sent):
            task = asyncio.create_task(one())
            open_tasks.add(task)
            task.add_done_callback(open_tasks.discard)
        sent = max(sent, int(now * rate))
        await asyncio.sleep(0.001)
    await asyncio.wait(open_tasks or {asyncio.create_task(asyncio.sleep(0))}, timeout=10)
    for connection in idle:
        connection.close()
    return tally


async def connect(port: int) -> Connection:
    """A connection to this machine."""
    _, protocol = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
    return protocol


async def run(job: dict[str, Any]) -> dict[str, Any]:
    """One job: `{port, path, body (hex), kind, seconds}` with either `clients` or `rate`."""
    request = request_of(job["path"], job["port"], bytes.fromhex(job["body"]), job["kind"])
    seconds = job["seconds"]
    if "rate" in job:
        tally = await open_loop(job["port"], request, rate=job["rate"], seconds=seconds)
    else:
        tally = await closed_loop(job["port"], request, clients=job["clients"], seconds=seconds)
    return tally.figures(seconds)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(json.load(sys.stdin)))))
