"""Other hands and pens: whole batches rotated, sheared, scaled, shifted and warped; strokes thicker or thinner."""

import math
from functools import cache

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own abbreviation
from jaxtyping import Float
from torch import Generator, Tensor

from handigit.augment.random import SIDE, Glyphs, chance, per_glyph, uniform
from handigit.recipe import Recipe

FAR = 2.5
"""Factor on all strengths for the fraction `recipe.far` of the glyphs."""
_ELASTIC_KNOTS = 6  # a displacement every 28/5 px: bends a stroke without breaking it
Pictures = Float[Tensor, "n 1 h w"]
"""Glyphs or lines: a batch, ink bright on 0."""


def warp(glyphs: Glyphs, recipe: Recipe, generator: Generator) -> Glyphs:
    """Rotate, shear, scale, shift and warp, in one resampling so that the ink is blurred only once."""
    count = len(glyphs)
    parameters, to_grid = affine_matrices(count, recipe, generator).view(count, -1), _affine_map()
    if recipe.elastic_px:
        knots = torch.randn((count, 2 * _ELASTIC_KNOTS**2), generator=generator) * (recipe.elastic_px * 2 / SIDE)
        parameters, to_grid = torch.cat([parameters, knots], dim=1), _elastic_map()
    # Source positions are linear in a glyph's few parameters, so one matrix product serves the whole batch.
    grid = (parameters.to(glyphs.device) @ to_grid.to(glyphs.device)).view(count, SIDE, SIDE, 2)
    return F.grid_sample(glyphs, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


@cache
def _affine_map() -> Float[Tensor, "6 1568"]:
    """Map from a 2x3 matrix to (x, y) of every output pixel, as `affine_grid` does; the picture spans -1..1."""
    centres = (torch.arange(SIDE) + 0.5) * 2 / SIDE - 1
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    return _for_both_axes(torch.stack([x, y, torch.ones_like(x)]))


@cache
def _elastic_map() -> Float[Tensor, "parameters 1568"]:
    """Map from a 2x3 matrix and the knots' displacements in x, then in y, interpolated bicubically."""
    unit = torch.eye(_ELASTIC_KNOTS)[None, None]
    spread = F.interpolate(unit, size=(SIDE, _ELASTIC_KNOTS), mode="bicubic", align_corners=True)[0, 0]
    knots = torch.einsum("ya,xb->abyx", spread, spread).reshape(-1, SIDE, SIDE)
    return torch.cat([_affine_map(), _for_both_axes(knots)])


def _for_both_axes(fields: Float[Tensor, "fields 28 28"]) -> Float[Tensor, "twice 1568"]:
    """The fields as displacements in x, then as displacements in y."""
    zeros = torch.zeros_like(fields)
    return torch.cat([torch.stack([fields, zeros], dim=-1), torch.stack([zeros, fields], dim=-1)]).flatten(1)


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


def change_stroke(pictures: Pictures, fraction: float, generator: Generator) -> Pictures:
    """Blend a fraction of the pictures with their dilation or, as often, with their erosion."""
    selected, thicker = (per_glyph(chance(len(pictures), p, generator)) for p in (fraction, 0.5))
    amount = per_glyph(torch.rand(len(pictures), generator=generator)).to(pictures.device)
    dilated, eroded = dilate(pictures), erode(pictures)
    # Erosion by a full pixel on either side would erase thin strokes, so it is halved.
    target = torch.where(thicker.to(pictures.device), dilated, 0.5 * (pictures + eroded))
    return torch.where(selected.to(pictures.device), pictures + amount * (target - pictures), pictures)


def dilate(pictures: Pictures) -> Pictures:
    """The brightest of each pixel's 3x3 neighbours; shifted copies are ten times faster than `max_pool2d`."""
    wide = F.pad(pictures, (1, 1, 0, 0), mode="replicate")
    wide = torch.maximum(torch.maximum(wide[..., :-2], wide[..., 1:-1]), wide[..., 2:])
    high = F.pad(wide, (0, 0, 1, 1), mode="replicate")
    return torch.maximum(torch.maximum(high[..., :-2, :], high[..., 1:-1, :]), high[..., 2:, :])


def erode(pictures: Pictures) -> Pictures:
    """The darkest of each pixel's 3x3 neighbours."""
    return -dilate(-pictures)
