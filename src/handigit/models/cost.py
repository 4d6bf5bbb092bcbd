"""Cost of a network: number of weights, and multiply-accumulates per glyph or line."""

import torch
from torch import Tensor, nn


def count_parameters(model: nn.Module) -> int:
    """Number of weights, without batch norm's running statistics."""
    return sum(weight.numel() for weight in model.parameters())


def count_macs(model: nn.Module, shape: tuple[int, int, int] = (1, 28, 28)) -> int:
    """Multiply-accumulates of convolutions and dense layers for one input; the rest is negligible."""
    total = 0

    def count(layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        weight = layer.weight
        assert isinstance(weight, Tensor)
        positions = output[0, 0].numel() if isinstance(layer, nn.Conv2d) else 1
        total += weight.numel() * positions

    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    was_training = model.training
    with torch.no_grad():
        model.eval()(torch.zeros(1, *shape))
    model.train(was_training)
    for hook in hooks:
        hook.remove()
    return total
