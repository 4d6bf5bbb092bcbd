"""The server process: it listens, drains and ends.

On SIGTERM it answers /readyz with 503 at once, keeps serving for `HANDIGIT_DRAIN_S`, then accepts no more
connections, finishes the accepted requests, and ends. A second signal ends it at once.
"""

import asyncio
import errno
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from types import FrameType
from typing import Final

import uvicorn
from fastapi import FastAPI

from handigit.errors import HandigitError
from handigit.settings import Settings
from handigit.store import Store
from handigit.web.app import create_app
from handigit.web.head_limits import HeadLimits
from handigit.web.logs import configure_logging
from handigit.web.service import Service
from handigit.web.state import state_of
from handigit.workers.memory import freeze_gc, share_arena

log = logging.getLogger(__name__)
_KEEP_ALIVE_S: Final = 30
"""How long a connection may stay open without a request."""
_LISTENERS: Final = 16 if os.name == "posix" else 1  # Windows' event loop cannot register a copy
"""Copies of the listening socket. uvloop accepts one connection per socket and loop iteration, so that in a flood the
last of hundreds would be accepted seconds later; the copies share the queue of those that wait."""
_GRACE_S: Final = 20
"""How much longer than the longest deadline a response may take at the end."""
_POLL_S: Final = 0.1


class Server(uvicorn.Server):
    """uvicorn, with a draining time between the signal and the end."""

    def __init__(self, config: uvicorn.Config, service: Service, *, drain_s: float) -> None:
        super().__init__(config)
        self._service = service
        self._drain_s = drain_s

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Begin to drain at the first signal; end at the second."""
        again = self._service.state == "draining"
        self._service.state = "draining"
        self.force_exit = again
        # uvicorn's own handler would raise the signal once more at the end: a clean end has status 0.
        if again or sig == signal.SIGINT or not self._drain_s:
            self.should_exit = True
        else:
            end = threading.Timer(self._drain_s, setattr, (self, "should_exit", True))
            end.daemon = True
            end.start()


class PortInUse(HandigitError):
    """Another program listens on the port."""


def serve(settings: Settings, *, on_listening: Callable[[str], None] | None = None, plain_log: bool = False) -> None:
    """Serve until a signal arrives.

    `on_listening` is called with the base URL once the server accepts connections. `plain_log`: log only warnings, as
    text for a terminal; otherwise every event, as JSON.

    Raises:
        PortInUse: the port is taken.
        UnprotectedServer: others can reach the server, and it requires no sign-in.
        StoreError: the store cannot be opened.
    """
    if plain_log:
        logging.basicConfig(format="%(levelname)s: %(message)s", force=True)
    else:
        configure_logging()
    share_arena()
    with closing(listen(settings.host, settings.port)) as listener:
        app = create_app(settings, store=open_store(settings))
        config = _config(app, settings)
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:  # uvloop's, where it is installed
            runner.run(_serve(app, config, settings, listener, on_listening))


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound to an address; it listens once the server runs.

    Raises:
        PortInUse: naming the next free port.
        HandigitError: the address cannot be used.
    """
    try:
        return _bind(host, port)
    except OSError as problem:
        if problem.errno != errno.EADDRINUSE:
            raise HandigitError(f"cannot listen on {host}, port {port}: {problem.strerror}; choose another") from None
    for other in range(port + 1, min(port + 100, 65536)):
        with suppress(OSError), closing(_bind(host, other)):
            raise PortInUse(f"port {port} is in use by another program; port {other} is free: add --port {other}")
    raise PortInUse(f"port {port} is in use by another program; choose another with --port")


def _bind(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # elsewhere the option would share the port with another program
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def open_store(settings: Settings) -> Store:
    """The configured store; its folder is made if it is missing.

    Raises:
        StoreError: it cannot be opened.
    """
    settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Store.open(settings.store_url, files=settings.state / "pictures")


def _config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=HeadLimits,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=settings.proxies or None,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=round(settings.deadline_s + _GRACE_S),
    )


async def _serve(
    app: FastAPI,
    config: uvicorn.Config,
    settings: Settings,
    listener: socket.socket,
    on_listening: Callable[[str], None] | None,
) -> None:
    service = state_of(app).service
    server = Server(config, service, drain_s=settings.drain_s)
    background = [
        asyncio.create_task(_announce(server, on_listening)),
        asyncio.create_task(_freeze_gc_once_loaded(service)),
    ]
    await server.serve(sockets=[listener, *(listener.dup() for _ in range(_LISTENERS - 1))])
    for task in background:
        task.cancel()
    log.info("ended")


async def _announce(server: Server, on_listening: Callable[[str], None] | None) -> None:
    """Report where the server listens, once it does: port 0 means any free port."""
    while not server.started:
        await asyncio.sleep(0.01)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    log.info("listening", extra={"host": host, "port": port})
    if on_listening:
        shown = "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host  # noqa: S104
        on_listening(f"http://{shown}:{port}")


async def _freeze_gc_once_loaded(service: Service) -> None:
    """A collection of the loaded heap would stop every request for 0.1 s."""
    while service.state == "starting":
        await asyncio.sleep(_POLL_S)
    freeze_gc()
