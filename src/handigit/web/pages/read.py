"""The first page: draw, upload or photograph, and see what is read."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from handigit.web.pages.frame import AsReader, render

router = APIRouter()


@router.get("/")
def show(request: Request, user: AsReader) -> Response:
    """The page."""
    return render(request, "read.html", user)
