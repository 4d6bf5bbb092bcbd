"""The first page: draw, upload or photograph, and see what is read.

What is drawn is answered with all that the page shows of it, what the model saw among it, and is never kept; uploads
go through the API like everybody's. It knows what a visitor is shown, not how anything is read.
"""

import asyncio
import base64
import io
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import numpy as np
from fastapi import APIRouter, Query, Request
from jaxtyping import Float32
from PIL import Image
from starlette.responses import JSONResponse, Response

from handigit.images import find_digit
from handigit.images.line import find_line
from handigit.pipeline import Kind, Read
from handigit.records import Digit
from handigit.store import Role
from handigit.web.pages.layout import AsReader, render
from handigit.web.problems import TOO_LARGE, Problem, problem_of
from handigit.web.service import Promise, Service
from handigit.web.uploads import Upload, uploads_of
from handigit.web.wording import sentence

router = APIRouter()
Seen = Float32[np.ndarray, "height width"]
_WITHIN_S: Final = 5.0
"""Whoever draws has drawn on by then."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture of ours that can be read with one click: its file, its name for people, what it holds."""

    file: str
    name: str
    kind: Kind


SAMPLES: Final = (
    Sample("zip-code-on-an-envelope.jpg", "ZIP code", "number"),
    Sample("amount-on-a-cheque.jpg", "Amount", "number"),
    Sample("touching-digits.png", "Touching digits", "number"),
    Sample("blank-box.png", "Blank box", "number"),
    Sample("word.png", "A word", "number"),
    Sample("scores-on-squared-paper.jpg", "Page of scores", "page"),
)


@router.get("/")
def show(request: Request, user: AsReader) -> Response:
    """The page."""
    return render(request, "read.html", user, samples=SAMPLES)


@router.post("/pad")
async def read_pad(request: Request, kind: Annotated[Literal["digit", "number"], Query(alias="as")]) -> Response:
    """Read what was drawn, and show what the model saw; nothing of it is kept."""
    state = request.app.state
    await state.access.need(request, Role.READER)
    async with uploads_of(request, most=1, name="pad.png") as (drawn, *_):
        if not drawn.is_small:
            raise Problem(TOO_LARGE, "a drawing has at most 256 kB and 2 million pixels; send others to /v1/page")
        read = await _read(state.service, drawn, Promise(kind, request.state.request_id, False, _WITHIN_S))
    seen = await asyncio.to_thread(_seen, read, kind)
    return JSONResponse(
        _told(read, kind) | await _shares(state.service, read, seen, kind) | {"seen": _as_address(seen)}
    )


async def _read(service: Service, drawn: Upload, promise: Promise) -> Read:
    async with aclosing(service.read([drawn], promise)) as pages:
        answered = await anext(pages)
    if answered.read is None:
        raise problem_of(answered.error or ValueError("neither an answer nor an error"))
    return answered.read


def _told(read: Read, kind: Kind) -> dict[str, Any]:
    """The API's JSON, the answer as a sentence, and for each digit how probable each of the ten is."""
    (number,) = read.numbers
    told = number.as_dict(source="pad.png", model=read.model)
    says = sentence(number.outcome, number.text, number.confidence, what=kind)
    return told | {"says": says, "digits": [_digit_told(digit) for digit in number.digits]}


def _digit_told(digit: Digit) -> dict[str, Any]:
    return {"value": digit.value, "confidence": digit.confidence, "probabilities": digit.probabilities}


async def _shares(service: Service, read: Read, seen: Seen | None, kind: Kind) -> dict[str, Any]:
    """How probable each digit is, also where the answer is that it is none; nothing for a number or a blank."""
    if kind != "digit" or seen is None:
        return {"probabilities": []}
    (number,) = read.numbers
    if number.digits:
        return {"probabilities": number.digits[0].probabilities}
    (shares,) = await service.infer("digit", seen[None], within_s=_WITHIN_S)
    return {"probabilities": shares.tolist()}


def _seen(read: Read, kind: Kind) -> Seen | None:
    """The glyph, or the line; None for a blank."""
    if kind == "number":
        line = find_line(read.page)
        return line.pixels if line else None
    (number,) = read.numbers
    if number.digits:
        return number.digits[0].glyph
    found = find_digit(read.page)
    return found.glyph if found else None


def _as_address(seen: Seen | None) -> str | None:
    """The pixels as a PNG inside an address, as an `img` takes it."""
    if seen is None:
        return None
    content = io.BytesIO()
    Image.fromarray((seen * 255).astype(np.uint8)).save(content, "PNG", compress_level=1)
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
