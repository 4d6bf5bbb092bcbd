"""The ways to see a page: the digit cut out of it and, where the page is as large as a glyph, its whole frame.

A picture of 28x28 may be a glyph already. Where noise, fog, clutter or an inverted band is taken for strokes, what is
cut out has the wrong size, place or polarity, while a model that withstands such things could have read the frame as
it lies. Which view is right only a model can tell: this room offers them and knows no model.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float32, UInt8

from handigit.images.glyph import FIELD_PX, INK_PX, FoundDigit, find_digit
from handigit.images.paper import polarity_is_doubtful

_LARGEST_PX: Final = INK_PX + 2
"""Longer side of a digit in a frame: 20 px as MNIST has them, and a blur."""


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """What may be read on a page: `found`, the digit cut out, None without ink; `frame`, a page as large as a glyph."""

    found: FoundDigit | None
    frame: UInt8[np.ndarray, "28 28"] | None

    @property
    def odd(self) -> bool:
        """Whether the digit cut out of a frame is larger than digits in frames are: perhaps it is not all digit."""
        box = self.found.box if self.found and self.frame is not None else None
        return box is not None and max(box.width, box.height) > _LARGEST_PX

    def others(self) -> tuple[Float32[np.ndarray, "28 28"], ...]:
        """The frame as a glyph, and with light and dark exchanged where its polarity is in doubt; none of a blank one.

        Each from its faintest to its strongest shade, so that neither brightness nor contrast matters.
        """
        if self.frame is None or not np.ptp(self.frame):
            return ()
        light = self.frame.astype(np.float32) - self.frame.min()
        light /= light.max()
        return (1 - light, light) if polarity_is_doubtful(self.frame) else (1 - light,)


def views_of(page: UInt8[np.ndarray, "height width"]) -> Views:
    """The ways to see a page that holds one digit, ink dark on light."""
    return Views(find_digit(page), page if page.shape == (FIELD_PX, FIELD_PX) else None)
