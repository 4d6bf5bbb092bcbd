"""The page at /learn: how a digit is read, step by step. Nothing that is sent here is stored."""

import asyncio
import threading
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from PIL import Image
from starlette.responses import Response

from handigit.synth import picture
from handigit.web.explain.evidence import BANK_SIZE
from handigit.web.explain.sentences import sentences
from handigit.web.explain.steps import encoded, steps
from handigit.web.pages.layout import AsReader, render
from handigit.web.problems import TOO_LARGE, Problem, busy
from handigit.web.routes import AsReader as Caller
from handigit.web.state import state_of
from handigit.web.uploads import MAX_MEMORY, uploads_of

router = APIRouter()
_LOCK: Final = threading.Lock()  # one visitor at a time: the steps cost twenty times as much as reading
_TIMEOUT_S: Final = 10
_SAMPLES: Final = 100
_SAMPLE_PX: Final = (280, 280)


@router.get("/learn")
def show(request: Request, user: AsReader) -> Response:
    """The page."""
    return render(request, "learn.html", user, bank=BANK_SIZE)


@router.get("/learn/sample")
def sample(_user: Caller, number: Annotated[int, Query(ge=0, lt=_SAMPLES)] = 0) -> Response:
    """A synthetic photo of a digit; its last decimal digit chooses which, the number the pen."""
    pixels = picture(number % 10, seed=number, size_px=_SAMPLE_PX).pixels
    return Response(encoded(Image.fromarray(pixels)), media_type="image/png")


@router.post("/learn/steps")
async def show_steps(request: Request, _user: Caller) -> dict[str, Any]:
    """The steps for the picture in the body (up to 1 MB)."""
    async with uploads_of(request, max_files=1, name="drawing") as uploads:
        if uploads[0].size > MAX_MEMORY:
            raise Problem(TOO_LARGE, "this picture is over 1 MB; send a smaller one to see the steps")
        return await asyncio.to_thread(_steps_exclusively, request, uploads[0].read())


def _steps_exclusively(request: Request, content: bytes) -> dict[str, Any]:
    if not _LOCK.acquire(timeout=_TIMEOUT_S):
        raise busy(_TIMEOUT_S)
    try:
        result = steps(state_of(request).service.models.active.reader, content)
        return result | {"says": sentences(result)}
    finally:
        _LOCK.release()
