"""`/v2`: the Open Inference Protocol, so that clients of other model servers work unchanged.

The models `digit` and `number` are those of the active model; a version is the beginning of a digest.
"""

import asyncio
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

import handigit
from handigit.images.strip import STRIP_PX
from handigit.read import Engine
from handigit.read.number_engine import NumberEngine
from handigit.web.api.tensors import (
    MAX_JSON_BYTES,
    MAX_JSON_HEAD_BYTES,
    MAX_TENSOR_BYTES,
    OUTPUT,
    Input,
    parse,
    render,
)
from handigit.web.exchange_limits import guard_of
from handigit.web.openapi import problem_response
from handigit.web.problems import INVALID, NOT_FOUND, Problem
from handigit.web.routes import AsReader, AuthenticatedRoute
from handigit.web.state import state_of

router = APIRouter(prefix="/v2", tags=["open inference protocol"], route_class=AuthenticatedRoute)
_MODELS: Final = ("digit", "number")
_GLYPHS: Final = Input("glyphs", 28, 28)
_STRIPS: Final = Input("strips", STRIP_PX, None, low=-1.0)
"""Number models take strips with values from -1 (ink) to 1 (paper)."""
_JSON_LENGTH: Final = "inference-header-content-length"
_TENSOR_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object", "required": ["inputs"]},
                "example": _GLYPHS.example,
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
_INFER_PROBLEMS: Final = (
    problem_response(404, "No such model")
    | problem_response(408, "The body arrived too slowly")
    | problem_response(413, "More bytes than are allowed")
    | problem_response(504, "No answer in time")
)
_NOT_FOUND: Final = problem_response(404, "No such model")


@router.get("")
async def server() -> dict[str, Any]:
    """Name, version and extensions of this server."""
    return {"name": "handigit", "version": handigit.__version__, "extensions": ["binary_tensor_data"]}


@router.get("/health/live")
async def live() -> dict[str, bool]:
    """The process answers."""
    return {"live": True}


@router.get("/health/ready", responses=problem_response(503, "Not ready"))
async def ready(request: Request) -> dict[str, bool]:
    """All models are ready."""
    await state_of(request).readiness.check()
    return {"ready": True}


@router.get("/models/{name}", responses=_NOT_FOUND)
@router.get("/models/{name}/versions/{version}", responses=_NOT_FOUND)
async def model(request: Request, _user: AsReader, name: str, version: str | None = None) -> dict[str, Any]:
    """The model's inputs, outputs and alphabet."""
    engine = _engine(request, name, version)
    model_input = _input_of(engine)
    classes = len(engine.card.alphabet)
    shape = [-1, classes] if name == "digit" else [-1, -1, classes + 1]  # class 0 is the blank
    return {
        "name": name,
        "versions": [engine.digest[:8]],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": model_input.name, "datatype": "FP32", "shape": model_input.shape}],
        "outputs": [{"name": OUTPUT, "datatype": "FP32", "shape": shape}],
        "parameters": {"alphabet": engine.card.alphabet},
    }


@router.get("/models/{name}/ready", responses=_NOT_FOUND)
@router.get("/models/{name}/versions/{version}/ready", responses=_NOT_FOUND)
async def model_ready(request: Request, _user: AsReader, name: str, version: str | None = None) -> dict[str, Any]:
    """The model is ready."""
    await state_of(request).readiness.check()
    return {"name": name, "ready": bool(_engine(request, name, version))}


@router.post("/models/{name}/infer", openapi_extra=_TENSOR_BODY, responses=_INFER_PROBLEMS, response_class=Response)
@router.post(
    "/models/{name}/versions/{version}/infer",
    openapi_extra=_TENSOR_BODY,
    responses=_INFER_PROBLEMS,
    response_class=Response,
)
async def infer(request: Request, _user: AsReader, name: str, version: str | None = None) -> Response:
    """Probabilities of each digit per glyph, or of each character per frame of each line."""
    state, engine, json_bytes = state_of(request), _engine(request, name, version), _json_bytes(request)
    guard_of(request).limit_body(MAX_JSON_BYTES if json_bytes is None else MAX_JSON_HEAD_BYTES + MAX_TENSOR_BYTES)
    body = await request.body()
    inference = await asyncio.to_thread(parse, body, _input_of(engine), json_bytes=json_bytes)
    probs = await state.service.inference.run(name, inference.pictures, within_s=state.settings.deadline_s)
    content, length = await asyncio.to_thread(render, probs, inference, model=name, version=engine.digest[:8])
    if length is None:
        return Response(content, media_type="application/json")
    return Response(content, media_type="application/octet-stream", headers={_JSON_LENGTH: str(length)})


def _json_bytes(request: Request) -> int | None:
    text = request.headers.get(_JSON_LENGTH)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit():
        raise Problem(INVALID, f"{_JSON_LENGTH} = {text[:20]!r} is not a number of bytes; leave it out for plain JSON")
    if int(text[:12]) > MAX_JSON_HEAD_BYTES:
        raise Problem(INVALID, f"{_JSON_LENGTH} = {text[:20]}: at most {MAX_JSON_HEAD_BYTES:,}, for the JSON alone")
    return int(text[:12])


def _input_of(engine: Engine | NumberEngine) -> Input:
    return _GLYPHS if isinstance(engine, Engine) else _STRIPS


def _engine(request: Request, name: str, version: str | None) -> Engine | NumberEngine:
    state_of(request).readiness.check_model()
    if name not in _MODELS:
        raise Problem(NOT_FOUND, f"no model named {name[:100]!r}; there are: {', '.join(_MODELS)}")
    reader = state_of(request).service.models.active.reader
    engine = reader.engine if name == "digit" else reader.number_engine
    if version not in (None, engine.digest[:8]):
        raise Problem(NOT_FOUND, f"no version {version[:100] if version else ''!r}; there is: {engine.digest[:8]}")
    return engine
