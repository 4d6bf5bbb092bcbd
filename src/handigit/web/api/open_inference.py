"""`/v2`: the Open Inference Protocol, so that clients written for other model servers work here unchanged.

The models `digit` and `number` are whichever read now; a version is the beginning of a digest.
"""

import asyncio
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

import handigit
from handigit.read import Engine
from handigit.read.engine import LineEngine
from handigit.web.api.health import check_ready
from handigit.web.api.tensors import OUTPUT, Input, parse, render
from handigit.web.auth import AsReader
from handigit.web.openapi import problem
from handigit.web.problems import INVALID, NOT_FOUND, Problem
from handigit.web.service import Service

router = APIRouter(prefix="/v2", tags=["open inference protocol"])
_INPUTS: Final[dict[str, Input]] = {"digit": Input("glyphs", 28, 28), "number": Input("lines", 32, None)}
"""What each model takes."""
_JSON_ENDS: Final = "inference-header-content-length"
_TENSORS: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object", "required": ["inputs"]},
                "example": _INPUTS["digit"].example,
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


_REFUSED: Final = (
    problem(404, "No such model")
    | problem(408, "The body came too slowly")
    | problem(413, "More bytes than are allowed")
    | problem(504, "No answer in time")
)


@router.get("")
async def server() -> dict[str, Any]:
    """What this server is."""
    return {"name": "handigit", "version": handigit.__version__, "extensions": ["binary_tensor_data"]}


@router.get("/health/live")
async def live() -> dict[str, bool]:
    """The process answers."""
    return {"live": True}


@router.get("/health/ready", responses=problem(503, "Not ready"))
async def ready(request: Request) -> dict[str, bool]:
    """All models can be asked."""
    check_ready(request)
    return {"ready": True}


@router.get("/models/{name}", responses=problem(404, "No such model"))
@router.get("/models/{name}/versions/{version}", responses=problem(404, "No such model"))
async def model(request: Request, _user: AsReader, name: str, version: str | None = None) -> dict[str, Any]:
    """What the model takes and gives, and the characters that its classes stand for."""
    engine = _engine(request, name, version)
    classes = len(engine.card.alphabet)
    shape = [-1, classes] if name == "digit" else [-1, -1, classes + 1]  # class 0 is the blank
    return {
        "name": name,
        "versions": [engine.digest[:8]],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": _INPUTS[name].name, "datatype": "FP32", "shape": _INPUTS[name].shape}],
        "outputs": [{"name": OUTPUT, "datatype": "FP32", "shape": shape}],
        "parameters": {"alphabet": engine.card.alphabet},
    }


@router.get("/models/{name}/ready", responses=problem(404, "No such model"))
@router.get("/models/{name}/versions/{version}/ready", responses=problem(404, "No such model"))
async def model_ready(request: Request, _user: AsReader, name: str, version: str | None = None) -> dict[str, Any]:
    """The model can be asked."""
    check_ready(request)
    return {"name": name, "ready": bool(_engine(request, name, version))}


@router.post("/models/{name}/infer", openapi_extra=_TENSORS, responses=_REFUSED, response_class=Response)
@router.post(
    "/models/{name}/versions/{version}/infer", openapi_extra=_TENSORS, responses=_REFUSED, response_class=Response
)
async def infer(request: Request, _user: AsReader, name: str, version: str | None = None) -> Response:
    """How probable each digit is for each glyph, each character for each frame of each line."""
    engine = _engine(request, name, version)
    body = await request.body()
    asked = await asyncio.to_thread(parse, body, _INPUTS[name], json_bytes=_json_bytes(request))
    shares = await _service(request).infer(name, asked.pictures, within_s=request.app.state.settings.deadline_s)
    content, ends = await asyncio.to_thread(render, shares, asked, model=name, version=engine.digest[:8])
    if ends is None:
        return Response(content, media_type="application/json")
    return Response(content, media_type="application/octet-stream", headers={_JSON_ENDS: str(ends)})


def _json_bytes(request: Request) -> int | None:
    text = request.headers.get(_JSON_ENDS)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit():
        raise Problem(INVALID, f"{_JSON_ENDS} = {text[:20]!r} is no number of bytes; leave it out for plain JSON")
    return int(text[:12])


def _engine(request: Request, name: str, version: str | None) -> Engine | LineEngine:
    check_ready(request)
    if name not in _INPUTS:
        raise Problem(NOT_FOUND, f"no model named {name[:100]!r}; there are: {', '.join(_INPUTS)}")
    reader = _service(request).models.active.reader
    engine = reader.engine if name == "digit" else reader.line_engine
    if version not in (None, engine.digest[:8]):
        raise Problem(NOT_FOUND, f"no version {version[:100] if version else ''!r}; there is: {engine.digest[:8]}")
    return engine


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service
