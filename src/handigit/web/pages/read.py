"""The first page: draw, upload or photograph a number and see the answer.

Drawings are answered together with everything the page shows about them, and are never stored. Uploads go through
the API.
"""

import asyncio
import base64
import io
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
from fastapi import APIRouter, Query, Request
from jaxtyping import Float32
from PIL import Image
from starlette.responses import FileResponse, JSONResponse, Response

import handigit
from handigit.images import find_digit
from handigit.images.strip import make_strip
from handigit.read import PageReading
from handigit.records import Kind, Outcome
from handigit.store import Role
from handigit.web.pages.layout import MODEL_POLICY, STATIC, AsReader, render
from handigit.web.problems import NOT_FOUND, TOO_LARGE, Problem, problem_of
from handigit.web.service import ReadRequest, Service
from handigit.web.state import state_of
from handigit.web.uploads import Upload, uploads_of
from handigit.web.wording import answer_sentence, written

router = APIRouter()
PadMode = Literal["auto", "digit", "number"]
ModelInput = Float32[np.ndarray, "height width"]
_PACKAGE: Final = Path(handigit.__file__).parent
_SAMPLE_FOLDERS: Final = (_PACKAGE / "samples", _PACKAGE.parents[1] / "samples")
"""In an installed package, and in a source checkout: the build copies the samples that are listed here."""
_DEADLINE_S: Final = 5.0  # later answers are stale: the user has kept drawing


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample picture: its path below the samples folder, its label, and its kind."""

    path: str
    label: str
    kind: Kind

    @property
    def name(self) -> str:
        """The file's name, which is also its address below /samples."""
        return self.path.rpartition("/")[2]


SAMPLES: Final = (
    Sample("numbers/zip-code-on-an-envelope.jpg", "ZIP code", "number"),
    Sample("numbers/amount-on-a-cheque.jpg", "Amount", "number"),
    Sample("numbers/touching-digits.png", "Touching digits", "number"),
    Sample("numbers/blank-box.png", "Blank box", "number"),
    Sample("numbers/word.png", "A word", "number"),
    Sample("pages/scores-on-squared-paper.jpg", "Page of scores", "page"),
)


CONTENTS: Final = (
    ("read", "auto"),
    ("page", "many numbers"),
    ("number", "one number"),
    ("digit", "one digit"),
)
"""Kinds of uploaded files: the address below /v1 that reads one, and its label. The first is the default."""


@router.get("/")
def show(request: Request, user: AsReader) -> Response:
    """The page."""
    page = render(request, "read.html", user, samples=SAMPLES, contents=CONTENTS)
    page.headers["Content-Security-Policy"] = MODEL_POLICY
    return page


@router.get("/samples/{name}")
def sample(name: str) -> Response:
    """A sample picture."""
    for path in (folder / entry.path for entry in SAMPLES if entry.name == name for folder in _SAMPLE_FOLDERS):
        if path.is_file():
            return FileResponse(path, headers={"Cache-Control": "no-cache"})
    raise Problem(NOT_FOUND, f"no sample {name[:40]!r}")


@router.get("/favicon.ico")
def favicon() -> Response:
    """The icon, for browsers that ask for it by this name."""
    return FileResponse(STATIC / "icon.svg", media_type="image/svg+xml")


@router.post("/pad")
async def read_pad(request: Request, mode: Annotated[PadMode, Query(alias="as")] = "auto") -> Response:
    """Read a drawing as a digit or a number. The answer includes the model's input; nothing is stored."""
    state = state_of(request)
    await state.access.require(request, Role.READER)
    async with uploads_of(request, max_files=1, name="pad.png") as (drawing, *_):
        if not drawing.is_small:
            raise Problem(TOO_LARGE, "a drawing has at most 256 kB and 2 million pixels; send larger ones to /v1/page")
        kind, read = await _read(state.service, drawing, mode, request.state.request_id)
    pixels = await asyncio.to_thread(_model_input, read, kind)
    probabilities = await _probabilities(state.service, read, pixels, kind)
    return JSONResponse(_to_json(read, kind) | {"probabilities": probabilities, "seen": _data_url(pixels)})


async def _read(
    service: Service, drawing: Upload, mode: PadMode, request_id: str
) -> tuple[Literal["digit", "number"], PageReading]:
    """The reading and its kind; `auto` reads the drawing as both and picks."""
    if mode != "auto":
        return mode, await _read_as(service, drawing, mode, request_id)
    digit, number = await asyncio.gather(
        _read_as(service, drawing, "digit", request_id), _read_as(service, drawing, "number", request_id)
    )
    return ("number", number) if _is_number(digit, number) else ("digit", digit)


def _is_number(digit: PageReading, number: PageReading) -> bool:
    """Whether a drawing is a number rather than one digit.

    The number model counts digits reliably; the digit model takes some pairs ("31") for one digit.
    """
    (one,), (line,) = digit.numbers, number.numbers
    if not line.text or (len(line.text) == 1 and line.raw == line.text):
        return False
    return line.outcome is Outcome.READ or one.outcome is not Outcome.READ


async def _read_as(service: Service, drawing: Upload, kind: Literal["digit", "number"], request_id: str) -> PageReading:
    how = ReadRequest(kind, request_id, False, _DEADLINE_S, with_pages=True)
    async with aclosing(service.read([drawing], how)) as pages:
        result = await anext(pages)
    if result.read is None:
        raise problem_of(result.error or ValueError("neither an answer nor an error"))
    return result.read


def _to_json(read: PageReading, kind: Kind) -> dict[str, Any]:
    """The API's JSON, with the answer as a sentence and ten probabilities per digit."""
    (number,) = read.numbers
    sentence = answer_sentence(number.outcome, written(number), number.confidence, expected=kind)
    answer = number.as_dict(source="pad.png", model=read.model)
    digits = [
        {"value": digit.value, "confidence": digit.confidence, "probabilities": digit.probabilities}
        for digit in number.digits
    ]
    return answer | {"kind": kind, "says": sentence, "digits": digits}


async def _probabilities(service: Service, read: PageReading, pixels: ModelInput | None, kind: Kind) -> list[float]:
    """Ten probabilities, also for a non-digit; empty for a number or a blank."""
    if kind != "digit" or pixels is None:
        return []
    (number,) = read.numbers
    if number.digits:
        return list(number.digits[0].probabilities)
    (probabilities,) = await service.inference.run("digit", pixels[None], within_s=_DEADLINE_S)
    return [float(p) for p in probabilities]


def _model_input(read: PageReading, kind: Kind) -> ModelInput | None:
    """The glyph, or the ink of the strip, that the model received; None for a blank."""
    if kind == "number":
        strip = make_strip(read.page)
        return strip.ink if strip.has_ink else None
    (number,) = read.numbers
    if number.digits:
        return number.digits[0].glyph
    crop = find_digit(read.page)
    return crop.glyph if crop else None


def _data_url(pixels: ModelInput | None) -> str | None:
    """The pixels as a PNG in a data URL, for an `img` element."""
    if pixels is None:
        return None
    content = io.BytesIO()
    Image.fromarray((pixels * 255).astype(np.uint8)).save(content, "PNG", compress_level=1)
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
