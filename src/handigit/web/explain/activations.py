"""What a digit model computes on its way from a glyph to ten scores, for showing it.

ONNX Runtime gives only what a file names as its outputs, so a copy in memory names more of them. Of the ONNX format
this knows the five fields that takes (`onnx` itself would add 58 MB to an install); all others pass through untouched.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from google.protobuf import (  # type: ignore[import-untyped] # with ONNX Runtime, without types
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from jaxtyping import Float32

from handigit.errors import ModelError
from handigit.read.engine import open_session

log = logging.getLogger(__name__)
LAYERS: Final = 3
_LAYERS_SEEN: Final = frozenset(
    {"Conv", "Relu", "Add", "MaxPool", "AveragePool", "GlobalAveragePool", "Gemm", "MatMul", "HardSwish", "Clip"}
)
"""Sorts of nodes whose results are worth a look."""
_CLASSES: Final = 10
_SMALLEST_PX: Final = 4
"""Maps smaller than this show nothing that can be seen."""
_PROBE: Final = np.zeros((1, 28, 28), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the model saw in each of n glyphs.

    `maps` are those of some layers, (n, channels, height, width), from the picture inward; `features` its last values.
    """

    maps: tuple[Float32[np.ndarray, "n _ _ _"], ...]
    features: Float32[np.ndarray, "n features"]


class Inside:
    """A model that also gives what lies between its layers. Activity below zero, which no layer passes on, is none.

    Raises:
        NothingInside: a model that computes nothing that could be shown, or not in a way that we know.
    """

    def __init__(self, data: bytes) -> None:
        names = _names(data)
        try:
            self._session = open_session(_with_outputs(data, names), "the model", threads=1)
        except ModelError:
            raise NothingInside from None
        self._input = self._session.get_inputs()[0]
        shapes = dict(zip(names, (value.shape for value in self._run(_PROBE, names)), strict=True))
        features = [name for name, shape in shapes.items() if math.prod(shape[1:]) > _CLASSES]
        if not features:
            raise NothingInside
        self._features = features[-1]
        self._maps = _deepest_of_each_size(shapes)

    def see(self, glyphs: Float32[np.ndarray, "n 28 28"]) -> Seen:
        """What the model sees in these glyphs."""
        *maps, features = self._run(glyphs, [*self._maps, self._features])
        return Seen(tuple(map(_positive, maps)), _positive(features).reshape(len(glyphs), -1))

    def features(self, glyphs: Float32[np.ndarray, "n 28 28"]) -> Float32[np.ndarray, "n features"]:
        """The last features alone."""
        (features,) = self._run(glyphs, [self._features])
        return _positive(features).reshape(len(glyphs), -1)

    def _run(self, glyphs: Float32[np.ndarray, "n 28 28"], names: Sequence[str]) -> list[np.ndarray]:
        batch = glyphs.reshape(-1, *self._input.shape[1:])
        try:
            return list(self._session.run(list(names), {self._input.name: batch}))
        except Exception as problem:  # the runtime has no one class for its errors
            log.info("nothing to show of the model's layers", extra={"problem": type(problem).__name__})
            raise NothingInside from None


class NothingInside(Exception):
    """A model of which nothing between its layers can be shown."""


def _deepest_of_each_size(shapes: dict[str, tuple[int, ...]]) -> list[str]:
    """The last tensor of maps before they shrink, for the first few sizes."""
    last = {shape[2:]: name for name, shape in shapes.items() if len(shape) == 4 and min(shape[2:]) >= _SMALLEST_PX}
    return list(last.values())[:LAYERS]


def _positive(value: np.ndarray) -> Float32[np.ndarray, "..."]:
    return np.asarray(np.maximum(value, 0), np.float32)


def _names(data: bytes) -> list[str]:
    """The results of the nodes that are worth a look, in their order."""
    try:
        nodes = _model().FromString(data).graph.node
    except DecodeError:
        raise NothingInside from None
    return [node.output[0] for node in nodes if node.op_type in _LAYERS_SEEN]


def _with_outputs(data: bytes, names: Sequence[str]) -> bytes:
    """The model with these results as outputs too."""
    model = _model().FromString(data)
    known = {output.name for output in model.graph.output}
    for name in names:
        if name not in known:
            model.graph.output.add(name=name)
    return bytes(model.SerializeToString())


@cache
def _model() -> Any:
    """The part of onnx.proto that is needed: field numbers as https://github.com/onnx/onnx/blob/main/onnx/onnx.proto."""
    file = descriptor_pb2.FileDescriptorProto(name="part_of_onnx.proto", package="part", syntax="proto2")
    _message(file, "Output", ("name", 1, ""))
    _message(file, "Node", ("output", 2, "[]"), ("op_type", 4, ""))
    _message(file, "Graph", ("node", 1, "[]Node"), ("output", 12, "[]Output"))
    _message(file, "Model", ("graph", 7, "Graph"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("part.Model"))


def _message(file: Any, name: str, *fields: tuple[str, int, str]) -> None:
    """A message of texts and messages; `[]` before a type says that there may be many."""
    message = file.message_type.add(name=name)
    for field, number, kind in fields:
        of, many = kind.removeprefix("[]"), kind.startswith("[]")
        kinds = descriptor_pb2.FieldDescriptorProto
        added = message.field.add(
            name=field, number=number, label=kinds.LABEL_REPEATED if many else kinds.LABEL_OPTIONAL
        )
        added.type = kinds.TYPE_MESSAGE if of else kinds.TYPE_STRING
        if of:
            added.type_name = f".part.{of}"
