"""Other pens: strokes made thicker, thinner, or partly wiped out, on whole batches."""

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own abbreviation
from torch import Generator

from handigit.augment.draws import SIDE, Glyphs, chance, per_glyph


def change_stroke(glyphs: Glyphs, share: float, generator: Generator) -> Glyphs:
    """Blend a share of the glyphs with their dilation or, as often, with their erosion."""
    chosen, thicker = (per_glyph(chance(len(glyphs), p, generator)) for p in (share, 0.5))
    amount = per_glyph(torch.rand(len(glyphs), generator=generator)).to(glyphs.device)
    dilated, eroded = dilate(glyphs), erode(glyphs)
    # Erosion by a full pixel on either side would wipe out thin pens, so it goes half as far.
    target = torch.where(thicker.to(glyphs.device), dilated, 0.5 * (glyphs + eroded))
    return torch.where(chosen.to(glyphs.device), glyphs + amount * (target - glyphs), glyphs)


def dilate(glyphs: Glyphs) -> Glyphs:
    """The brightest of each pixel's 3x3 neighbours; shifted copies are ten times faster than `max_pool2d`."""
    wide = F.pad(glyphs, (1, 1, 0, 0), mode="replicate")
    wide = torch.maximum(torch.maximum(wide[..., :-2], wide[..., 1:-1]), wide[..., 2:])
    high = F.pad(wide, (0, 0, 1, 1), mode="replicate")
    return torch.maximum(torch.maximum(high[..., :-2, :], high[..., 1:-1, :]), high[..., 2:, :])


def erode(glyphs: Glyphs) -> Glyphs:
    """The darkest of each pixel's 3x3 neighbours."""
    return -dilate(-glyphs)


def erase(glyphs: Glyphs, share: float, generator: Generator) -> Glyphs:
    """Wipe out a rectangle of 3 to 8 pixels a side in a share of the glyphs."""
    count = len(glyphs)
    chosen = per_glyph(chance(count, share, generator))
    sides = torch.randint(3, 9, (count, 2), generator=generator)
    corners = (torch.rand(count, 2, generator=generator) * (SIDE - sides + 1)).long()
    rows, columns = torch.arange(SIDE)[None, :, None], torch.arange(SIDE)[None, None, :]
    top, left, high, wide = (part[:, None, None] for part in (*corners.unbind(1), *sides.unbind(1)))
    inside = (rows >= top) & (rows < top + high) & (columns >= left) & (columns < left + wide)
    return glyphs.masked_fill((inside[:, None] & chosen).to(glyphs.device), 0.0)
