"""Health and metrics: `/healthz`, `/readyz`, `/metrics`."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from handigit.web.auth import AsReader, AuthenticatedRoute
from handigit.web.openapi import problem_response
from handigit.web.problems import unavailable
from handigit.web.state import state_of

router = APIRouter(tags=["operate"], route_class=AuthenticatedRoute)
_NOT_READY = {
    "starting": "the model is being loaded; try again in a second",
    "failed": "no model could be loaded; see the log, and set HANDIGIT_MODEL_DIR to a folder with one",
    "draining": "the server is shutting down; send requests elsewhere",
}


@router.get("/healthz")
async def alive() -> dict[str, Any]:
    """The process answers."""
    return {"status": "alive"}


@router.get("/readyz", responses=problem_response(503, "Starting, draining, or without a usable model"))
async def ready(request: Request) -> dict[str, Any]:
    """The model has passed its smoke test, and the server is not shutting down."""
    check_ready(request)
    return {"status": "ready"}


@router.get("/metrics", response_class=Response)
async def metrics(request: Request, _user: AsReader) -> Response:
    """Metrics for Prometheus."""
    service = state_of(request).service
    model = service.models.active if service.models.is_loaded else None
    text = state_of(request).metrics.as_text(waiting=service.waiting, is_ready=service.state == "ready", model=model)
    return Response(text, media_type="text/plain; version=0.0.4")


def check_ready(request: Request) -> None:
    """Refuse while no model is loaded, or the server is shutting down.

    Raises:
        Problem: with the reason.
    """
    state = state_of(request).service.state
    if state != "ready":
        raise unavailable(_NOT_READY[state], retry_after_s=1)
