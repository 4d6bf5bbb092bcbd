"""The moving average of a network's weights, which scores better than the last weights do."""

import copy
from collections.abc import Iterable
from itertools import islice

import torch
from jaxtyping import Float
from torch import Tensor, nn

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
