"""Tensors of the Open Inference Protocol, as JSON or as bytes behind it (its binary extension).

https://github.com/kserve/open-inference-protocol
"""

import json
import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Float32

from handigit.web.problems import BAD_REQUEST, INVALID, Problem

OUTPUT: Final = "probabilities"
MAX_GLYPHS: Final = 4096
_MAX_VALUES: Final = MAX_GLYPHS * 28 * 28
MAX_TENSOR_BYTES: Final = 8 * _MAX_VALUES
MAX_JSON_BYTES: Final = 4_000_000
"""Of a request in JSON alone: 250 glyphs with all digits of a float. Larger ones use the binary extension."""
MAX_JSON_HEAD_BYTES: Final = 64 * 1024
"""Of the JSON before a binary tensor."""
_MAX_LISTS: Final = MAX_GLYPHS * 29
"""Opening brackets in a request's JSON: each list takes about 60 bytes of memory for two of the text."""
_TYPES: Final[dict[str, np.dtype[Any]]] = {"FP32": np.dtype("<f4"), "FP64": np.dtype("<f8"), "UINT8": np.dtype("u1")}


@dataclass(frozen=True, slots=True)
class Input:
    """A model's one input: pictures of `height` by `width` pixels, of any width if that is None, values `low` to 1."""

    name: str
    height: int
    width: int | None
    low: float = 0.0

    @property
    def shape(self) -> list[int]:
        """The shape in the protocol's notation: -1 for any size."""
        return [-1, self.height, self.width or -1]

    @property
    def example(self) -> dict[str, Any]:
        """A request for one blank picture."""
        shape = [1, self.height, self.width or 64]
        return {"inputs": [{"name": self.name, "shape": shape, "datatype": "FP32", "data": [0.0] * math.prod(shape)}]}

    def check_shape(self, shape: list[int]) -> tuple[int, int, int]:
        """Count, height and width; a channel axis of 1 and flattened rows are accepted.

        Raises:
            Problem: another shape.
        """
        count, *rest = shape or [0]
        if self.width and rest == [self.height * self.width]:
            rest = [self.height, self.width]
        sides = [side for side in rest if side != 1] if len(rest) == 3 else rest
        fits = len(sides) == 2 and sides[0] == self.height and sides[1] == (self.width or sides[1])
        if not fits or min(count, *sides) < 1 or count > MAX_GLYPHS or math.prod([count, *sides]) > _MAX_VALUES:
            expected = f"[n, {self.height}, {self.width or 'width'}]"
            raise Problem(INVALID, f"shape = {shape[:5]}; send {expected}, n from 1 to {MAX_GLYPHS}, fewer if wide")
        return count, sides[0], sides[1]


@dataclass(frozen=True, slots=True, eq=False)
class InferenceRequest:
    """Pictures, the client's id, and whether the answer should be binary."""

    pictures: Float32[np.ndarray, "n height width"]
    id: str
    binary: bool


def parse(body: bytes, model_input: Input, *, json_bytes: int | None) -> InferenceRequest:
    """Parse a request; `json_bytes` is the length of its JSON if the tensor's bytes follow.

    Raises:
        Problem: not a request of the protocol, or values out of range.
    """
    try:
        if body.count(b"[", 0, json_bytes) + body.count(b"{", 0, json_bytes) > _MAX_LISTS:
            raise ValueError("too many lists")
        request = json.loads(body[:json_bytes])
        (tensor,) = request["inputs"]
        shape = [int(side) for side in tensor["shape"]]
        dtype = _TYPES[tensor["datatype"]]
        values = _values(tensor, dtype, body[json_bytes:] if json_bytes is not None else b"")
        parameters = request.get("parameters") or {}
        outputs = request.get("outputs") or []
        per_output = [(output.get("parameters") or {}).get("binary_data", False) for output in outputs]
        binary = bool(per_output[0] if per_output else parameters.get("binary_data_output", False))
        unknown = [output["name"] for output in outputs if output["name"] != OUTPUT]
        request_id = str(request.get("id") or "")[:64]
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        example = f'{{"name": "{model_input.name}", "shape": {model_input.shape}, "datatype": "FP32", "data": [...]}}'
        raise Problem(BAD_REQUEST, f'not an inference request with one input; send {{"inputs": [{example}]}}') from None
    if tensor.get("name") != model_input.name or unknown:
        raise Problem(INVALID, f"the model has one input, {model_input.name!r}, and one output, {OUTPUT!r}; name these")
    return InferenceRequest(
        _pictures(values, shape, model_input, scale=255 if dtype == np.uint8 else 1), request_id, binary
    )


def render(probs: np.ndarray, request: InferenceRequest, *, model: str, version: str) -> tuple[bytes, int | None]:
    """The body of an answer, and the length of its JSON if the tensor's bytes follow."""
    tensor: dict[str, Any] = {"name": OUTPUT, "datatype": "FP32", "shape": list(probs.shape)}
    answer = {"model_name": model, "model_version": version, "outputs": [tensor]}
    if request.id:
        answer["id"] = request.id
    if not request.binary:
        tensor["data"] = [round(probability, 9) for probability in probs.ravel().tolist()]
        return json.dumps(answer).encode(), None
    data = probs.astype("<f4").tobytes()
    tensor["parameters"] = {"binary_data_size": len(data)}
    head = json.dumps(answer).encode()
    return head + data, len(head)


def _values(tensor: dict[str, Any], dtype: np.dtype[Any], binary: bytes) -> np.ndarray:
    size = (tensor.get("parameters") or {}).get("binary_data_size")
    if size is None:
        return np.asarray(tensor["data"], np.float64).ravel()
    return np.frombuffer(binary[: int(size)], dtype).astype(np.float64)


def _pictures(
    values: np.ndarray, shape: list[int], model_input: Input, *, scale: float
) -> Float32[np.ndarray, "n height width"]:
    size = model_input.check_shape(shape)
    if values.size != math.prod(size):
        raise Problem(INVALID, f"the data has {values.size} values, its shape needs {math.prod(size)}")
    scaled = values / scale
    if not ((scaled >= model_input.low) & (scaled <= 1)).all():  # false for NaN too
        raise Problem(INVALID, f"values must be within {model_input.low:g}..1; scale them (UINT8: 0..255)")
    return scaled.astype(np.float32).reshape(size)
