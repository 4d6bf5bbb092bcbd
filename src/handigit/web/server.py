"""The process: settings and a store in, a server that listens, drains and ends.

On SIGTERM it says at once that it is not ready, goes on answering for as long as the settings say, takes no more
connections, finishes what was accepted, and ends. A second signal ends it at once.
"""

import asyncio
import logging
import signal
import threading
from functools import partial
from types import FrameType
from typing import Final

import uvicorn
from fastapi import FastAPI

from handigit.settings import Settings
from handigit.store import Store
from handigit.web.app import create_app
from handigit.web.load_shedding import Connection
from handigit.web.logs import log_lines
from handigit.web.service import Service
from handigit.workers.gc_tuning import freeze_gc

log = logging.getLogger(__name__)
_IDLE_S: Final = 30
"""How long a connection may stay open without a request."""
_ACCEPTS: Final = 16
"""Connections taken at a time. uvloop takes one for each listening socket and turn of its loop, so that in a flood the
last of hundreds would be taken seconds later; copies of the socket share the queue of those that wait."""
_GRACE_S: Final = 20
"""How much longer than the longest deadline an answer may take at the end."""
_GLANCE_S: Final = 0.1


class Server(uvicorn.Server):
    """uvicorn, with a time between the signal and the end in which it still serves."""

    def __init__(self, config: uvicorn.Config, service: Service, *, drain_s: float) -> None:
        super().__init__(config)
        self._service = service
        self._drain_s = drain_s

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """The first signal begins the end; the second is the end."""
        again = self._service.state == "draining"
        self._service.state = "draining"
        self.force_exit = again
        # Not uvicorn's own way, which would raise the signal once more at the end: a clean end has the status 0.
        if again or sig == signal.SIGINT or not self._drain_s:
            self.should_exit = True
        else:
            end = threading.Timer(self._drain_s, setattr, (self, "should_exit", True))
            end.daemon = True
            end.start()


def serve(settings: Settings) -> None:
    """Serve until a signal comes.

    Raises:
        OpenToStrangers: others could reach it and nobody would be asked who they are.
        StoreError: the store cannot be opened.
    """
    log_lines()
    app = create_app(settings, store=open_store(settings))
    config = _config(app, settings)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:  # uvloop's, where it is installed
        runner.run(_serve(app, config, settings))


def open_store(settings: Settings) -> Store:
    """The store that the settings mean; its folder is made if it is missing.

    Raises:
        StoreError: it cannot be opened.
    """
    settings.state.mkdir(parents=True, exist_ok=True)
    return Store.open(settings.store_url, files=settings.state / "pictures")


def _config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=partial(Connection, door=app.state.door),  # type: ignore[arg-type] # it is only called
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=settings.proxies or None,
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=round(settings.deadline_s + _GRACE_S),
    )


async def _serve(app: FastAPI, config: uvicorn.Config, settings: Settings) -> None:
    server = Server(config, app.state.service, drain_s=settings.drain_s)
    telling = asyncio.create_task(_tell_address(server))
    settling = asyncio.create_task(_settle(app.state.service))
    listening = config.bind_socket()
    await server.serve(sockets=[listening, *(listening.dup() for _ in range(_ACCEPTS - 1))])
    telling.cancel()
    settling.cancel()
    log.info("ended")


async def _tell_address(server: Server) -> None:
    """Say where it listens, once it does: the port may have been left to chance."""
    while not server.started:
        await asyncio.sleep(0.01)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    log.info("listening", extra={"host": host, "port": port})


async def _settle(service: Service) -> None:
    """Once all is loaded, have the garbage collector pass over it: a look at all of it stops everybody for 0.1 s."""
    while service.state == "starting":
        await asyncio.sleep(_GLANCE_S)
    freeze_gc()
