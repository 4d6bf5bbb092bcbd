"""Is it alive, is it ready, how does it do: `/healthz`, `/readyz`, `/metrics`."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from handigit.web.auth import AsReader
from handigit.web.openapi import problem
from handigit.web.problems import UNAVAILABLE, Problem

router = APIRouter(tags=["operate"])
_WHY = {
    "starting": "the model is being loaded; ask again in a second",
    "failed": "no model could be loaded; see the log, and set HANDIGIT_MODEL_DIR to a folder with one",
    "draining": "the server is about to end; send requests elsewhere",
}


@router.get("/healthz")
async def alive() -> dict[str, Any]:
    """The process answers; that is all this says."""
    return {"status": "alive"}


@router.get("/readyz", responses=problem(503, "Starting, draining, or without a usable model"))
async def ready(request: Request) -> dict[str, Any]:
    """The model has read the golden picture right, and the server is not about to end."""
    check_ready(request)
    return {"status": "ready"}


@router.get("/metrics", response_class=Response)
async def metrics(request: Request, _user: AsReader) -> Response:
    """Figures for Prometheus."""
    return Response(request.app.state.metrics.as_text(), media_type="text/plain; version=0.0.4")


def check_ready(request: Request) -> None:
    """Refuse while there is nothing to read with, or soon no more.

    Raises:
        Problem: with the reason.
    """
    state = request.app.state.service.state
    if state != "ready":
        raise Problem(UNAVAILABLE, _WHY[state], headers={"Retry-After": "1"})
