"""The Open Inference Protocol's tensors: JSON, or bytes behind it (its binary extension) -> arrays, and back.

https://github.com/kserve/open-inference-protocol. It knows the format, nothing of models.
"""

import json
import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Float32

from handigit.web.problems import BAD_REQUEST, INVALID, Problem

OUTPUT: Final = "probabilities"
MOST_GLYPHS: Final = 4096
_MOST_VALUES: Final = MOST_GLYPHS * 28 * 28
_TYPES: Final[dict[str, np.dtype[Any]]] = {"FP32": np.dtype("<f4"), "FP64": np.dtype("<f8"), "UINT8": np.dtype("u1")}


@dataclass(frozen=True, slots=True)
class Input:
    """A model's one input: pictures of `height` by `width` pixels, of any width if that is None."""

    name: str
    height: int
    width: int | None

    @property
    def shape(self) -> list[int]:
        """As the protocol writes it: -1 for any size."""
        return [-1, self.height, self.width or -1]

    @property
    def example(self) -> dict[str, Any]:
        """A request for one blank picture."""
        shape = [1, self.height, self.width or 64]
        return {"inputs": [{"name": self.name, "shape": shape, "datatype": "FP32", "data": [0.0] * math.prod(shape)}]}

    def size_of(self, shape: list[int]) -> tuple[int, int, int]:
        """How many pictures of which size a request's shape means; a channel of one and flat rows are let pass.

        Raises:
            Problem: it means none.
        """
        count, *rest = shape or [0]
        if self.width and rest == [self.height * self.width]:
            rest = [self.height, self.width]
        sides = [side for side in rest if side != 1] if len(rest) == 3 else rest
        fits = len(sides) == 2 and sides[0] == self.height and sides[1] == (self.width or sides[1])
        if not fits or min(count, *sides) < 1 or count > MOST_GLYPHS or math.prod([count, *sides]) > _MOST_VALUES:
            wanted = f"[n, {self.height}, {self.width or 'width'}]"
            raise Problem(INVALID, f"shape = {shape[:5]}; send {wanted}, n of 1 to {MOST_GLYPHS}, less of large ones")
        return count, sides[0], sides[1]


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """An inference request: its pictures, its id, and whether the answer is wanted as bytes."""

    pictures: Float32[np.ndarray, "n height width"]
    id: str
    binary: bool


def parse(body: bytes, wanted: Input, *, json_bytes: int | None) -> Asked:
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
        told = (
            f'{{"inputs": [{{"name": "{wanted.name}", "shape": {wanted.shape}, "datatype": "FP32", "data": [...]}}]}}'
        )
        raise Problem(BAD_REQUEST, f"this is no inference request with one input; send {told}") from None
    if tensor.get("name") != wanted.name or wrong:
        raise Problem(INVALID, f"the model has one input, {wanted.name!r}, and one output, {OUTPUT!r}; name these")
    return Asked(_pictures(values, shape, wanted, scale=255 if kind == np.uint8 else 1), named, binary)


def render(shares: np.ndarray, asked: Asked, *, model: str, version: str) -> tuple[bytes, int | None]:
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


def _pictures(
    values: np.ndarray,
    shape: list[int],
    wanted: Input,
    *,
    scale: float,
) -> Float32[np.ndarray, "n height width"]:
    size = wanted.size_of(shape)
    if values.size != math.prod(size):
        raise Problem(INVALID, f"the data has {values.size} numbers, its shape says {math.prod(size)}; make them agree")
    scaled = values / scale
    if not ((scaled >= 0) & (scaled <= 1)).all():  # false for NaN too
        raise Problem(INVALID, "values lie in 0..1, ink bright on 0; scale them (UINT8: 0..255)")
    return scaled.astype(np.float32).reshape(size)
