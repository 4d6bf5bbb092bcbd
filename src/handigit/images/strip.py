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
_UPRIGHT, _LEVEL = 0.7, 0.5
"""Fractions of the strip's height and width from which a straight run of ink is a rule or a border."""
_MAX_ROWS: Final = 0.55
"""Fraction of the strip's height up to which its writing is low."""
_MIN_PART: Final = 0.5
"""Height of a part of the writing, relative to its tallest, below which it is a speck or a separator."""
_MARGIN: Final = 0.25
"""Margin that a closer strip leaves above and below, in heights of the writing."""
_DARKEST, _BRIGHTEST = 0.005, 0.95
"""Quantiles of the grey levels that become -1 and 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """Pixels in -1..1, paper bright.

    `scale`: crop pixels per strip pixel, across and down; `top`: the first row of the crop.
    """

    pixels: Float32[np.ndarray, "48 width"]
    scale: tuple[float, float]
    top: float = 0.0

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
        return Strip(np.asarray(pixels, np.float32), (self.scale[0] * self.width / width, self.scale[1]), self.top)

    def writing_rows(self) -> tuple[float, float] | None:
        """Where the writing begins and ends, as fractions of the height; None without any.

        Straight runs of ink across the strip are rules or borders; parts lower than half the tallest do not count.
        """
        mask = (self.pixels < 0).view(np.uint8)
        upright = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((round(_UPRIGHT * STRIP_PX), 1), np.uint8))
        level = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((1, max(8, round(_LEVEL * self.width))), np.uint8))
        rules = cv2.dilate(cv2.bitwise_or(upright, level), np.ones((3, 3), np.uint8))
        parts = cv2.connectedComponentsWithStats(cv2.subtract(mask, rules), connectivity=8)[2][1:]
        if not len(parts):
            return None
        tops, heights = parts[:, cv2.CC_STAT_TOP], parts[:, cv2.CC_STAT_HEIGHT]
        counted = heights >= _MIN_PART * heights.max()
        return float(tops[counted].min()) / STRIP_PX, float((tops + heights)[counted].max()) / STRIP_PX

    def box_of(self, part: tuple[float, float, float, float], *, size: tuple[int, int]) -> Box:
        """A part of the strip (left, top, right, bottom) in a crop of that height and width."""
        left, top, right, bottom = part
        height, width = size
        x0, y0 = min(int(left * self.scale[0]), width - 1), min(int(self.top + top * self.scale[1]), height - 1)
        x1, y1 = int(np.ceil(right * self.scale[0])), int(np.ceil(self.top + bottom * self.scale[1]))
        return Box(x0, y0, min(max(x1, x0 + 1), width), min(max(y1, y0 + 1), height))


def make_strip(crop: UInt8[np.ndarray, "height width"], *, size: tuple[int, int] | None = None) -> Strip:
    """The strip of a crop, ink dark on light; `size` (height, width) is the crop's own unless it was reduced before."""
    return _strip_of_rows(crop, (0, crop.shape[0]), size or (crop.shape[0], crop.shape[1]))


def make_closer_strip(
    crop: UInt8[np.ndarray, "height width"], strip: Strip, *, size: tuple[int, int] | None = None
) -> Strip | None:
    """The strip of the rows around the writing of a crop and its strip, if that is low; `size` as in `make_strip`."""
    rows = strip.writing_rows()
    if rows is None or rows[1] - rows[0] > _MAX_ROWS:
        return None
    margin, height = _MARGIN * (rows[1] - rows[0]), crop.shape[0]
    first = int(max(0.0, rows[0] - margin) * height)
    last = int(np.ceil(min(1.0, rows[1] + margin) * height))
    return _strip_of_rows(crop, (first, max(last, first + 1)), size or (height, crop.shape[1]))


def _strip_of_rows(crop: UInt8[np.ndarray, "height width"], rows: tuple[int, int], size: tuple[int, int]) -> Strip:
    first, last = rows
    grey = scale_to_strip(crop[first:last])
    down = size[0] / crop.shape[0]
    return Strip(stretch_contrast(grey), (size[1] / grey.shape[1], (last - first) * down / STRIP_PX), first * down)


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
