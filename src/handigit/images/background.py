"""Estimate the paper behind the ink: polarity, brightness at each place, noise.

Light falls unevenly, so darkness is measured against the paper nearby.
"""

import math
from dataclasses import dataclass
from typing import Final, cast

import cv2
import numpy as np
from jaxtyping import Float32, Float64, UInt8

GLANCE_PX: Final = 192
"""Longer side at which the polarity of a larger picture is judged."""
READING_PX: Final = 16_000_000
"""Pixels at which a larger picture is read: A3 at 300 dpi. Each copy of an A3 scan at 600 dpi would take 70 MB."""
_SMALL_PX: Final = 64
"""Longer side up to which a picture is taken for a crop of one character: too small for tables, shadows, margins."""
_MAX_STROKE: Final = 0.24
"""Half the width of the thickest strokes of a digit cut to its box, as a fraction of the longer side."""
_MAX_TABLE: Final = 0.22
"""Half the width of the thickest dark parts of an evenly lit picture, as a fraction of its longer side."""
_SHADED: Final = 0.18
"""Fraction of the paper that must not be in the shadow of an evenly lit picture."""
_LEVEL: Final = 0.25
"""Maximum interquartile range of a level shade as a fraction of its distance to the other shade."""
_DOUBTFUL: Final = 0.7
"""Minimum vote margin (of 2) for a polarity decision on a crop. No MNIST training image has less, of our drawn
non-digits one in 200; of MNIST's with both sides inverted all but 0.3 %, of those in fog one in five."""
_FAINT: Final = 0.12
"""Fraction of a picture's range of brightness below which a difference is ignored."""
_EXPOSED: Final = 0.5
"""Minimum fraction of a picture that is not overexposed, for its paper's noise to be measured."""
_DEEPEST_SHADOW: Final = 0.4
"""Darkest paper as a fraction of the brightest; anything darker is not paper."""


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """The darkness of each pixel relative to the paper there.

    `darkness`: 0 paper, 1 black. `noise`: standard deviation of the bare paper's darkness. `page`: the picture.
    """

    page: UInt8[np.ndarray, "height width"]
    darkness: Float32[np.ndarray, "height width"]
    noise: float


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


def quantile(values: Float32[np.ndarray, " n"] | Float64[np.ndarray, " n"], q: float) -> float:
    """The lower q-quantile; six times as fast as `np.quantile` on the values of a line."""
    rank = int(q * (values.size - 1))
    return float(np.partition(values, rank)[rank])


def polarity_is_doubtful(crop: UInt8[np.ndarray, "height width"]) -> bool:
    """Whether the ink in a crop of one character could be either of the two shades."""
    return abs(dark_ink_votes(downscale(crop, GLANCE_PX))) < _DOUBTFUL


def dark_ink_votes(grey: UInt8[np.ndarray, "height width"]) -> float:
    """How clearly the ink is the darker of the two shades; below 0 it is the lighter.

    Paper is the shade that covers most of the picture, has room for larger discs (strokes are thin), and covers the
    border. In a photo, where both shades have room for large discs or neither is level, one of them may be a shadow
    or a table; what counts then is to which side small things differ from their surroundings. Each alone fails
    somewhere (border on photos of paper on a table, area on thick digits cut to their box).
    """
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
    histogram = _histogram(grey, light if 2 * count > grey.size else 1 - light).cumsum()
    lower, upper = np.searchsorted(histogram, (0.25 * histogram[-1], 0.75 * histogram[-1]))
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


def _histogram(grey: UInt8[np.ndarray, "height width"], mask: UInt8[np.ndarray, "height width"]) -> np.ndarray:
    return cv2.calcHist([grey], [0], mask, [256], [0, 256]).ravel()


def estimate_background(page: UInt8[np.ndarray, "height width"]) -> Background | None:
    """Darkness against the paper nearby; None for a page of one single shade."""
    _, light = cv2.threshold(page, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    if cv2.countNonZero(light) in (0, page.size):
        return None
    sums = _histogram(page, light).cumsum()
    # On the bright side of the median, because the soft edges of strokes are on its dark side.
    middle, high = (float(level) for level in np.searchsorted(sums, (0.5 * sums[-1], 0.75 * sums[-1])))
    if _is_evenly_lit(page, light, high - middle):
        darkness = np.maximum(1 - page * np.float32(1 / middle), 0)
        return Background(page, darkness, (high - middle) / 0.674 / middle)
    paper = _paper_brightness(page)
    darkness = cv2.GaussianBlur(1 - page / paper, (3, 3), 0) if max(page.shape) > _SMALL_PX else 1 - page / paper
    exposed = darkness[page < 250]  # overexposed paper has no noise and would hide that of the rest
    if exposed.size < _EXPOSED * page.size:  # what is exposed then is ink, not paper
        return Background(page, np.maximum(darkness, 0), 0.0)
    bare = float(np.median(exposed))  # above 0: the closing follows the brightest grains
    noise = float(np.median(np.abs(exposed - bare))) / 0.674
    return Background(page, np.maximum(darkness - bare, 0), noise)


def _is_evenly_lit(
    page: UInt8[np.ndarray, "height width"], light: UInt8[np.ndarray, "height width"], spread: float
) -> bool:
    """Whether one brightness represents all the paper."""
    contrast = cv2.mean(page, light)[0] - cv2.mean(page, 1 - light)[0]
    inner = cv2.erode(light, np.ones((3, 3), np.uint8))  # without the soft edges of strokes
    bare = inner if 3 * cv2.countNonZero(inner) > cv2.countNonZero(light) else light
    paper, ink = _histogram(page, bare).cumsum(), _histogram(page, 1 - light).cumsum()
    shaded, middle = np.searchsorted(paper, (_SHADED * paper[-1], 0.5 * paper[-1]))
    if spread > 0.12 * contrast or (bare is inner and middle - shaded > 0.22 * contrast):
        return False
    border = np.concatenate([light[0], light[-1], light[:, 0], light[:, -1]])
    if border.mean() > 0.9:
        return True
    darkest, usual = np.searchsorted(ink, (0.03 * ink[-1], 0.5 * ink[-1]))
    if usual - darkest < 0.1 * contrast and not _covers_sides(1 - light):
        return True
    small = downscale(1 - light, GLANCE_PX)
    return bool(cv2.distanceTransform(small, cv2.DIST_L2, 3).max() < _MAX_TABLE * max(small.shape))


def _covers_sides(mask: UInt8[np.ndarray, "height width"]) -> bool:
    """Whether a mask covers a whole side of the picture, as a table or a shadow does."""
    return any(side.mean() > 0.95 for side in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))


def _paper_brightness(page: UInt8[np.ndarray, "height width"]) -> Float32[np.ndarray, "height width"]:
    """The brightness of the paper without ink.

    A closing with a window wider than strokes keeps slopes and the straight edges of shadows and fills strokes. It is
    computed on a small copy, where noise is averaged away.
    """
    small = downscale(page, 128)
    window = max(max(small.shape) // 4, 3) | 1
    margin = min(window, *(side - 1 for side in small.shape))
    # Odd reflection continues a slope across the border, and makes a table at the edge as wide as paper.
    wide = np.pad(small.astype(np.int16), margin, mode="reflect", reflect_type="odd").clip(0, 255).astype(np.uint8)
    closed = cv2.morphologyEx(wide, cv2.MORPH_CLOSE, np.ones((window, window), np.uint8))
    # A pixel less, so that the blur of the small copy puts no rim of ink along the dark side of an edge.
    closed = cv2.GaussianBlur(cv2.erode(closed, np.ones((3, 3), np.uint8)), (0, 0), 1)
    closed = closed[margin : margin + small.shape[0], margin : margin + small.shape[1]]
    height, width = page.shape
    paper = cv2.resize(closed, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.maximum(paper, max(1, _DEEPEST_SHADOW * float(paper.max()))).astype(np.float32)
