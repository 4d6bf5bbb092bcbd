"""Lines as they would look in another hand and found a little otherwise: bent, thicker, shifted, leaning, noisier."""

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own abbreviation
from jaxtyping import Float
from torch import Generator, Tensor

from handigit.augment.stroke import change_stroke

_KNOT_PX = 7.0
"""Between two places of a line that are moved apart from one another: about a third of a digit's height."""
_MOST_BENT_PX = 1.2
"""Standard deviation of those moves in the lines that are bent most."""
_OTHER_PENS = 0.2
"""Share of the lines whose strokes are made thicker or thinner."""


def jitter(lines: Float[Tensor, "n 1 32 w"], generator: Generator) -> Float[Tensor, "n 1 32 w"]:
    """Each line changed for itself; nothing leaves the line at its right, for lines are never made longer."""
    n, _, height, width = lines.shape

    def draw(low: float, high: float) -> Float[Tensor, " n"]:
        return low + (high - low) * torch.rand(n, generator=generator)

    # The grid says where each pixel of the new line lies in the old one, in -1..1; anchored at the left end.
    theta = torch.zeros(n, 2, 3)
    across = 1 / draw(0.86, 1.0)
    lean = draw(-0.18, 0.18) * height / width
    theta[:, 0, 0], theta[:, 0, 1], theta[:, 0, 2] = across, lean, across - 1
    theta[:, 1, 0], theta[:, 1, 1] = draw(-0.03, 0.03) * width / height, 1 / draw(0.85, 1.2)
    theta[:, 1, 2] = draw(-2.5, 2.5) * 2 / height
    grid = F.affine_grid(theta, [n, 1, height, width], align_corners=False)
    grid = grid + _bends(draw(0, _MOST_BENT_PX), height, width, generator)
    moved = change_stroke(F.grid_sample(lines, grid, align_corners=False), _OTHER_PENS, generator)
    power = draw(0.7, 1.5)[:, None, None, None]
    noise = draw(-0.12, 0.06).clamp(min=0)[:, None, None, None] * torch.randn(moved.shape, generator=generator)
    return (moved.clamp(min=1e-4) ** power + noise).clamp(0, 1)


def _bends(
    strengths_px: Float[Tensor, " n"], height: int, width: int, generator: Generator
) -> Float[Tensor, "n height width 2"]:
    """Where to look instead, in units of a grid: smooth fields that bend strokes, each line's as far as told."""
    knots = 2 + round(height / _KNOT_PX), 2 + round(width / _KNOT_PX)
    moves = torch.randn(len(strengths_px), 2, *knots, generator=generator) * strengths_px[:, None, None, None]
    fields = F.interpolate(moves, size=(height, width), mode="bicubic", align_corners=True)
    return fields.permute(0, 2, 3, 1) * torch.tensor([2 / width, 2 / height])
