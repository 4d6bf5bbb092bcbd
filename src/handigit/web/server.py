"""The server process: it listens, drains and ends.

On SIGTERM it answers /readyz with 503 at once, goes on serving for `HANDIGIT_DRAIN_S`, then accepts no more
connections, finishes what was accepted, and ends. A second signal ends it at once.
"""

import asyncio
import logging
import signal
import threading
from types import FrameType
from typing import Final

import uvicorn
from fastapi import FastAPI

from handigit.settings import Settings
from handigit.store import Store
from handigit.web.app import create_app
from handigit.web.head_limits import HeadLimits
from handigit.web.logs import configure_logging
from handigit.web.service import Service
from handigit.workers.gc_tuning import freeze_gc

log = logging.getLogger(__name__)
_KEEP_ALIVE_S: Final = 30
"""How long a connection may stay open without a request."""
_LISTENERS: Final = 16
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


def serve(settings: Settings) -> None:
    """Serve until a signal arrives.

    Raises:
        UnprotectedServer: others can reach the server, and it requires no sign-in.
        StoreError: the store cannot be opened.
    """
    configure_logging()
    app = create_app(settings, store=open_store(settings))
    config = _config(app, settings)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:  # uvloop's, where it is installed
        runner.run(_serve(app, config, settings))


def open_store(settings: Settings) -> Store:
    """The configured store; its folder is made if it is missing.

    Raises:
        StoreError: it cannot be opened.
    """
    settings.state.mkdir(parents=True, exist_ok=True)
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


async def _serve(app: FastAPI, config: uvicorn.Config, settings: Settings) -> None:
    service: Service = app.state.handigit.service
    server = Server(config, service, drain_s=settings.drain_s)
    background = [asyncio.create_task(_log_address(server)), asyncio.create_task(_freeze_gc_once_loaded(service))]
    listening = config.bind_socket()
    await server.serve(sockets=[listening, *(listening.dup() for _ in range(_LISTENERS - 1))])
    for task in background:
        task.cancel()
    log.info("ended")


async def _log_address(server: Server) -> None:
    """Log where the server listens, once it does: port 0 means any free port."""
    while not server.started:
        await asyncio.sleep(0.01)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    log.info("listening", extra={"host": host, "port": port})


async def _freeze_gc_once_loaded(service: Service) -> None:
    """A collection of the loaded heap would stop every request for 0.1 s."""
    while service.state == "starting":
        await asyncio.sleep(_POLL_S)
    freeze_gc()
