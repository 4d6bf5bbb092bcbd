"""The page at /review."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from handigit.web.pages.frame import AsReviewer, render

router = APIRouter()


@router.get("/review")
def show(request: Request, user: AsReviewer) -> Response:
    """The page."""
    return render(request, "review.html", user)
