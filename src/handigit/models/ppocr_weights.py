"""The published weights of PP-OCRv6, copied from its ONNX files into `PPOCRSmall` and `PPOCRTiny`.

Layers of the file and modules of the network are paired in their order of use.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import onnx
import torch
from jaxtyping import Float32
from onnx import numpy_helper
from torch import Tensor, nn

from handigit.errors import ModelError
from handigit.models.ppocr_small import PPOCRSmall
from handigit.models.ppocr_tiny import PPOCRTiny

Weights = tuple[np.ndarray, np.ndarray]
_BATCH_NORM_EPSILON: Final = 1e-5


def load_published(
    model: PPOCRSmall | PPOCRTiny, onnx_bytes: bytes, starts: Sequence[str], *, characters: Sequence[str]
) -> None:
    """Copy the published weights into `model`.

    `starts`: for each class after the blank, the characters whose mean row in the published head it starts from,
    as far as that has them;
    `characters`: those of the published head, in order.

    Raises:
        ModelError: not the file that this architecture was written for.
    """
    published = onnx.load_from_string(onnx_bytes)
    layers = list(_layers(published.graph))
    modules = [module for part in (model.stem, model.blocks, model.neck) for module in _weight_modules(part)]
    if len(layers) != len(modules) + 1:
        raise ModelError(f"the published model has {len(layers)} layers, not {len(modules) + 1}: another version")
    for module, (weight, bias) in zip(modules, layers, strict=False):
        if weight.ndim == 4 and weight.shape[1] == 3:
            weight = weight.sum(1, keepdims=True)  # the first convolution: three equal channels become one
        assert isinstance(module.weight, Tensor)
        _set(module, weight.reshape(tuple(module.weight.shape)), bias)
    weight, bias = layers[-1]
    places = {character: 1 + index for index, character in enumerate(characters)}
    rows = [[0], *([places[one] for one in start if one in places] for start in starts)]
    _set(model.head, np.stack([weight[row].mean(0) for row in rows]), np.stack([bias[row].mean() for row in rows]))


def _set(module: nn.Module, weight: np.ndarray, bias: np.ndarray) -> None:
    module.load_state_dict({"weight": torch.from_numpy(weight.copy()), "bias": torch.from_numpy(bias.copy())})


def _weight_modules(part: nn.Module) -> Iterator[nn.Module]:
    """Modules with weights of their own, in the order in which they are used."""
    return (module for module in part.modules() if isinstance(module, nn.Conv2d | nn.Linear | nn.LayerNorm))


def _layers(graph: onnx.GraphProto) -> Iterator[Weights]:
    """Weight and bias of each layer, in PyTorch's layout, batch norms folded in."""
    arrays = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    users = {name: node for node in graph.node for name in node.input if name not in arrays}
    for node in graph.node:
        stored = [arrays[name] for name in node.input if name in arrays]
        if node.op_type == "Conv":
            after = users[node.output[0]]
            if after.op_type == "Squeeze":  # a convolution along the frames
                after = users[after.output[0]]
            yield _convolution(stored[0], [arrays[name] for name in after.input if name in arrays])
        elif node.op_type == "MatMul" and stored:
            yield stored[0].T, _bias_of(users[node.output[0]], arrays)
        elif (
            node.op_type == "Mul" and stored and stored[0].ndim == 1 and stored[0].size > 1
        ):  # a layer norm's last steps
            yield stored[0], _bias_of(users[node.output[0]], arrays)


def _bias_of(node: onnx.NodeProto, arrays: dict[str, np.ndarray]) -> np.ndarray:
    return next(arrays[name] for name in node.input if name in arrays)


def _convolution(weight: Float32[np.ndarray, "out in h w"], after: list[np.ndarray]) -> Weights:
    """A convolution with the bias or the batch norm (scale, shift, mean, variance) that follows it."""
    if len(after) == 1:
        return weight, after[0].reshape(-1)
    scale, shift, mean, variance = after
    factor = scale / np.sqrt(variance + _BATCH_NORM_EPSILON)
    return weight * factor[:, None, None, None], shift - mean * factor
