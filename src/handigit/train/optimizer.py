"""Optimiser, learning-rate schedule and averaged weights, from the recipe's numbers."""

import ctypes
import math
import sys

import torch
from torch import Tensor, nn, optim
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from handigit.recipe import Recipe

Optimizer = optim.Adam | optim.AdamW
Tensors = tuple[Tensor, ...] | list[Tensor]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # mallopt(3)
_NEVER = -1
_MAX_MMAP_THRESHOLD_BYTES = 32 * 2**20  # the highest value that glibc accepts


def make_optimizer(model: nn.Module, recipe: Recipe) -> Optimizer:
    """Adam or AdamW, without weight decay on biases and batch-norm scales."""
    kind = optim.AdamW if recipe.optimizer == "adamw" else optim.Adam
    weights = list(model.parameters())
    groups = [
        {"params": [w for w in weights if w.ndim >= 2], "weight_decay": recipe.weight_decay},
        {"params": [w for w in weights if w.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    return kind(groups, lr=recipe.learning_rate, betas=(recipe.beta1, recipe.beta2), fused=True)


def make_schedule(optimizer: Optimizer, recipe: Recipe, *, total: int, done: int) -> LambdaLR:
    """The recipe's schedule over `total` steps, of which `done` have been taken."""
    for group in optimizer.param_groups:
        group["initial_lr"] = recipe.learning_rate

    def factor(step: int) -> float:
        return one_cycle(step, total, recipe.warmup) if recipe.schedule == "one_cycle" else 1.0

    return LambdaLR(optimizer, factor, last_epoch=done - 1)  # its constructor takes one step


def one_cycle(step: int, total: int, warmup: float) -> float:
    """Fraction of the peak learning rate: a linear rise over `warmup` of the steps, then a cosine down to 0."""
    rise = warmup * total
    if step < rise:
        return (step + 1) / (rise + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1.0, total - rise)))


def make_average(model: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of the weights (Polyak & Juditsky 1992; Tarvainen & Valpola 2017).

    The decay rises from 0.1 to `decay`, so that the average forgets the random start quickly.
    """

    def update(averages: Tensors, weights: Tensors, count: Tensor | int) -> None:
        steps = float(count)
        torch._foreach_lerp_(averages, weights, 1 - min(decay, (1 + steps) / (10 + steps)))

    return AveragedModel(model, multi_avg_fn=update)


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """Moments and step counts, named `<index of the weight>.<name>`."""
    state = optimizer.state_dict()["state"]
    return {f"{index}.{name}": value for index, memory in state.items() for name, value in memory.items()}


def load_optimizer_tensors(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Restore the result of `optimizer_tensors`."""
    memory: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        memory.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": memory, "param_groups": optimizer.state_dict()["param_groups"]})
    for weight, state in optimizer.state.items():
        for name in ("exp_avg", "exp_avg_sq"):
            # The fused step walks raw memory in the weight's layout (channels last); a moment loaded from a file has
            # the default layout and would be paired with the wrong weights.
            state[name] = torch.empty_like(weight).copy_(state[name])


def keep_freed_memory() -> bool:
    """Make glibc keep freed memory for the next step; False where there is no glibc.

    Every step frees its feature maps. If the pages go back to the system, the next step faults each of them in again:
    8,600 faults per step of 256 glyphs through a small network, 30 % of its time. Affects the whole process.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    return bool(mallopt(_M_TRIM_THRESHOLD, _NEVER) and mallopt(_M_MMAP_THRESHOLD, _MAX_MMAP_THRESHOLD_BYTES))
