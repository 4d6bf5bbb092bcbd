"""Batched augmentation, on tensors: whole batches are bent, thickened and erased at once.

It knows only how much to change (the recipe's numbers), not when or why. Everything random comes from the generator
it is handed, so the same generator state gives the same batch.
"""

import math
from functools import cache

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own abbreviation
from jaxtyping import Float
from torch import Generator, Tensor

from handigit.recipe import Recipe

Glyphs = Float[Tensor, "n 1 28 28"]
SIDE = 28
_ELASTIC_KNOTS = 6  # a displacement every 28/5 px: bends a stroke without breaking it


def augment(glyphs: Glyphs, recipe: Recipe, generator: Generator) -> Glyphs:
    """Glyphs as other hands and pens could have made them; ink stays bright on 0, values in 0..1."""
    if recipe.stroke:
        glyphs = change_stroke(glyphs, recipe.stroke, generator)
    if recipe.rotation_degrees or recipe.shear or recipe.scale or recipe.shift_px or recipe.elastic_px:
        glyphs = bend(glyphs, recipe, generator)
    if recipe.erase:
        glyphs = erase(glyphs, recipe.erase, generator)
    return glyphs


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
    angle = _uniform(count, math.radians(recipe.rotation_degrees), generator)
    shear = _uniform(count, recipe.shear, generator)
    wide, high = (torch.exp(_uniform(count, math.log1p(recipe.scale), generator)) for _ in "xy")
    right, down = (_uniform(count, recipe.shift_px * 2 / SIDE, generator) for _ in "xy")
    cos, sin = torch.cos(angle), torch.sin(angle)
    top = torch.stack([cos * wide, (shear * cos - sin) * high, right], dim=1)
    bottom = torch.stack([sin * wide, (shear * sin + cos) * high, down], dim=1)
    return torch.stack([top, bottom], dim=1)


def change_stroke(glyphs: Glyphs, share: float, generator: Generator) -> Glyphs:
    """Blend a share of the glyphs with their dilation or, as often, with their erosion."""
    chosen, thicker = _chance(len(glyphs), share, generator), _chance(len(glyphs), 0.5, generator)
    amount = torch.rand(len(glyphs), generator=generator)[:, None, None, None].to(glyphs.device)
    dilated, eroded = _dilate(glyphs), -_dilate(-glyphs)
    # Erosion by a full pixel on either side would wipe out thin pens, so it goes half as far.
    target = torch.where(thicker.to(glyphs.device), dilated, 0.5 * (glyphs + eroded))
    return torch.where(chosen.to(glyphs.device), glyphs + amount * (target - glyphs), glyphs)


def _dilate(glyphs: Glyphs) -> Glyphs:
    """The brightest of each pixel's 3x3 neighbours; shifted copies are ten times faster than `max_pool2d`."""
    wide = F.pad(glyphs, (1, 1, 0, 0), mode="replicate")
    wide = torch.maximum(torch.maximum(wide[..., :-2], wide[..., 1:-1]), wide[..., 2:])
    high = F.pad(wide, (0, 0, 1, 1), mode="replicate")
    return torch.maximum(torch.maximum(high[..., :-2, :], high[..., 1:-1, :]), high[..., 2:, :])


def erase(glyphs: Glyphs, share: float, generator: Generator) -> Glyphs:
    """Wipe out a rectangle of 3 to 8 pixels a side in a share of the glyphs."""
    count = len(glyphs)
    chosen = _chance(count, share, generator)
    sides = torch.randint(3, 9, (count, 2), generator=generator)
    corners = (torch.rand(count, 2, generator=generator) * (SIDE - sides + 1)).long()
    rows, columns = torch.arange(SIDE)[None, :, None], torch.arange(SIDE)[None, None, :]
    top, left, high, wide = (part[:, None, None] for part in (*corners.unbind(1), *sides.unbind(1)))
    inside = (rows >= top) & (rows < top + high) & (columns >= left) & (columns < left + wide)
    return glyphs.masked_fill((inside[:, None] & chosen).to(glyphs.device), 0.0)


def _uniform(count: int, most: float, generator: Generator) -> Float[Tensor, " n"]:
    return (torch.rand(count, generator=generator) * 2 - 1) * most


def _chance(count: int, share: float, generator: Generator) -> Tensor:
    return (torch.rand(count, generator=generator) < share)[:, None, None, None]
