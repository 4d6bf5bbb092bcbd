"""What every augmentation draws with: numbers and choices a glyph, from the generator that is handed in."""

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Generator, Tensor

Glyphs = Float[Tensor, "n 1 28 28"]
"""A batch: ink bright on 0, within 0..1."""
SIDE = 28


def uniform(count: int, most: float, generator: Generator) -> Float[Tensor, " n"]:
    """Numbers evenly within -most..most."""
    return (torch.rand(count, generator=generator) * 2 - 1) * most


def between(low: float, high: float, like: Glyphs, generator: Generator) -> Float[Tensor, "n 1 1 1"]:
    """A number for each glyph, evenly within low..high."""
    return per_glyph(low + torch.rand(len(like), generator=generator) * (high - low)).to(like.device)


def chance(count: int, share: float, generator: Generator) -> Bool[Tensor, " n"]:
    """Which of so many are chosen."""
    return torch.rand(count, generator=generator) < share


def per_glyph(values: Shaped[Tensor, " n"]) -> Shaped[Tensor, "n 1 1 1"]:
    """One value a glyph, in the shape that a batch broadcasts with."""
    return values[:, None, None, None]
