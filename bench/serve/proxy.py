"""The server behind nginx, configured as docs/deploy.md says: many connections, and slow ones.

    python -m bench.serve.proxy connections      1,500 beside 64; and where nginx limits connections per address
    python -m bench.serve.proxy slow             1,000 clients with endless heads, beside eight others

Everything is on the loopback interface and shares its cores, nginx and the load generator too. Results go to
bench/results/resilience.json. Needs nginx and /proc, so Linux.
"""

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from bench.results_io import PROJECT, RESULTS, load_results, save_results
from bench.serve.resilience import allow_many_files, connections, slow
from bench.serve.targets import Target, free_port, ours

NGINX: Final = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
_MAIN: Final = """
daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile 8192;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path {folder}/bodies;
  proxy_temp_path {folder}/answers;
  fastcgi_temp_path {folder}/unused;
  uwsgi_temp_path {folder}/unused;
  scgi_temp_path {folder}/unused;
  keepalive_requests 1000000;
{site}
}}
"""

_ZONE: Final = "limit_conn_zone $binary_remote_addr zone=addresses:10m;\n"
_LIMIT: Final = "limit_conn addresses 64; limit_conn_status 429; "


def documented_site(port: int, server: int) -> str:
    """The site's configuration in docs/deploy.md, without TLS on a port of the loopback interface."""
    text = (PROJECT / "docs" / "deploy.md").read_text(encoding="utf-8")
    block = text[text.index("    upstream handigit {") :]
    site = block[: re.search(r"\n(?=\S)", block).start()]  # type: ignore[union-attr] # text follows
    site = re.sub(r"\n *ssl_.*", "", site).replace("listen 443 ssl;", f"listen 127.0.0.1:{port} backlog=2048;")
    return site.replace("127.0.0.1:8000", f"127.0.0.1:{server}")


@contextmanager
def behind_nginx(folder: Path, site: str, port: int) -> Iterator[int]:
    """A running nginx with this site; yields its process id."""
    assert NGINX, "apt-get install nginx-light"
    file = folder / "nginx.conf"
    file.write_text(_MAIN.format(folder=folder, site=site), encoding="utf-8")
    process = subprocess.Popen([NGINX, "-c", str(file), "-p", str(folder)])
    try:
        _wait(port, process)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def _wait(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError("nginx does not start; see its message above")
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("nginx does not listen")


@contextmanager
def _proxied(folder: Path, *, limited: bool = False) -> Iterator[Target]:
    """Our server behind nginx; the load goes to nginx, the processor time is the server's.

    `limited`: nginx refuses requests of one address beyond 64 at a time.
    """
    with ours(folder / "home") as server:
        port = free_port()
        site = documented_site(port, server.port)
        if limited:
            site = _ZONE + site.replace("client_max_body_size", f"{_LIMIT}client_max_body_size")
        with behind_nginx(folder, site, port):
            yield replace(server, port=port)


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("connections", "slow"))
    part = parser.parse_args().part
    allow_many_files()
    found: dict[str, Any] = {}
    for name in ("as documented", "limited") if part == "connections" else ("slow",):
        with tempfile.TemporaryDirectory() as place, _proxied(Path(place), limited=name == "limited") as target:
            found[name] = slow(target) if part == "slow" else connections(target)
    print(json.dumps(found))
    results = load_results(RESULTS / "resilience.json")
    save_results(RESULTS / "resilience.json", results | {"nginx": results.get("nginx", {}) | found})


if __name__ == "__main__":
    main()
