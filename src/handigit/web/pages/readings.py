"""The page at /readings."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from handigit.web.pages.frame import AsReader, render

router = APIRouter()


@router.get("/readings")
def show(request: Request, user: AsReader) -> Response:
    """The page."""
    return render(request, "readings.html", user)
