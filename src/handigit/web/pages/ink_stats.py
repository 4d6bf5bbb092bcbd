"""Ink coverage and contrast of stored crops, sampled a few per day.

A crop is measured once; the result is cached in this process.
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

# With these limits, a month of readings takes half a second.
MAX_PAGE_PX: Final = 400_000
CROPS_PER_DAY: Final = 6
_CACHED_CROPS: Final = 10_000
_MIN_CONTRAST: Final = 0.05  # below it, ink and paper cannot be separated


@dataclass(frozen=True, slots=True)
class Ink:
    """`cover`: fraction of the crop that is ink; `contrast`: how much darker the ink is than the paper, 0..1."""

    cover: float
    contrast: float


class InkMeter:
    """Measures crops; `load_picture` returns a stored page's bytes by its SHA-256."""

    def __init__(self, load_picture: Callable[[str], bytes]) -> None:
        self._load_picture = load_picture
        self.measure = lru_cache(_CACHED_CROPS)(self._measure)

    def _measure(self, crop: Crop) -> Ink | None:
        """The ink of one crop; None where the picture is missing or shows no ink."""
        try:
            page = next(iter(open_pages(self._load_picture(crop.picture))))
        except HandigitError:
            return None
        box = crop.box
        return _measure_pixels(page[max(box.top, 0) : box.bottom, max(box.left, 0) : box.right])


def _measure_pixels(crop: np.ndarray) -> Ink | None:
    if crop.size == 0:
        return None
    border, dark = cv2.threshold(crop, 0, 1, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    cover = float(dark.mean())
    if not 0 < cover < 1:
        return None
    contrast = float(crop[crop > border].mean() - crop[crop <= border].mean()) / 255
    return Ink(cover, contrast) if contrast >= _MIN_CONTRAST else None
