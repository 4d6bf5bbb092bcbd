"""Optimiser and schedule, from the recipe's numbers; and the optimiser's memory as named tensors."""

import math

import torch
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
