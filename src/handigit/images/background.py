"""Estimate the paper behind the ink: its brightness at each place, its noise.

Light falls unevenly, so darkness is measured against the paper nearby.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from handigit.images.polarity import GLANCE_PX, downscale, histogram

_SMALL_PX: Final = 64
"""Longer side up to which a picture is taken for a crop of one character: too small for tables, shadows, margins."""
_MAX_TABLE: Final = 0.22
"""Half the width of the thickest dark parts of an evenly lit picture, as a fraction of its longer side."""
_SHADED: Final = 0.18
"""Fraction of the paper that must not be in the shadow of an evenly lit picture."""
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


def estimate_background(page: UInt8[np.ndarray, "height width"]) -> Background | None:
    """Darkness against the paper nearby; None for a page of one single shade."""
    _, light = cv2.threshold(page, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    if cv2.countNonZero(light) in (0, page.size):
        return None
    sums = histogram(page, light).cumsum()
    # On the bright side of the median, because the soft edges of strokes are on its dark side.
    middle, high = (float(level) for level in np.searchsorted(sums, (0.5 * sums[-1], 0.75 * sums[-1])))
    if _is_evenly_lit(page, light, high - middle):
        darkness = np.maximum(1 - page * np.float32(1 / middle), 0)
        return Background(page, darkness, (high - middle) / 0.674 / middle)
    paper = _paper_brightness(page)
    darkness = cv2.GaussianBlur(1 - page / paper, (3, 3), 0) if max(page.shape) > _SMALL_PX else 1 - page / paper
    exposed = darkness[page < 250]  # overexposed paper has no noise and would hide that of the rest
    if exposed.size < _EXPOSED * page.size:  # then the exposed part is ink, not paper
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
    paper, ink = histogram(page, bare).cumsum(), histogram(page, 1 - light).cumsum()
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
