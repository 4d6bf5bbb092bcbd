"""The application: its rooms put together, its addresses, and how errors become answers.

It knows who belongs to whom, and does no work itself.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

import handigit
from handigit.errors import HandigitError
from handigit.images import Limits
from handigit.read import Reader
from handigit.settings import Settings
from handigit.store import Store
from handigit.web import pages
from handigit.web.api import accounts, health, models, open_inference, read, readings, review
from handigit.web.api.read import GONE, CallerGone, Shortcut
from handigit.web.auth import Access, allowed_hosts
from handigit.web.load_shedding import Door
from handigit.web.metrics import Metrics
from handigit.web.middleware import Guard, Rules, log_failure
from handigit.web.model_registry import MakeReader, Models
from handigit.web.openapi import REFUSALS
from handigit.web.pages.layout import STATIC, SignInFirst, Static, problem_page, to_sign_in, wants_page
from handigit.web.problems import Problem, problem_of, problem_of_fields, problem_of_status
from handigit.web.service import Service, forget_regularly

log = logging.getLogger(__name__)


def create_app(settings: Settings, *, store: Store | None = None, make_reader: MakeReader | None = None) -> FastAPI:
    """The application by its settings; `make_reader` stands in for the reader where a test wants its own.

    Raises:
        OpenToStrangers: others could reach it and nobody would be asked who they are.
    """
    access = Access(settings, store.accounts if store else None)
    access.check_bind(settings.host)
    make = make_reader or partial(_reader, settings)
    registry = Models(make, folder=settings.models, start=settings.model_dir, state=settings.state)
    service = Service(registry, store, room=settings.queue, workers=0 if make_reader else settings.workers)
    app = FastAPI(
        title="Handigit",
        description="Reads handwritten numbers.",
        version=handigit.__version__,
        lifespan=_lifespan,
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        responses=REFUSALS,
    )
    app.state.settings, app.state.access, app.state.service = settings, access, service
    app.state.metrics = Metrics(service)
    rate = None if access.is_open else settings.rate_per_minute
    rules = Rules(settings.max_upload_mb * 1e6, allowed_hosts(settings), rate)
    app.state.door = Door(service, app.state.metrics)
    app.add_middleware(Shortcut)
    app.add_middleware(Guard, rules=rules, metrics=app.state.metrics, door=app.state.door)
    for room in (read, readings, review, models, accounts, health, open_inference, pages):
        app.include_router(room.router)
    app.mount("/static", Static(directory=STATIC))
    _handle_errors(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service, days = app.state.service, app.state.settings.retention_days
    service.start()
    forgetting = asyncio.create_task(forget_regularly(service.store, days=days)) if days and service.store else None
    yield
    if forgetting:
        forgetting.cancel()
    await service.stop()


def _reader(settings: Settings, place: Path | None) -> Reader:
    limits = Limits(**settings.limits)
    return Reader(place, threads=settings.threads, limits=limits)


def _handle_errors(app: FastAPI) -> None:
    """Each sort of error that a route may end in becomes a problem."""
    handlers: dict[type[Exception], Callable[[Exception], Problem]] = {
        HandigitError: problem_of,
        HTTPException: _of_http,
        RequestValidationError: _of_fields,
    }
    for kind, to_problem in handlers.items():
        app.add_exception_handler(kind, partial(_answer, to_problem))
    for gone in (CallerGone, ClientDisconnect):
        app.add_exception_handler(gone, _nobody)
    app.add_exception_handler(SignInFirst, to_sign_in)


async def _answer(to_problem: Callable[[Exception], Problem], request: Request, error: Exception) -> Response:
    problem = to_problem(error)
    if problem.kind.status == 500:
        log_failure(error, request.state.request_id)
    if wants_page(request):
        return await problem_page(request, problem)
    # Clients of the Open Inference Protocol look for the words under "error".
    more = {"error": problem.detail} if request.url.path.startswith("/v2/") else {}
    return problem.as_response(request.state.request_id, more)


async def _nobody(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette calls it so
    return Response(status_code=GONE)


def _of_http(error: Exception) -> Problem:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, Problem):
        return error.__cause__  # FastAPI has found it while it read the body
    return problem_of_status(error.status_code, _DETAILS.get(error.status_code, str(error.detail)))


def _of_fields(error: Exception) -> Problem:
    assert isinstance(error, RequestValidationError)
    return problem_of_fields(list(error.errors()))


_DETAILS = {
    404: "nothing has this address; /openapi.json lists those that there are",
    405: "this address does not know that method; /openapi.json lists those that it does",
}
