"""The FastAPI application: its parts, its routes, and errors as problems."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match, Mount

import handigit
from handigit.errors import HandigitError
from handigit.images import Limits
from handigit.read import Reader
from handigit.settings import Settings
from handigit.store import Store
from handigit.web import pages
from handigit.web.api import accounts, docs, forms, health, models, open_inference, read, readings, records, review
from handigit.web.api.read import CLIENT_CLOSED_REQUEST, ClientDisconnected, ReadFastPath
from handigit.web.auth import Access, allowed_hosts
from handigit.web.exports import Exports
from handigit.web.form_service import FormService
from handigit.web.form_templates import FormTemplates
from handigit.web.metrics import Metrics
from handigit.web.middleware import GuardMiddleware, RequestPolicy, log_failure
from handigit.web.model_registry import MakeReader, Models
from handigit.web.openapi import COMMON_PROBLEMS
from handigit.web.pages.help import mount_help
from handigit.web.pages.layout import STATIC, LoginRequired, Static, problem_page, to_sign_in, wants_page
from handigit.web.problems import METHOD_NOT_ALLOWED, Problem, problem_of, problem_of_fields, problem_of_status
from handigit.web.readiness import Readiness
from handigit.web.service import Service
from handigit.web.state import AppState, state_of
from handigit.web.write_pool import WritePool

log = logging.getLogger(__name__)
_FORGET_EVERY_S: Final = 3600.0


def create_app(settings: Settings, *, store: Store | None = None, make_reader: MakeReader | None = None) -> FastAPI:
    """The configured application; `make_reader` replaces the reader in tests.

    Raises:
        UnprotectedServer: others can reach the server, and it requires no sign-in.
    """
    access = Access(settings, store.accounts if store else None)
    access.check_bind(settings.host)
    registry = Models(
        make_reader or partial(_reader, settings),
        folder=settings.models,
        start=settings.model_dir,
        state=settings.state,
    )
    metrics = Metrics()
    workers = 0 if make_reader else settings.workers
    service = Service(registry, store, capacity=settings.queue, workers=workers, metrics=metrics)
    app = FastAPI(
        title="Handigit",
        description="Reads handwritten numbers.",
        version=handigit.__version__,
        lifespan=_lifespan,
        docs_url=None,  # its page would load scripts from a CDN
        redoc_url=None,
        root_path=settings.root_path.rstrip("/"),
        responses=COMMON_PROBLEMS,
    )
    writes = WritePool()
    form_service = FormService(service, FormTemplates(settings.form_folder), writes)
    readiness = Readiness(service, settings.state)
    app.state.handigit = AppState(settings, access, service, metrics, readiness, writes, form_service, Exports())
    _add_middleware(app, settings, access, metrics)
    for module in (read, readings, review, forms, records, models, accounts, health, open_inference, docs, pages):
        app.include_router(module.router)
    app.mount("/docs/static", Static(directory=docs.FOLDER))
    app.mount("/static", Static(directory=STATIC))
    mount_help(app, settings.docs)
    _add_error_handlers(app)
    return app


def _add_middleware(app: FastAPI, settings: Settings, access: Access, metrics: Metrics) -> None:
    """The innermost first."""
    origins = frozenset(origin.strip().lower() for origin in settings.cors_origins.split(",") if origin.strip())
    app.add_middleware(ReadFastPath)
    if origins:
        app.add_middleware(CORSMiddleware, allow_origins=sorted(origins), **_CORS)
    policy = RequestPolicy(
        max_bytes=settings.max_upload_mb * 1e6,
        max_total_bytes=max(settings.max_uploads_mb, settings.max_upload_mb) * 1e6,
        hosts=allowed_hosts(settings),
        origins=origins,
        rate_per_minute=settings.rate_per_minute,
        is_open=lambda: access.is_open,
    )
    app.add_middleware(GuardMiddleware, policy=policy, metrics=metrics)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    state = state_of(app)
    service, days = state.service, state.settings.retention_days
    service.start()
    forgetting = asyncio.create_task(forget_regularly(service.store, days=days)) if days and service.store else None
    yield
    if forgetting:
        forgetting.cancel()
    state.writes.close()
    await service.stop()


async def forget_regularly(store: Store, *, days: float, every_s: float = _FORGET_EVERY_S) -> None:
    """Delete readings older than `days`, now and then every hour, until cancelled."""
    while True:
        before = datetime.now(UTC) - timedelta(days=days)
        try:
            deleted = await asyncio.to_thread(store.forget, before=before)
            log.info("forgotten", extra={"readings": deleted.readings, "pictures": deleted.pictures})
        except HandigitError as problem:
            log.error("not forgotten", extra={"error": type(problem).__name__})
        await asyncio.sleep(every_s)


def _reader(settings: Settings, path: Path | None) -> Reader:
    return Reader(path, threads=settings.threads, limits=Limits(**settings.limits, isolate=True))


def _add_error_handlers(app: FastAPI) -> None:
    handlers: dict[type[Exception], Callable[[Exception], Problem]] = {
        HandigitError: problem_of,
        HTTPException: _problem_of_http,
        RequestValidationError: _problem_of_validation,
    }
    for kind, to_problem in handlers.items():
        app.add_exception_handler(kind, partial(_answer, to_problem))
    for disconnect in (ClientDisconnected, ClientDisconnect):
        app.add_exception_handler(disconnect, _client_closed)
    app.add_exception_handler(LoginRequired, to_sign_in)


async def _answer(to_problem: Callable[[Exception], Problem], request: Request, error: Exception) -> Response:
    problem = to_problem(error)
    if problem.kind is METHOD_NOT_ALLOWED:
        problem.headers["Allow"] = ", ".join(_allowed_methods(request))
    if problem.kind.status == 500:
        log_failure(error, request.state.request_id)
    if wants_page(request):
        return await problem_page(request, problem)
    # Clients of the Open Inference Protocol expect the message under "error".
    extra = {"error": problem.detail} if request.url.path.startswith("/v2/") else {}
    return problem.as_response(request.state.request_id, extra)


def _allowed_methods(request: Request) -> list[str]:
    """The methods of all routes with this path; a framework's own answer names those of the first route only."""
    methods = {
        method
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        for route in request.app.routes
        if not isinstance(route, Mount) and route.matches({**request.scope, "method": method})[0] is Match.FULL
    } or {"GET"}  # static files
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


async def _client_closed(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    return Response(status_code=CLIENT_CLOSED_REQUEST)


def _problem_of_http(error: Exception) -> Problem:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, Problem):
        return error.__cause__  # raised while FastAPI read the body
    problem = problem_of_status(error.status_code, _DETAILS.get(error.status_code, str(error.detail)))
    problem.headers.update(error.headers or {})
    return problem


def _problem_of_validation(error: Exception) -> Problem:
    assert isinstance(error, RequestValidationError)
    return problem_of_fields(list(error.errors()))


_CORS: Final[dict[str, Any]] = {
    "allow_methods": ["GET", "POST", "PUT", "DELETE"],
    "allow_headers": ["Authorization", "Content-Type", "Idempotency-Key", "X-Request-ID"],
    "expose_headers": ["Retry-After", "X-Request-ID"],
    "allow_credentials": False,  # other origins send a token, never the session cookie
}
_DETAILS = {
    404: "no such path; /openapi.json lists them",
    405: "this path does not support that method; /openapi.json lists those that it does",
}
