"""Crop -> strip: the picture, 48 pixels high with its contrast stretched, that number models see.

Nothing is removed or straightened: the models were trained on crops with rules, cells and neighbours in them.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from handigit.records import Box

STRIP_PX: Final = 48
MAX_WIDTH_PX: Final = 1280
"""Longer strips are compressed to this width."""
MIN_PADDED_PX: Final = 128
"""Models read narrower strips padded to this width."""
_MIN_WIDTH_PX: Final = 24
_MIN_CONTRAST: Final = 64
"""Grey levels between ink and paper below which contrast is not stretched to the full range: bare paper stays bare."""
_INK_BELOW: Final = 0.5
"""Pixels of a strip that are darker than this are not paper."""
_DARKEST, _BRIGHTEST = 0.005, 0.95
"""Quantiles of the grey levels that become -1 and 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """Pixels in -1..1, paper bright; `scale`: crop pixels per strip pixel, across and down."""

    pixels: Float32[np.ndarray, "48 width"]
    scale: tuple[float, float]

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return int(self.pixels.shape[1])

    @property
    def has_ink(self) -> bool:
        """Whether anything is darker than paper; False only for bare paper."""
        return bool(self.pixels.min() < _INK_BELOW)

    @property
    def ink(self) -> Float32[np.ndarray, "48 width"]:
        """Strength of the ink, 0..1."""
        return np.asarray(np.maximum(-self.pixels, 0))

    def widened(self, factor: float) -> "Strip":
        """The same strip, stretched horizontally as far as the maximum width allows."""
        width = min(round(self.width * factor), MAX_WIDTH_PX)
        pixels = cv2.resize(self.pixels, (width, STRIP_PX), interpolation=cv2.INTER_LINEAR)
        return Strip(np.asarray(pixels, np.float32), (self.scale[0] * self.width / width, self.scale[1]))

    def box_of(self, part: tuple[float, float, float, float], *, size: tuple[int, int]) -> Box:
        """A part of the strip (left, top, right, bottom) in a crop of that height and width."""
        left, top, right, bottom = part
        height, width = size
        x0, y0 = min(int(left * self.scale[0]), width - 1), min(int(top * self.scale[1]), height - 1)
        x1, y1 = int(np.ceil(right * self.scale[0])), int(np.ceil(bottom * self.scale[1]))
        return Box(x0, y0, min(max(x1, x0 + 1), width), min(max(y1, y0 + 1), height))


def make_strip(crop: UInt8[np.ndarray, "height width"], *, size: tuple[int, int] | None = None) -> Strip:
    """The strip of a crop, ink dark on light; `size` (height, width) is the crop's own unless it was reduced before."""
    height, width = size or (crop.shape[0], crop.shape[1])
    grey = scale_to_strip(crop)
    return Strip(stretch_contrast(grey), (width / grey.shape[1], height / STRIP_PX))


def scale_to_strip(crop: UInt8[np.ndarray, "height width"]) -> UInt8[np.ndarray, "48 _"]:
    """The crop at the height of a strip."""
    height, width = crop.shape
    target = int(np.clip(round(width * STRIP_PX / height), _MIN_WIDTH_PX, MAX_WIDTH_PX))
    how = cv2.INTER_AREA if height > STRIP_PX else cv2.INTER_LINEAR
    return cv2.resize(crop, (target, STRIP_PX), interpolation=how).astype(np.uint8, copy=False)


def stretch_contrast(grey: UInt8[np.ndarray, "48 width"]) -> Float32[np.ndarray, "48 width"]:
    """Grey levels as -1..1: the darkest 0.5 % become -1 and the brightest 5 % become 1, unless contrast is very low."""
    counts = np.cumsum(np.bincount(grey.ravel(), minlength=256))
    dark, bright = (int(np.searchsorted(counts, share * counts[-1])) for share in (_DARKEST, _BRIGHTEST))
    span = max(bright - dark, _MIN_CONTRAST)
    levels = np.clip((np.arange(256, dtype=np.float32) - bright) * np.float32(2 / span) + 1, -1, 1)
    return np.asarray(levels[grey], np.float32)
