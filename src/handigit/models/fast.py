"""A network for fast training: a fixed first layer, then three trained ones; 153,110 weights, 588 of them fixed."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from handigit.models.blocks import conv_bn

_BORDER_PX = 2  # MNIST's ink is 20 px long and centred by mass: the border costs time and holds little
_DIRECTIONS = 6
_SIGMA_PX = 1.3


class Fast(nn.Module):
    """Fixed filters for edges and lines at stride 2, one learnt convolution at stride 2, dense 128.

    First layers learn oriented filters anyway, so these are fixed: no gradient has to reach the largest maps, where a
    small network spends most of its training time.
    """

    PAPER = "ours; fixed oriented filters after Freeman & Adelson 1991, The design and use of steerable filters"

    def __init__(self) -> None:
        super().__init__()
        filters = oriented_filters(_DIRECTIONS, side=7, sigma=_SIGMA_PX)
        stem = nn.Conv2d(1, len(filters), 7, stride=2, padding=3, bias=False).requires_grad_(False)
        stem.weight.copy_(filters)
        self.maps = nn.Sequential(
            stem, nn.ReLU(inplace=True), conv_bn(len(filters), 32, stride=2), nn.ReLU(),
        )  # fmt: skip
        self.dense = nn.Sequential(
            nn.Linear(6 * 6 * 32, 128, bias=False), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, 10),
        )  # fmt: skip

    def forward(self, glyphs: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, "n 10"]:
        """Logits of the ten digits."""
        inner = glyphs[:, :, _BORDER_PX:-_BORDER_PX, _BORDER_PX:-_BORDER_PX]
        maps: Tensor = self.maps(inner.contiguous(memory_format=torch.channels_last))
        # Flattened in the layout of memory: otherwise the gradient comes back in another one, and the backward pass of
        # ReLU alone takes a sixth of a step.
        logits: Tensor = self.dense(maps.permute(0, 2, 3, 1).flatten(1))
        return logits


def oriented_filters(directions: int, *, side: int, sigma: float) -> Float[Tensor, "filters 1 side side"]:
    """Edges in every direction, then bright and dark lines in every orientation: two filters per direction, of norm 1.

    They are first and second derivatives of a Gaussian of `sigma` px. The opposite direction gives an edge's negative;
    a line is symmetric, so the second half of the directions gets its negative.
    """
    at = torch.arange(side) - (side - 1) / 2
    angles = torch.arange(directions)[:, None, None] * (2 * math.pi / directions)
    across = (at[None, None, :] * torch.cos(angles) + at[None, :, None] * torch.sin(angles)) / sigma
    gauss = torch.exp(-(at[:, None] ** 2 + at[None, :] ** 2) / (2 * sigma**2))
    lines = gauss * (1 - across**2)
    lines = lines - lines.mean(dim=(1, 2), keepdim=True)
    lines[directions // 2 :] *= -1
    filters = torch.cat([gauss * across, lines])
    return nn.functional.normalize(filters.flatten(1)).view(-1, 1, side, side)
