"""Health and metrics: `/healthz`, `/readyz`, `/metrics`."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from handigit.web.openapi import problem_response
from handigit.web.routes import AsReader, AuthenticatedRoute
from handigit.web.state import state_of

router = APIRouter(tags=["operate"], route_class=AuthenticatedRoute)


@router.get("/healthz")
async def alive() -> dict[str, Any]:
    """The process answers."""
    return {"status": "alive"}


@router.get("/readyz", responses=problem_response(503, "Starting, draining, or a part that does not answer"))
async def ready(request: Request) -> dict[str, Any]:
    """The model has passed its smoke test, the store answers, the disk has room, and workers run."""
    await state_of(request).readiness.check()
    return {"status": "ready"}


@router.get("/metrics", response_class=Response)
async def metrics(request: Request, _user: AsReader) -> Response:
    """Metrics for Prometheus."""
    service = state_of(request).service
    model = service.models.active if service.models.is_loaded else None
    workers = service.workers
    text = state_of(request).metrics.as_text(
        waiting=service.waiting,
        is_ready=service.state == "ready",
        model=model,
        workers=workers.alive if workers else 0,
        restarts=workers.restarts if workers else 0,
    )
    return Response(text, media_type="text/plain; version=0.0.4")
