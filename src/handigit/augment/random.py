"""Random numbers and masks per glyph, from the generator passed in."""

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Generator, Tensor

Glyphs = Float[Tensor, "n 1 28 28"]
"""A batch: ink bright on 0, within 0..1."""
SIDE = 28


def uniform(count: int, limit: float, generator: Generator) -> Float[Tensor, " n"]:
    """Uniform numbers within -limit..limit."""
    return (torch.rand(count, generator=generator) * 2 - 1) * limit


def between(low: float, high: float, like: Glyphs, generator: Generator) -> Float[Tensor, "n 1 1 1"]:
    """One uniform number per glyph, within low..high."""
    return per_glyph(low + torch.rand(len(like), generator=generator) * (high - low)).to(like.device)


def chance(count: int, p: float, generator: Generator) -> Bool[Tensor, " n"]:
    """Random mask: each entry True with probability `p`."""
    return torch.rand(count, generator=generator) < p


def per_glyph(values: Shaped[Tensor, " n"]) -> Shaped[Tensor, "n 1 1 1"]:
    """One value per glyph, in a shape that broadcasts over a batch."""
    return values[:, None, None, None]
