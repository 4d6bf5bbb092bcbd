"""The page at /learn."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from handigit.web.pages.frame import AsReader, render

router = APIRouter()


@router.get("/learn")
def show(request: Request, user: AsReader) -> Response:
    """The page."""
    return render(request, "learn.html", user)
