"""The Open Inference Protocol's tensors: JSON, or bytes behind it (its binary extension) -> arrays, and back.

https://github.com/kserve/open-inference-protocol. It knows the format, nothing of models.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Float32, Float64

from handigit.web.problems import BAD_REQUEST, INVALID, Problem

INPUT: Final = "glyphs"
OUTPUT: Final = "probabilities"
MOST_GLYPHS: Final = 4096
_GLYPH: Final = 28 * 28
_TYPES: Final[dict[str, np.dtype[Any]]] = {"FP32": np.dtype("<f4"), "FP64": np.dtype("<f8"), "UINT8": np.dtype("u1")}
_EXAMPLE: Final = (
    '{"inputs": [{"name": "glyphs", "shape": [1, 28, 28], "datatype": "FP32", "data": [0, 0, ... 784 numbers]}]}'
)


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """An inference request: its glyphs, its id, and whether the answer is wanted as bytes."""

    glyphs: Float32[np.ndarray, "n 28 28"]
    id: str
    binary: bool


def parse(body: bytes, *, json_bytes: int | None) -> Asked:
    """Read a request; `json_bytes` is where its JSON ends and the tensors' bytes begin, None without any.

    Raises:
        Problem: it is not what the protocol says, or has values that make no sense.
    """
    try:
        request = json.loads(body[:json_bytes])
        (tensor,) = request["inputs"]
        shape = [int(side) for side in tensor["shape"]]
        kind = _TYPES[tensor["datatype"]]
        values = _values(tensor, kind, body[json_bytes:] if json_bytes is not None else b"")
        parameters = request.get("parameters") or {}
        outputs = request.get("outputs") or []
        chosen = [(one.get("parameters") or {}).get("binary_data", False) for one in outputs]
        binary = bool(chosen[0] if chosen else parameters.get("binary_data_output", False))
        wrong = [one["name"] for one in outputs if one["name"] != OUTPUT]
        named = str(request.get("id") or "")[:64]
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        raise Problem(BAD_REQUEST, f"this is no inference request with one input; send {_EXAMPLE}") from None
    if tensor.get("name") != INPUT or wrong:
        raise Problem(INVALID, f"the model has one input, {INPUT!r}, and one output, {OUTPUT!r}; name these")
    return Asked(_glyphs(values, shape, scale=255 if kind == np.uint8 else 1), named, binary)


def render(shares: Float64[np.ndarray, "n 10"], asked: Asked, *, model: str, version: str) -> tuple[bytes, int | None]:
    """An answer's body, and where its JSON ends if the tensor's bytes follow."""
    tensor: dict[str, Any] = {"name": OUTPUT, "datatype": "FP32", "shape": list(shares.shape)}
    answer = {"model_name": model, "model_version": version, "outputs": [tensor]}
    if asked.id:
        answer["id"] = asked.id
    if not asked.binary:
        tensor["data"] = [round(share, 9) for share in shares.ravel().tolist()]
        return json.dumps(answer).encode(), None
    data = shares.astype("<f4").tobytes()
    tensor["parameters"] = {"binary_data_size": len(data)}
    head = json.dumps(answer).encode()
    return head + data, len(head)


def _values(tensor: dict[str, Any], kind: np.dtype[Any], behind: bytes) -> np.ndarray:
    size = (tensor.get("parameters") or {}).get("binary_data_size")
    if size is None:
        return np.asarray(tensor["data"], np.float64).ravel()
    return np.frombuffer(behind[: int(size)], kind).astype(np.float64)


def _glyphs(values: np.ndarray, shape: list[int], *, scale: float) -> Float32[np.ndarray, "n 28 28"]:
    count = shape[0] if shape else 0
    rest = shape[1:]
    if rest not in ([28, 28], [1, 28, 28], [28, 28, 1], [_GLYPH]) or not 1 <= count <= MOST_GLYPHS:
        raise Problem(INVALID, f"shape = {shape[:5]}; send [n, 28, 28] with n of 1 to {MOST_GLYPHS}")
    if values.size != count * _GLYPH:
        raise Problem(INVALID, f"the data has {values.size} numbers, its shape says {count * _GLYPH}; make them agree")
    scaled = values / scale
    if not ((scaled >= 0) & (scaled <= 1)).all():  # false for NaN too
        raise Problem(INVALID, "a glyph's values lie in 0..1, ink bright on 0; scale them (UINT8: 0..255)")
    return scaled.astype(np.float32).reshape(count, 28, 28)
