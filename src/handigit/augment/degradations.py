"""Poor paper, light and scanners, applied to glyphs: noise, clutter, haze, blur, outlines, inverted bands.

The kinds follow MNIST-C's families (Mu & Gilmer 2019) and defects seen on forms, with other definitions and random
strength: none of the corruptions that `evaluate` measures with is used for training.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own abbreviation
from jaxtyping import Bool
from torch import Generator, Tensor

from handigit.augment.geometry import dilate, erode
from handigit.augment.random import SIDE, Glyphs, between, chance, per_glyph

_COORDINATES = torch.arange(SIDE, dtype=torch.float32)


def apply_degradations(glyphs: Glyphs, fraction: float, generator: Generator) -> Glyphs:
    """Degrade a fraction of the glyphs, each in one way; all kinds are equally likely."""
    selected = chance(len(glyphs), fraction, generator)
    kinds = torch.where(selected, torch.randint(len(DEGRADATIONS), (len(glyphs),), generator=generator), -1)
    degraded = glyphs.clone()
    for kind, change in enumerate(DEGRADATIONS):
        indices = (kinds == kind).nonzero()[:, 0].to(glyphs.device)
        if len(indices):
            degraded[indices] = change(glyphs[indices], generator).clamp(0, 1)
    return degraded


def grain(glyphs: Glyphs, generator: Generator) -> Glyphs:
    """Noise everywhere, more of it on ink."""
    everywhere, on_ink = between(0, 0.3, glyphs, generator), between(0, 0.7, glyphs, generator)
    return glyphs + _noise(glyphs, generator) * (everywhere + on_ink * glyphs.sqrt())


def specks(glyphs: Glyphs, generator: Generator) -> Glyphs:
    """Random pixels set to ink or paper."""
    draw = torch.rand(glyphs.shape, generator=generator).to(glyphs.device)
    density = between(0.01, 0.15, glyphs, generator)
    return torch.where(draw < density, 0.0, torch.where(draw > 1 - density, 1.0, glyphs))


def lines(glyphs: Glyphs, generator: Generator) -> Glyphs:
    """One or two lines across: straight or wavy, solid or dashed, as from ruling and neighbours."""
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
    """Brighter or paler overall: bare paper above 0, or ink below 1."""
    return glyphs * between(0.4, 1.2, glyphs, generator) + between(-0.1, 0.55, glyphs, generator)


def blur(glyphs: Glyphs, generator: Generator) -> Glyphs:
    """Out of focus or in motion: a Gaussian, round or stretched in any direction."""
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
    """Each pixel taken from a random neighbour, as through frosted glass, then softened."""
    jitter = torch.randn((len(glyphs), SIDE, SIDE, 2), generator=generator).to(glyphs.device)
    reach = between(0.5, 1.6, glyphs, generator) * 2 / SIDE
    centres = ((_COORDINATES + 0.5) * 2 / SIDE - 1).to(glyphs.device)
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    seen = F.grid_sample(glyphs, torch.stack([x, y], dim=-1) + jitter * reach, align_corners=False)
    return 0.5 * (seen + F.avg_pool2d(seen, 3, stride=1, padding=1))


def inverted_band(glyphs: Glyphs, generator: Generator) -> Glyphs:
    """Inverted on one side, within a band, or outside it: the edge of another sheet, a shaded box."""
    start, width = between(-10, 24, glyphs, generator), between(6, 28, glyphs, generator)
    inside = (start <= _COORDINATES.to(glyphs.device)) & (start + width > _COORDINATES.to(glyphs.device))
    inside = inside ^ per_glyph(chance(len(glyphs), 0.5, generator)).to(glyphs.device)
    inside = torch.where(_half(glyphs, generator), inside, inside.mT)
    return torch.where(inside, 1 - glyphs, glyphs)


def outline(glyphs: Glyphs, generator: Generator) -> Glyphs:
    """Only the rims of the strokes, sharp or soft, as from edge filters."""
    smooth = F.avg_pool2d(glyphs, 3, stride=1, padding=1)
    thin, thick = smooth - erode(smooth), dilate(smooth) - erode(smooth)
    rim = torch.where(_half(glyphs, generator), 2 * thin, thick)
    return torch.where(_half(glyphs, generator), (rim > between(0.3, 0.6, glyphs, generator)).float(), rim)


def mud(glyphs: Glyphs, generator: Generator) -> Glyphs:
    """Opaque grey splashes; bare ones are gaps in the ink."""
    field = F.interpolate(torch.randn((len(glyphs), 1, 9, 9), generator=generator), size=(SIDE, SIDE), mode="bicubic")
    hidden = ((field.to(glyphs.device) - between(0.3, 1.1, glyphs, generator)) * 4).clamp(0, 1)
    return glyphs * (1 - hidden) + hidden * between(0, 0.8, glyphs, generator)


def coarse(glyphs: Glyphs, generator: Generator) -> Glyphs:
    """Downscaled and back; half of the time forced to ink or paper."""
    side = int(torch.randint(11, 20, (1,), generator=generator))
    small = F.interpolate(glyphs, size=(side, side), mode="area")
    binary = (small > between(0.25, 0.5, glyphs, generator)).float()
    mixed = torch.where(_half(glyphs, generator), small, binary)
    return F.interpolate(mixed, size=(SIDE, SIDE), mode="bilinear")


def binary(glyphs: Glyphs, generator: Generator) -> Glyphs:
    """Only ink or paper, as from a fax."""
    return (glyphs > between(0.15, 0.6, glyphs, generator)).float()


DEGRADATIONS: tuple[Callable[[Glyphs, Generator], Glyphs], ...] = (
    grain, specks, lines, haze, glare, blur, frost, inverted_band, outline, mud, coarse, binary,
)  # fmt: skip
"""Every kind; results may leave 0..1."""


def _line(glyphs: Glyphs, generator: Generator) -> Glyphs:
    """One line per glyph, from side to side or from top to bottom."""
    positions = _COORDINATES.to(glyphs.device)
    start, end = (between(0, SIDE, glyphs, generator) for _ in "ab")
    turns = positions / between(4, 16, glyphs, generator) + between(0, 1, glyphs, generator)
    corners = 4 * (turns % 1 - 0.5).abs() - 1
    wave = torch.where(_half(glyphs, generator), corners, torch.sin(turns * 2 * math.pi))
    high = (between(-3.5, 3.5, glyphs, generator)).clamp(min=0)
    path = start + (end - start) * positions / SIDE + high * wave
    shape = (between(1.0, 2.0, glyphs, generator) - (positions[:, None] - path).abs()).clamp(0, 1)
    gaps = (positions / between(1, 4, glyphs, generator) % 2 < 1) & _half(glyphs, generator)
    drawn = (shape * between(0.5, 1.2, glyphs, generator)).clamp(0, 1) * ~gaps
    return torch.where(_half(glyphs, generator), drawn.mT, drawn)


def _noise(like: Glyphs, generator: Generator) -> Glyphs:
    return torch.randn(like.shape, generator=generator).to(like.device)


def _half(like: Glyphs, generator: Generator) -> Bool[Tensor, "n 1 1 1"]:
    """A random mask of half of the glyphs."""
    return per_glyph(chance(len(like), 0.5, generator)).to(like.device)


def erase(glyphs: Glyphs, fraction: float, generator: Generator) -> Glyphs:
    """Erase a rectangle with sides of 3 to 8 pixels in a fraction of the glyphs."""
    count = len(glyphs)
    selected = per_glyph(chance(count, fraction, generator))
    sides = torch.randint(3, 9, (count, 2), generator=generator)
    corners = (torch.rand(count, 2, generator=generator) * (SIDE - sides + 1)).long()
    rows, columns = torch.arange(SIDE)[None, :, None], torch.arange(SIDE)[None, None, :]
    top, left, high, wide = (part[:, None, None] for part in (*corners.unbind(1), *sides.unbind(1)))
    inside = (rows >= top) & (rows < top + high) & (columns >= left) & (columns < left + wide)
    return glyphs.masked_fill((inside[:, None] & selected).to(glyphs.device), 0.0)
