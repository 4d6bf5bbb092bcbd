"""Smaller copies of a picture, and whether its ink is darker or lighter than its paper."""

import math
from functools import lru_cache
from typing import Final, cast

import cv2
import numpy as np
from jaxtyping import UInt8

GLANCE_PX: Final = 192
"""Longer side at which the polarity of a larger picture is judged."""
READING_PX: Final = 16_000_000
"""Pixels at which a larger picture is read: A3 at 300 dpi. Each copy of an A3 scan at 600 dpi would take 70 MB."""
_KEPT: Final = 64
"""Reduced pictures whose polarity is kept, 2 MB at most."""
_MAX_STROKE: Final = 0.24
"""Half the width of the thickest strokes of a digit cut to its box, as a fraction of the longer side."""
_LEVEL: Final = 0.25
"""Maximum interquartile range of a level shade as a fraction of its distance to the other shade."""
_DOUBTFUL: Final = 0.7
"""Minimum vote margin (of 2) for a polarity decision on a crop. No MNIST training image has less, of our drawn
non-digits one in 200; of MNIST's with both sides inverted all but 0.3 %, of those in fog one in five."""
_FAINT: Final = 0.12
"""Fraction of a picture's range of brightness below which a difference is ignored."""


def downscale(grey: UInt8[np.ndarray, "height width"], longest_px: int) -> UInt8[np.ndarray, "h w"]:
    """The picture reduced by area averaging to at most `longest_px`; a smaller one unchanged."""
    height, width = grey.shape
    scale = longest_px / max(height, width)
    if scale >= 1:
        return grey
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cast("np.ndarray", cv2.resize(grey, size, interpolation=cv2.INTER_AREA))


def reduce_large(page: UInt8[np.ndarray, "height width"]) -> UInt8[np.ndarray, "h w"]:
    """The page reduced to about `READING_PX`; a smaller one unchanged."""
    return downscale(page, math.floor(max(page.shape) * min(1.0, math.sqrt(READING_PX / page.size))))


def polarity_is_doubtful(crop: UInt8[np.ndarray, "height width"]) -> bool:
    """Whether the ink in a crop of one character could be either of the two shades."""
    return abs(dark_ink_votes(downscale(crop, GLANCE_PX))) < _DOUBTFUL


def dark_ink_votes(grey: UInt8[np.ndarray, "height width"]) -> float:
    """How clearly the ink is the darker of the two shades; below 0 it is the lighter.

    Paper is the shade that covers most of the picture, has room for larger discs (strokes are thin), and covers the
    border. In a photo, where both shades have room for large discs or neither is level, one of them may be a shadow
    or a table; then the sign of small differences from the surroundings counts. Each criterion alone fails
    somewhere (border on photos of paper on a table, area on thick digits cut to their box).
    """
    return _votes(grey.tobytes(), grey.shape)


@lru_cache(maxsize=_KEPT)
def _votes(pixels: bytes, shape: tuple[int, int]) -> float:
    """The votes of a reduced picture; kept, because they are asked for when it is opened and when it is read."""
    grey = np.frombuffer(pixels, np.uint8).reshape(shape)
    _, light = cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    height, width = grey.shape
    count = cv2.countNonZero(light)
    if count in (0, grey.size):
        return np.inf
    room_light = float(cv2.distanceTransform(light, cv2.DIST_L2, 3).max())
    room_dark = float(cv2.distanceTransform(1 - light, cv2.DIST_L2, 3).max())
    votes = count / grey.size - 0.5 + (room_light - room_dark) / (room_light + room_dark)
    if min(room_light, room_dark) < _MAX_STROKE * max(height, width) and _is_two_tone(grey, light, count):
        inner = light[1:-1, 1:-1]
        return votes + (count - cv2.countNonZero(inner)) / max(grey.size - inner.size, 1) - 0.5
    # A photo counts as dark on light unless there is clear evidence against; a blank half in shadow is none.
    return 0.4 * votes + 2 * _contrast_skew(grey) + 0.4


def _is_two_tone(grey: UInt8[np.ndarray, "height width"], light: UInt8[np.ndarray, "height width"], count: int) -> bool:
    """Whether the more frequent shade is one level compared with the distance to the other."""
    counts = histogram(grey, light if 2 * count > grey.size else 1 - light).cumsum()
    lower, upper = np.searchsorted(counts, (0.25 * counts[-1], 0.75 * counts[-1]))
    contrast = cv2.mean(grey, light)[0] - cv2.mean(grey, 1 - light)[0]
    return bool(upper - lower <= _LEVEL * contrast)


def _contrast_skew(grey: UInt8[np.ndarray, "height width"]) -> float:
    """+1 if everything that differs from its surroundings is darker, -1 if brighter: skewness about the median."""
    window = max(max(grey.shape) // 3, 3) | 1
    rim = min(window // 2, (min(grey.shape) - 1) // 2)  # where the median sees the border repeated
    inner = np.s_[rim : grey.shape[0] - rim, rim : grey.shape[1] - rim]
    contrast = cv2.subtract(cv2.medianBlur(grey, window)[inner], grey[inner], dtype=cv2.CV_32F)
    contrast[np.abs(contrast) < _FAINT * np.ptp(grey)] = 0  # grain, and the soft edge of a shadow
    cubes = contrast * contrast * contrast
    return float(cubes.sum() / (np.abs(cubes).sum() + 1e-3))


def histogram(grey: UInt8[np.ndarray, "height width"], mask: UInt8[np.ndarray, "height width"]) -> np.ndarray:
    """The number of pixels in the mask of each grey level."""
    return cv2.calcHist([grey], [0], mask, [256], [0, 256]).ravel()
