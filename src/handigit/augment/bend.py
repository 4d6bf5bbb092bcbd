"""Other hands: turning, shearing, scaling, shifting and warping whole batches, in one resampling."""

import math
from functools import cache

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own abbreviation
from jaxtyping import Float
from torch import Generator, Tensor

from handigit.augment.draws import SIDE, Glyphs, chance, uniform
from handigit.recipe import Recipe

FAR = 2.5
"""How many times as far `recipe.far` bends."""
_ELASTIC_KNOTS = 6  # a displacement every 28/5 px: bends a stroke without breaking it


def bend(glyphs: Glyphs, recipe: Recipe, generator: Generator) -> Glyphs:
    """Turn, shear, scale, shift and warp, in one resampling so that the ink is blurred only once."""
    count, device = len(glyphs), glyphs.device
    matrices = affine_matrices(count, recipe, generator).to(device)
    # As affine_grid does, in a seventh of its time: every output pixel's place times every matrix.
    grid = (_pixel_places().to(device) @ matrices.mT).view(count, SIDE, SIDE, 2)
    if recipe.elastic_px:
        knots = torch.randn((count, 2, _ELASTIC_KNOTS, _ELASTIC_KNOTS), generator=generator).to(device)
        spread = _knots_to_pixels().to(device)
        grid = grid + (spread @ knots @ spread.T).permute(0, 2, 3, 1) * (recipe.elastic_px * 2 / SIDE)
    return F.grid_sample(glyphs, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


@cache
def _pixel_places() -> Float[Tensor, "784 3"]:
    """(x, y, 1) of every pixel's centre, the picture spanning -1..1."""
    centres = (torch.arange(SIDE) + 0.5) * 2 / SIDE - 1
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    return torch.stack([x, y, torch.ones_like(x)], dim=-1).view(-1, 3)


@cache
def _knots_to_pixels() -> Float[Tensor, "28 knots"]:
    """Bicubic interpolation along one side, as a matrix: two products are ten times faster than `interpolate`."""
    unit = torch.eye(_ELASTIC_KNOTS)[None, None]
    return F.interpolate(unit, size=(SIDE, _ELASTIC_KNOTS), mode="bicubic", align_corners=True)[0, 0]


def affine_matrices(count: int, recipe: Recipe, generator: Generator) -> Float[Tensor, "n 2 3"]:
    """Random maps from output to input, in `affine_grid`'s units (the picture spans -1..1)."""
    angle = uniform(count, math.radians(recipe.rotation_degrees), generator)
    shear = uniform(count, recipe.shear, generator)
    sizes = [uniform(count, math.log1p(recipe.scale), generator) for _ in "xy"]
    right, down = (uniform(count, recipe.shift_px * 2 / SIDE, generator) for _ in "xy")
    if recipe.far:
        reach = torch.where(chance(count, recipe.far, generator), FAR, 1.0)
        angle, shear, right, down = angle * reach, shear * reach, right * reach, down * reach
        sizes = [size * reach for size in sizes]
    wide, high = (torch.exp(size) for size in sizes)
    cos, sin = torch.cos(angle), torch.sin(angle)
    top = torch.stack([cos * wide, (shear * cos - sin) * high, right], dim=1)
    bottom = torch.stack([sin * wide, (shear * sin + cos) * high, down], dim=1)
    return torch.stack([top, bottom], dim=1)
