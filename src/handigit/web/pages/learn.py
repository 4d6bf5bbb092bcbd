"""The page at /learn: how a digit is read, step by step, on what the visitor drew.

It knows addresses and limits; the steps are `steps`' work. Nothing that is sent here is kept.
"""

import asyncio
import threading
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from PIL import Image
from starlette.responses import Response

from handigit.synth import picture
from handigit.web.auth import AsReader as Caller
from handigit.web.explain.neighbours import BANK
from handigit.web.explain.sentences import sentences
from handigit.web.explain.steps import encoded, steps
from handigit.web.pages.layout import AsReader, render
from handigit.web.problems import TOO_LARGE, Problem, busy
from handigit.web.uploads import uploads_of

router = APIRouter()
_TURN: Final = threading.Lock()
"""One visitor at a time is shown the steps: they cost twenty times as much as reading does."""
_PATIENCE_S: Final = 10
_SAMPLES: Final = 100
_SAMPLE_PX: Final = (280, 280)


@router.get("/learn")
def show(request: Request, user: AsReader) -> Response:
    """The page."""
    return render(request, "learn.html", user, bank=BANK)


@router.get("/learn/sample")
def sample(_user: Caller, number: Annotated[int, Query(ge=0, lt=_SAMPLES)] = 0) -> Response:
    """A photograph of a digit that nobody wrote: every digit comes round, by another pen each time."""
    drawn = picture(number % 10, seed=number, size_px=_SAMPLE_PX).pixels
    return Response(encoded(Image.fromarray(drawn)), media_type="image/png")


@router.post("/learn/steps")
async def show_steps(request: Request, _user: Caller) -> dict[str, Any]:
    """The steps from the picture in the body, of a megabyte at most, to the answer."""
    async with uploads_of(request, most=1, name="drawing") as uploads:
        content = uploads[0].content
        if not isinstance(content, bytes):
            raise Problem(TOO_LARGE, "a picture of more than a megabyte is not shown step by step; send a smaller one")
        return await asyncio.to_thread(_in_turn, request, content)


def _in_turn(request: Request, content: bytes) -> dict[str, Any]:
    if not _TURN.acquire(timeout=_PATIENCE_S):
        raise busy(_PATIENCE_S)
    try:
        told = steps(request.app.state.service.models.active.reader, content)
        return told | {"says": sentences(told)}
    finally:
        _TURN.release()
