"""`/docs`: the API's description for people, with Swagger UI from this server, so that it works offline."""

from functools import cache
from pathlib import Path
from typing import Final

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from handigit.web.pages.layout import HEADERS

router = APIRouter(include_in_schema=False)
FOLDER: Final = Path(__file__).parents[1] / "api_docs"


@router.get("/docs")
def show() -> Response:
    """The page; like /openapi.json it needs no sign-in."""
    return HTMLResponse(_page(), headers=HEADERS)


@cache
def _page() -> str:
    return (FOLDER / "index.html").read_text(encoding="utf-8")
