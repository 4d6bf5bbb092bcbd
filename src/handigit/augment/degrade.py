"""Bad paper, bad light, bad scanners: noise, clutter, haze, blur, outlines and inverted bands, in the glyph itself.

The kinds are of the families of MNIST-C (Mu & Gilmer 2019) and of what we saw on forms, but drawn otherwise and with
random strength: no corruption that `evaluate` measures with is used here.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own abbreviation
from jaxtyping import Bool
from torch import Generator, Tensor

from handigit.augment.random import SIDE, Glyphs, between, chance, per_glyph
from handigit.augment.stroke import dilate, erode

_PLACES = torch.arange(SIDE, dtype=torch.float32)


def disturb(glyphs: Glyphs, share: float, generator: Generator) -> Glyphs:
    """A share of the glyphs, each with one disturbance; all kinds are equally likely."""
    chosen = chance(len(glyphs), share, generator)
    kinds = torch.where(chosen, torch.randint(len(DISTURBANCES), (len(glyphs),), generator=generator), -1)
    disturbed = glyphs.clone()
    for number, change in enumerate(DISTURBANCES):
        where = (kinds == number).nonzero()[:, 0].to(glyphs.device)
        if len(where):
            disturbed[where] = change(glyphs[where], generator).clamp(0, 1)
    return disturbed


def grain(glyphs: Glyphs, generator: Generator) -> Glyphs:
    """Noise on everything, and more of it where there is ink."""
    everywhere, on_ink = between(0, 0.3, glyphs, generator), between(0, 0.7, glyphs, generator)
    return glyphs + _noise(glyphs, generator) * (everywhere + on_ink * glyphs.sqrt())


def specks(glyphs: Glyphs, generator: Generator) -> Glyphs:
    """Pixels at random fully inked or fully bare."""
    draw = torch.rand(glyphs.shape, generator=generator).to(glyphs.device)
    density = between(0.01, 0.15, glyphs, generator)
    return torch.where(draw < density, 0.0, torch.where(draw > 1 - density, 1.0, glyphs))


def lines(glyphs: Glyphs, generator: Generator) -> Glyphs:
    """One or two foreign lines across: straight or wavy, whole or dashed, as ruling and neighbours leave."""
    inked = torch.maximum(glyphs, _line(glyphs, generator))
    second = per_glyph(chance(len(glyphs), 0.3, generator)).to(glyphs.device)
    return torch.where(second, torch.maximum(inked, _line(glyphs, generator)), inked)


def haze(glyphs: Glyphs, generator: Generator) -> Glyphs:
    """Faint ink under uneven light or fog."""
    knots = [torch.rand((len(glyphs), 1, size, size), generator=generator) for size in (3, 6, 12)]
    fields = [F.interpolate(knot, size=(SIDE, SIDE), mode="bilinear") for knot in knots]
    field = torch.stack(fields).mul(torch.tensor([0.55, 0.3, 0.15])[:, None, None, None, None]).sum(0)
    ink = between(0.2, 1, glyphs, generator)
    return glyphs * ink + field.to(glyphs.device) * (1 - ink) * between(0.3, 1.3, glyphs, generator)


def glare(glyphs: Glyphs, generator: Generator) -> Glyphs:
    """Brighter or paler as a whole: bare paper is no longer 0, or ink no longer 1."""
    return glyphs * between(0.4, 1.2, glyphs, generator) + between(-0.1, 0.55, glyphs, generator)


def blur(glyphs: Glyphs, generator: Generator) -> Glyphs:
    """Out of focus, or moved while taken: a Gaussian, round or stretched along any direction."""
    along, across = between(0.5, 3, glyphs, generator), between(0.4, 1.2, glyphs, generator)
    angle = between(0, math.pi, glyphs, generator)
    y, x = torch.meshgrid(torch.arange(-5.0, 6), torch.arange(-5.0, 6), indexing="ij")
    x, y = x.to(glyphs.device), y.to(glyphs.device)
    u, v = x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()
    kernels = torch.exp(-((u / along) ** 2 + (v / across) ** 2) / 2)
    kernels = kernels / kernels.sum((2, 3), keepdim=True)
    blurred = F.conv2d(glyphs.transpose(0, 1), kernels, padding=5, groups=len(glyphs)).transpose(0, 1)
    return blurred * between(1, 1.5, glyphs, generator)


def frost(glyphs: Glyphs, generator: Generator) -> Glyphs:
    """Every pixel seen from somewhere near it, as through frosted glass, then softened."""
    jitter = torch.randn((len(glyphs), SIDE, SIDE, 2), generator=generator).to(glyphs.device)
    reach = between(0.5, 1.6, glyphs, generator) * 2 / SIDE
    centres = ((_PLACES + 0.5) * 2 / SIDE - 1).to(glyphs.device)
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    seen = F.grid_sample(glyphs, torch.stack([x, y], dim=-1) + jitter * reach, align_corners=False)
    return 0.5 * (seen + F.avg_pool2d(seen, 3, stride=1, padding=1))


def inverted_band(glyphs: Glyphs, generator: Generator) -> Glyphs:
    """Inverted to one side, within a band, or outside it: the edge of another paper, a shaded box."""
    start, width = between(-10, 24, glyphs, generator), between(6, 28, glyphs, generator)
    inside = (start <= _PLACES.to(glyphs.device)) & (start + width > _PLACES.to(glyphs.device))
    inside = inside ^ per_glyph(chance(len(glyphs), 0.5, generator)).to(glyphs.device)
    inside = torch.where(_upright(glyphs, generator), inside, inside.mT)
    return torch.where(inside, 1 - glyphs, glyphs)


def outline(glyphs: Glyphs, generator: Generator) -> Glyphs:
    """Only the rims of the strokes, as hollow pens and edge filters leave them, sharp or soft."""
    smooth = F.avg_pool2d(glyphs, 3, stride=1, padding=1)
    thin, thick = smooth - erode(smooth), dilate(smooth) - erode(smooth)
    rim = torch.where(_half(glyphs, generator), 2 * thin, thick)
    return torch.where(_half(glyphs, generator), (rim > between(0.3, 0.6, glyphs, generator)).float(), rim)


def mud(glyphs: Glyphs, generator: Generator) -> Glyphs:
    """Splashes of any grey that hide what is under them; bare ones are gaps in the ink."""
    field = F.interpolate(torch.randn((len(glyphs), 1, 9, 9), generator=generator), size=(SIDE, SIDE), mode="bicubic")
    hidden = ((field.to(glyphs.device) - between(0.3, 1.1, glyphs, generator)) * 4).clamp(0, 1)
    return glyphs * (1 - hidden) + hidden * between(0, 0.8, glyphs, generator)


def coarse(glyphs: Glyphs, generator: Generator) -> Glyphs:
    """Seen in too few pixels, and half of the time those forced to ink or paper."""
    side = int(torch.randint(11, 20, (1,), generator=generator))
    small = F.interpolate(glyphs, size=(side, side), mode="area")
    binary = (small > between(0.25, 0.5, glyphs, generator)).float()
    kept = torch.where(_half(glyphs, generator), small, binary)
    return F.interpolate(kept, size=(SIDE, SIDE), mode="bilinear")


def binary(glyphs: Glyphs, generator: Generator) -> Glyphs:
    """Ink or paper, nothing between: a fax."""
    return (glyphs > between(0.15, 0.6, glyphs, generator)).float()


DISTURBANCES: tuple[Callable[[Glyphs, Generator], Glyphs], ...] = (
    grain, specks, lines, haze, glare, blur, frost, inverted_band, outline, mud, coarse, binary,
)  # fmt: skip
"""Every kind; each takes some glyphs and gives as many, not always within 0..1."""


def _line(glyphs: Glyphs, generator: Generator) -> Glyphs:
    """A line for each glyph, from side to side or from top to bottom."""
    places = _PLACES.to(glyphs.device)
    start, end = (between(0, SIDE, glyphs, generator) for _ in "ab")
    turns = places / between(4, 16, glyphs, generator) + between(0, 1, glyphs, generator)
    corners = 4 * (turns % 1 - 0.5).abs() - 1
    wave = torch.where(_half(glyphs, generator), corners, torch.sin(turns * 2 * math.pi))
    high = (between(-3.5, 3.5, glyphs, generator)).clamp(min=0)
    path = start + (end - start) * places / SIDE + high * wave
    shape = (between(1.0, 2.0, glyphs, generator) - (places[:, None] - path).abs()).clamp(0, 1)
    gaps = (places / between(1, 4, glyphs, generator) % 2 < 1) & _half(glyphs, generator)
    drawn = (shape * between(0.5, 1.2, glyphs, generator)).clamp(0, 1) * ~gaps
    return torch.where(_upright(glyphs, generator), drawn.mT, drawn)


def _noise(like: Glyphs, generator: Generator) -> Glyphs:
    return torch.randn(like.shape, generator=generator).to(like.device)


def _half(like: Glyphs, generator: Generator) -> Bool[Tensor, "n 1 1 1"]:
    """Heads or tails for each glyph."""
    return per_glyph(chance(len(like), 0.5, generator)).to(like.device)


def _upright(like: Glyphs, generator: Generator) -> Bool[Tensor, "n 1 1 1"]:
    """Whether a line or band stands rather than lies: as often as not."""
    return _half(like, generator)
