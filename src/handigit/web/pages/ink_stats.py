"""How much ink there is on kept pictures and how dark it is, on a few small ones a day.

It knows pixels, not where the pictures are kept. A picture is measured once; what it came to is remembered.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import cv2
import numpy as np

from handigit.errors import HandigitError
from handigit.images import open_pages
from handigit.store.statistics import Crop

LARGEST_PX: Final = 400_000
PER_DAY: Final = 6
"""Pictures are looked at up to this size, and so many a day: half a second for a month of them."""
_REMEMBERED: Final = 10_000
_FAINTEST: Final = 0.05
"""Contrast below which nothing is told apart."""


@dataclass(frozen=True, slots=True)
class Ink:
    """`cover`: the share of the crop that is ink; `contrast`: how much darker it is than its paper, 0..1."""

    cover: float
    contrast: float


class InkMeter:
    """Measures the ink of crops; `picture` gives a kept page's bytes by its SHA-256."""

    def __init__(self, picture: Callable[[str], bytes]) -> None:
        self._picture = picture
        self.of = lru_cache(_REMEMBERED)(self._of)

    def _of(self, crop: Crop) -> Ink | None:
        """The ink of one crop; None where the picture is gone or shows none."""
        try:
            page = next(iter(open_pages(self._picture(crop.picture))))
        except HandigitError:
            return None
        box = crop.box
        return _measured(page[max(box.top, 0) : box.bottom, max(box.left, 0) : box.right])


def _measured(crop: np.ndarray) -> Ink | None:
    if crop.size == 0:
        return None
    border, dark = cv2.threshold(crop, 0, 1, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    cover = float(dark.mean())
    if not 0 < cover < 1:
        return None
    contrast = float(crop[crop > border].mean() - crop[crop <= border].mean()) / 255
    return Ink(cover, contrast) if contrast >= _FAINTEST else None
