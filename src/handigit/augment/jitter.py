"""Augmentation of lines: warped, thicker or thinner, shifted, sheared, noisier."""

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own abbreviation
from jaxtyping import Float
from torch import Generator, Tensor

from handigit.augment.geometry import change_stroke

_KNOT_PX = 7.0
"""Distance of the knots of the displacement field: about a third of a digit's height."""
_MAX_WARP_PX = 1.2
"""Maximum standard deviation of the displacements."""
_STROKE_RATE = 0.2
"""Fraction of the lines whose strokes become thicker or thinner."""


def jitter(lines: Float[Tensor, "n 1 32 w"], generator: Generator) -> Float[Tensor, "n 1 32 w"]:
    """Each line augmented independently; lines never become longer, so no ink leaves them at the right."""
    n, _, height, width = lines.shape

    def draw(low: float, high: float) -> Float[Tensor, " n"]:
        return low + (high - low) * torch.rand(n, generator=generator)

    # The grid holds each new pixel's position in the old line, in -1..1, anchored at the left end.
    theta = torch.zeros(n, 2, 3)
    across = 1 / draw(0.86, 1.0)
    lean = draw(-0.18, 0.18) * height / width
    theta[:, 0, 0], theta[:, 0, 1], theta[:, 0, 2] = across, lean, across - 1
    theta[:, 1, 0], theta[:, 1, 1] = draw(-0.03, 0.03) * width / height, 1 / draw(0.85, 1.2)
    theta[:, 1, 2] = draw(-2.5, 2.5) * 2 / height
    grid = F.affine_grid(theta, [n, 1, height, width], align_corners=False)
    grid = grid + _draw_displacements(draw(0, _MAX_WARP_PX), height, width, generator)
    moved = change_stroke(F.grid_sample(lines, grid, align_corners=False), _STROKE_RATE, generator)
    power = draw(0.7, 1.5)[:, None, None, None]
    noise = draw(-0.12, 0.06).clamp(min=0)[:, None, None, None] * torch.randn(moved.shape, generator=generator)
    return (moved.clamp(min=1e-4) ** power + noise).clamp(0, 1)


def _draw_displacements(
    strengths_px: Float[Tensor, " n"], height: int, width: int, generator: Generator
) -> Float[Tensor, "n height width 2"]:
    """Smooth displacement fields of the given strengths, in units of `grid_sample`."""
    knots = 2 + round(height / _KNOT_PX), 2 + round(width / _KNOT_PX)
    moves = torch.randn(len(strengths_px), 2, *knots, generator=generator) * strengths_px[:, None, None, None]
    fields = F.interpolate(moves, size=(height, width), mode="bicubic", align_corners=True)
    return fields.permute(0, 2, 3, 1) * torch.tensor([2 / width, 2 / height])
