"""Lines as they would look had the line been found a little otherwise: shifted, stretched, leaning, paler, noisier."""

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own abbreviation
from jaxtyping import Float
from torch import Generator, Tensor


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
    moved = F.grid_sample(lines, grid, align_corners=False)
    power = draw(0.7, 1.5)[:, None, None, None]
    noise = draw(-0.12, 0.06).clamp(min=0)[:, None, None, None] * torch.randn(moved.shape, generator=generator)
    return (moved.clamp(min=1e-4) ** power + noise).clamp(0, 1)
