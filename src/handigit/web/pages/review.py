"""The page at /review: uncertain readings and spot checks, one at a time. Its script leases them from `/v1/review`."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from handigit.web.pages.layout import AsReviewer, render
from handigit.web.params import TheStore

router = APIRouter()


@router.get("/review")
def show(request: Request, user: AsReviewer, _store: TheStore) -> Response:
    """The page."""
    return render(request, "review.html", user)
