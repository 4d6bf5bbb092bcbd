"""The service in tests: settings, a fake number reader, and the whole server as a process."""

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
from PIL import Image, ImageDraw

from handigit.read import Reader
from handigit.records import Kind, Number, Outcome
from handigit.settings import Settings
from handigit.store import Store

HOST = "http://127.0.0.1"
_PROGRAM = "from handigit.settings import Settings; from handigit.web.server import serve; serve(Settings())"
SUM_FIELDS = """\
format = "handigit-form/1"
name = "sums"
page = [{ size = [148, 105], markers = true, code = [24, 10, 42, 28] }]
field = [
  { name = "a", kind = "number", box = [40, 40, 61, 49], cells = 3, label = "A" },
  { name = "b", kind = "number", box = [80, 40, 101, 49], cells = 3, label = "B" },
  { name = "sum", kind = "number", box = [40, 65, 61, 74], cells = 3, required = true, label = "Sum" },
]
"""
"""The page and the fields of a form with two numbers and their sum; tests add its checks."""


def picture(digit: int = 7, *, size: int = 28, format: str = "PNG") -> bytes:  # noqa: A002
    """A drawn 1 or 7."""
    scale = size / 28
    strokes = {7: [(8, 6), (20, 6), (12, 22)], 1: [(14, 5), (14, 23)]}
    drawn = Image.new("L", (size, size), 255)
    ImageDraw.Draw(drawn).line([(x * scale, y * scale) for x, y in strokes[digit]], fill=0, width=round(3 * scale))
    return encoded(drawn, format)


def encoded(image: Image.Image, format: str = "PNG", **kwargs: Any) -> bytes:  # noqa: A002
    """A Pillow image as a file's bytes."""
    content = BytesIO()
    image.save(content, format, **kwargs)
    return content.getvalue()


def settings(folder: Path, **changes: Any) -> Settings:
    """Settings whose files are all in a test's own folder."""
    return Settings().model_copy(update={"state": folder, "threads": 1, "port": 0} | changes)


def open_store(folder: Path) -> Store:
    """A new store in a folder."""
    return Store.open(f"sqlite:///{folder / 'test.db'}", files=folder / "pictures")


class NumberReader(Reader):
    """A fake number model: reads a number as one digit with a doubt, and a page as its digit twice."""

    @property
    def number_engine(self) -> Any:
        """The digit model's."""
        return self.engine

    def numbers_on(self, crops: Any, **expected: Any) -> list[Number]:  # noqa: ARG002
        """The digit on each crop, doubted."""
        return [replace(self.digit_on(crop).as_number(), outcome=Outcome.DOUBT) for crop in crops]

    def read_on(self, page: Any, **expected: Any) -> tuple[Kind, list[Number]]:  # noqa: ARG002
        """Every picture is one of a digit."""
        return "digit", [self.digit_on(page).as_number()]

    def page_on(self, page: Any) -> list[Number]:
        """The digit on the page, twice."""
        return [self.digit_on(page).as_number()] * 2


@dataclass
class Running:
    """A server process and the lines of its log."""

    process: "subprocess.Popen[str]"
    port: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        """The base URL."""
        return f"{HOST}:{self.port}"

    def client(self, **kwargs: Any) -> httpx.Client:
        """A client for it."""
        return httpx.Client(base_url=self.url, timeout=30, **kwargs)

    def memory_mb(self) -> float:
        """Resident memory of the server and its child processes."""
        return sum(_status(process, "VmRSS") for process in (self.process.pid, *self.children())) / 1024

    def own_memory_mb(self) -> float:
        """Resident memory of the server without its children."""
        return _status(self.process.pid, "VmRSS") / 1024

    def peak_mb(self) -> float:
        """Peak resident memory of the server without its children."""
        return _status(self.process.pid, "VmHWM") / 1024

    def reset_peak(self) -> None:
        """Start measuring the peak again."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5", encoding="ascii")

    def children(self) -> list[int]:
        """Ids of its running child processes."""
        pids = []
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            pids += [int(child) for child in (task / "children").read_text(encoding="ascii").split()]
        return pids

    def wait_for(self, event: str, *, seconds: float = 90, **fields: Any) -> dict[str, Any]:
        """The first line of the log with that event and those fields."""
        wanted = {"event": event} | fields
        with self.changed:
            assert self.changed.wait_for(lambda: self._line(wanted), seconds), f"no {wanted}: {self.raw[-5:]}"
        line = self._line(wanted)
        assert line
        return line

    def _line(self, wanted: dict[str, Any]) -> dict[str, Any] | None:
        return next((line for line in self.log if wanted.items() <= line.items()), None)


@contextmanager
def running(folder: Path, *, code: str = "", **environment: str) -> Iterator[Running]:
    """`handigit serve`, ready; `code` runs before it, to inject faults."""
    program = f"{code}\n{_PROGRAM}"
    changes = {"HANDIGIT_STATE": str(folder), "HANDIGIT_PORT": "0", "HANDIGIT_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", program]
    process = subprocess.Popen(command, env=os.environ | changes | environment, stderr=subprocess.PIPE, text=True)
    server = Running(process)
    threading.Thread(target=_follow, args=(server,), daemon=True).start()
    try:
        server.port = server.wait_for("listening")["port"]
        server.wait_for("ready")
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def _follow(server: Running) -> None:
    assert server.process.stderr is not None
    for line in server.process.stderr:
        with server.changed:
            server.raw.append(line)
            if line.startswith("{"):
                server.log.append(json.loads(line))
            server.changed.notify_all()


def _status(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])


def post_until_closed(url: str, answers: list[int]) -> None:
    """Post digits until connections are refused, and collect each status."""
    while True:
        try:
            with httpx.Client(base_url=url, timeout=30) as client:
                while True:
                    answers.append(client.post("/v1/digit", content=picture()).status_code)
        except httpx.ConnectError:
            return  # the server accepts no more connections
        except httpx.TransportError:
            continue  # the connection was closed before the server took this request from it


@dataclass(frozen=True)
class Shutdown:
    """A shutdown under load: the statuses that clients received, and the child processes at that time."""

    answers: list[int]
    children: list[int]


def end_under_load(server: Running) -> Shutdown:
    """SIGTERM while eight clients send requests."""
    answers: list[int] = []
    clients = [threading.Thread(target=post_until_closed, args=(server.url, answers)) for _ in range(8)]
    for client in clients:
        client.start()
    while len(answers) < 20:
        time.sleep(0.01)
    children = server.children()
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(60)
    for client in clients:
        client.join(60)
    return Shutdown(answers, children)


def all_end(processes: Sequence[int]) -> bool:
    """Whether these processes, which need not be children of this one, end within a minute each; Linux only."""
    for process in processes:
        try:
            handle = os.pidfd_open(process)
        except ProcessLookupError:
            continue
        try:
            if not select.select([handle], [], [], 60)[0]:
                return False
        finally:
            os.close(handle)
    return True
