"""Servers under load: ours, its peers, an nginx that only refuses. Peers are installed below out/."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bench.results_io import PROJECT
from tests.serving import picture, running


def free_port() -> int:
    """A free port on the loopback interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MISSING_CHROMIUM = "no Chromium: apt-get install chromium"
PEERS = PROJECT / "out" / "serve-peers"
BOUNDARY = "a-boundary"
REFUSING = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder};
  keepalive_requests 1000000;
  server {{
    listen 127.0.0.1:{port};
    location = /health {{ return 200; }}
    location / {{ return 429; }}
  }}
}}
"""
"""An nginx that refuses all that it is asked."""


def form(content: bytes) -> bytes:
    """A form with one file, as browsers send it."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="7.png"\r\n\r\n'
    return head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


@dataclass(frozen=True, slots=True)
class Target:
    """A server: where it listens, what is asked there, its process."""

    port: int
    path: str
    pid: int

    def cpu_s(self) -> float:
        """Processor seconds that it and its children have taken; quieter than the clock where others are busy."""
        rows = [_processor(stat) for stat in Path("/proc").glob("[0-9]*/stat")]
        family, size = {self.pid}, 0
        while size < len(family):
            size = len(family)
            family |= {pid for pid, parent, _ in rows if parent in family}
        return sum(seconds for pid, _, seconds in rows if pid in family)


def _processor(stat: Path) -> tuple[int, int, float]:
    """A process, its parent, its processor seconds; zeros if it has ended meanwhile."""
    try:
        content = stat.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0, 0, 0.0
    fields = content.rpartition(")")[2].split()
    return int(stat.parent.name), int(fields[1]), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(target: Target, **how: Any) -> dict[str, Any]:
    """Put load on a server from a process of its own."""
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    job = {"port": target.port, "path": target.path, "body": form(picture()).hex(), "kind": kind} | how
    command = [sys.executable, str(PROJECT / "bench" / "serve" / "load.py")]
    spent = target.cpu_s()
    done = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True, check=True)
    row = dict(json.loads(done.stdout))
    row["server_cpu_us"] = round((target.cpu_s() - spent) / sum(row["statuses"].values()) * 1e6)
    return row


@contextmanager
def ours(folder: Path, *, keeping: bool = False, **environment: str) -> Iterator[Target]:
    """Our server, as `handigit serve` starts it."""
    keep = str(int(keeping))
    with running(folder, HANDIGIT_KEEP_READINGS=keep, HANDIGIT_QUEUE="128", **environment) as server:
        yield Target(server.port, "/v1/digit", server.process.pid)


@contextmanager
def peer(name: str) -> Iterator[Target]:
    """A peer's server."""
    port = free_port()
    environment = os.environ | {"PYTHONPATH": str(PEERS), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(PROJECT / "bench" / "serve" / f"{name}_app.py"), str(port)]
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        wait_for_health(port)
        yield Target(port, "/predict", process.pid)
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # LitServe's children survive a SIGTERM
        process.wait()


@contextmanager
def refusing(folder: Path) -> Iterator[Target | None]:
    """A server that refuses everything with as little work as any can: nginx; None where it is not installed."""
    program, port = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin"), free_port()
    if program is None:
        yield None
        return
    place = folder / "nginx.conf"
    place.write_text(REFUSING.format(folder=folder, port=port))
    process = subprocess.Popen([program, "-c", str(place), "-p", str(folder)])
    try:
        wait_for_health(port)
        yield Target(port, "/v1/digit", process.pid)
    finally:
        process.terminate()
        process.wait()


def wait_for_health(port: int) -> None:
    """Wait until a peer says that it is well."""
    for _ in range(600):
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise RuntimeError("the peer does not start; see its output above")


def install_peers() -> None:
    """LitServe and Flask, below out/."""
    if not PEERS.is_dir():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(PEERS), "litserve", "flask"]
        subprocess.run(command, check=True)
