"""Optimiser and schedule, from the recipe's numbers; and the optimiser's memory as named tensors."""

import copy
import ctypes
import math
import sys
from collections.abc import Iterable
from itertools import islice

import torch
from jaxtyping import Float
from torch import Tensor, nn, optim

from handigit.recipe import Recipe

Optimizer = optim.Adam | optim.AdamW


def make_optimizer(model: nn.Module, recipe: Recipe) -> Optimizer:
    """Adam or AdamW; biases and batch-norm's factors are not decayed."""
    kind = optim.AdamW if recipe.optimizer == "adamw" else optim.Adam
    weights = list(model.parameters())
    groups = [
        {"params": [w for w in weights if w.ndim >= 2], "weight_decay": recipe.weight_decay},
        {"params": [w for w in weights if w.ndim < 2], "weight_decay": 0.0},
    ]
    used = [group for group in groups if group["params"]]
    return kind(used, lr=recipe.learning_rate, betas=(recipe.beta1, recipe.beta2), fused=True)


def set_learning_rate(optimizer: Optimizer, recipe: Recipe, *, step: int, total: int) -> float:
    """Give the optimiser the learning rate of this step, and return it."""
    rate = recipe.learning_rate * (one_cycle(step, total, recipe.warmup) if recipe.schedule == "one_cycle" else 1.0)
    for group in optimizer.param_groups:
        group["lr"] = rate
    return rate


def one_cycle(step: int, total: int, warmup: float) -> float:
    """Share of the highest learning rate: a linear rise over `warmup` of the steps, then a cosine down to 0."""
    rise = warmup * total
    if step < rise:
        return (step + 1) / (rise + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1.0, total - rise)))


def optimizer_state(optimizer: Optimizer) -> dict[str, Tensor]:
    """The moments and step counts, by the weight's place and their own name."""
    state = optimizer.state_dict()["state"]
    return {f"{place}.{name}": value for place, memory in state.items() for name, value in memory.items()}


def restore_optimizer(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what `optimizer_state` gave."""
    memory: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        place, name = key.split(".", 1)
        memory.setdefault(int(place), {})[name] = value
    optimizer.load_state_dict({"state": memory, "param_groups": optimizer.state_dict()["param_groups"]})
    for weight, state in optimizer.state.items():
        for name in ("exp_avg", "exp_avg_sq"):
            # The fused step walks memory as the weight lies in it, channels last included; a moment read back from a
            # file lies otherwise, and each number would meet another's.
            state[name] = torch.empty_like(weight).copy_(state[name])


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # mallopt(3)
_NEVER = -1
_LARGEST_MMAP_THRESHOLD = 32 * 2**20  # glibc takes no higher one


def keep_freed_memory() -> bool:
    """Ask glibc to keep freed memory for the next step instead of giving it back; False where there is no glibc.

    Every step frees its feature maps. Given back to the system, each page of them is faulted in anew at the next step:
    8,600 faults a step of 256 glyphs through a small network, 30 % of its time. This holds for the whole process.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    return bool(mallopt(_TRIM_THRESHOLD, _NEVER) and mallopt(_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD))


_BATCH_NORM = (nn.BatchNorm1d, nn.BatchNorm2d)


class Average:
    """A copy of a network that follows it (Polyak & Juditsky 1992; exponential, as Tarvainen & Valpola 2017)."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        """`decay` is the share of the old average that stays at each step."""
        self.model = copy.deepcopy(model).requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move the average a little towards `model`; early steps move it further, so that it forgets its start."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        pairs = zip(self.model.parameters(), model.parameters(), strict=True)
        for mean, new in pairs:
            mean.lerp_(new, weight)


@torch.no_grad()
def estimate_batch_norm(model: nn.Module, batches: Iterable[Float[Tensor, "n 1 h w"]], *, count: int) -> None:
    """Replace batch-norm's running statistics by their plain mean over `count` batches.

    Averaged weights make other feature maps than those the statistics were gathered on (Izmailov et al. 2018, SWA).
    """
    layers = [layer for layer in model.modules() if isinstance(layer, _BATCH_NORM)]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # torch's way to ask for a plain mean
    model.train()
    for glyphs in islice(batches, max(1, count)):
        model(glyphs)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
