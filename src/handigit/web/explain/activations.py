"""Intermediate activations of a digit model, from its ONNX file.

ONNX Runtime returns only a model's declared outputs, so a copy in memory declares more of them. The five protobuf
fields that this needs are described here, because the `onnx` package would add 58 MB to an install.
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
_SHOWN_OPERATORS: Final = frozenset(
    {"Conv", "Relu", "Add", "MaxPool", "AveragePool", "GlobalAveragePool", "Gemm", "MatMul", "HardSwish", "Clip"}
)
_CLASSES: Final = 10
_MIN_MAP_PX: Final = 4  # nothing can be recognised in a smaller map
_PROBE: Final = np.zeros((1, 28, 28), np.float32)


class NotInspectable(Exception):
    """A model without intermediate outputs that can be shown."""


@dataclass(frozen=True, slots=True, eq=False)
class LayerOutputs:
    """Activations for n glyphs, negative values set to 0.

    Attributes:
        maps: Feature maps of up to `LAYERS` layers, from the input inward.
        features: The last hidden values before the ten scores.
    """

    maps: tuple[Float32[np.ndarray, "n _ _ _"], ...]
    features: Float32[np.ndarray, "n features"]


class Activations:
    """A digit model that also returns its intermediate activations; `data` is the ONNX file's content.

    Raises:
        NotInspectable: a model without hidden layers, or one that ONNX Runtime or this parser cannot open.
    """

    def __init__(self, data: bytes) -> None:
        names = _node_outputs(data)
        try:
            self._session = open_session(_with_outputs(data, names), "the model", threads=1)
        except ModelError:
            raise NotInspectable from None
        self._input = self._session.get_inputs()[0]
        shapes = dict(zip(names, (value.shape for value in self._run(_PROBE, names)), strict=True))
        features = [name for name, shape in shapes.items() if math.prod(shape[1:]) > _CLASSES]
        if not features:
            raise NotInspectable
        self._features = features[-1]
        # The last maps of each size: the deepest before a pooling layer.
        maps = {shape[2:]: name for name, shape in shapes.items() if len(shape) == 4 and min(shape[2:]) >= _MIN_MAP_PX}
        self._maps = list(maps.values())[:LAYERS]

    def compute(self, glyphs: Float32[np.ndarray, "n 28 28"]) -> LayerOutputs:
        """Feature maps and last features of the glyphs."""
        *maps, features = self._run(glyphs, [*self._maps, self._features])
        return LayerOutputs(tuple(map(_relu, maps)), _relu(features).reshape(len(glyphs), -1))

    def features(self, glyphs: Float32[np.ndarray, "n 28 28"]) -> Float32[np.ndarray, "n features"]:
        """The last features alone."""
        (features,) = self._run(glyphs, [self._features])
        return _relu(features).reshape(len(glyphs), -1)

    def _run(self, glyphs: Float32[np.ndarray, "n 28 28"], names: Sequence[str]) -> list[np.ndarray]:
        batch = glyphs.reshape(-1, *self._input.shape[1:])
        try:
            return list(self._session.run(list(names), {self._input.name: batch}))
        except Exception as problem:  # ONNX Runtime's errors have no common base class
            log.info("model cannot be inspected", extra={"problem": type(problem).__name__})
            raise NotInspectable from None


def _relu(values: np.ndarray) -> Float32[np.ndarray, "..."]:
    return np.asarray(np.maximum(values, 0), np.float32)


def _node_outputs(data: bytes) -> list[str]:
    """The first output of each node worth showing, in graph order."""
    try:
        nodes = _model_message().FromString(data).graph.node
    except DecodeError:
        raise NotInspectable from None
    return [node.output[0] for node in nodes if node.op_type in _SHOWN_OPERATORS]


def _with_outputs(data: bytes, names: Sequence[str]) -> bytes:
    """The model with these tensors added to its outputs."""
    model = _model_message().FromString(data)
    declared = {output.name for output in model.graph.output}
    for name in names:
        if name not in declared:
            model.graph.output.add(name=name)
    return bytes(model.SerializeToString())


@cache
def _model_message() -> Any:
    """A subset of onnx.proto, field numbers from https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.

    Protobuf passes unknown fields through unchanged.
    """
    file = descriptor_pb2.FileDescriptorProto(name="part_of_onnx.proto", package="part", syntax="proto2")
    _add_message(file, "Output", ("name", 1, ""))
    _add_message(file, "Node", ("output", 2, "[]"), ("op_type", 4, ""))
    _add_message(file, "Graph", ("node", 1, "[]Node"), ("output", 12, "[]Output"))
    _add_message(file, "Model", ("graph", 7, "Graph"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("part.Model"))


def _add_message(file: Any, name: str, *fields: tuple[str, int, str]) -> None:
    """A message of strings ("") and messages (by name); "[]" before the type marks a repeated field."""
    message = file.message_type.add(name=name)
    types = descriptor_pb2.FieldDescriptorProto
    for field, number, kind in fields:
        message_type, is_repeated = kind.removeprefix("[]"), kind.startswith("[]")
        label = types.LABEL_REPEATED if is_repeated else types.LABEL_OPTIONAL
        added = message.field.add(name=field, number=number, label=label)
        added.type = types.TYPE_MESSAGE if message_type else types.TYPE_STRING
        if message_type:
            added.type_name = f".part.{message_type}"
