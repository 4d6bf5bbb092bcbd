"""What lies under the ink: which of the two shades is paper, how bright it is in each place, and how rough.

It knows nothing of strokes, lines or digits. Light falls unevenly, so darkness is measured against the paper nearby.
"""

from dataclasses import dataclass
from typing import Final, cast

import cv2
import numpy as np
from jaxtyping import Float32, Float64, UInt8

_GLANCE_PX: Final = 192
"""Longer side at which the polarity of a larger picture is judged."""
_SMALL_PX: Final = 64
"""Longer side up to which a picture is taken for a crop of one character: too small for tables, shadows, margins."""
_DOUBTFUL: Final = 0.7
"""Votes, of 2 in all, by which a crop's polarity must be carried to be sure of. No MNIST training image has less, of
our drawn non-digits one in 200; of MNIST's with both sides inverted all but 0.3 %, of those in fog one in five."""
_FAINT_SHARE: Final = 0.12
"""Share of a picture's range of brightness below which nothing is said to stand out."""
_EXPOSED: Final = 0.5
"""Share of a picture that must not be overexposed for its paper's noise to be seen there."""
_DEEPEST: Final = 0.4
"""Paper in the deepest shadow, as a share of the brightest: what is darker is no paper, nor its grain worth a look."""


@dataclass(frozen=True, slots=True, eq=False)
class Shade:
    """How dark each place is against the paper there.

    `darkness`: 0 paper, 1 black. `noise`: standard deviation of the bare paper's darkness. `page`: what was measured.
    """

    page: UInt8[np.ndarray, "height width"]
    darkness: Float32[np.ndarray, "height width"]
    noise: float


def dark_on_light(grey: UInt8[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width"]:
    """The same picture with its ink dark: inverted where a glance says that the ink is bright."""
    return 255 - grey if _ink_is_bright(reduced(grey, _GLANCE_PX)) else grey


def reduced(grey: UInt8[np.ndarray, "height width"], longest_px: int) -> UInt8[np.ndarray, "h w"]:
    """The picture by area averaging at most so long; a smaller one as it is."""
    height, width = grey.shape
    scale = longest_px / max(height, width)
    if scale >= 1:
        return grey
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cast("np.ndarray", cv2.resize(grey, size, interpolation=cv2.INTER_AREA))


def ranked(values: Float32[np.ndarray, " n"] | Float64[np.ndarray, " n"], share: float) -> float:
    """The value that this share of them do not exceed; `np.quantile` takes six times as long on a line."""
    rank = int(share * (values.size - 1))
    return float(np.partition(values, rank)[rank])


def polarity_is_doubtful(crop: UInt8[np.ndarray, "height width"]) -> bool:
    """Whether the ink in a crop of one character could as well be the other shade."""
    return abs(_votes_for_dark_ink(crop)) < _DOUBTFUL


def _ink_is_bright(grey: UInt8[np.ndarray, "height width"]) -> bool:
    """Whether the strokes are the lighter of the two shades."""
    return _votes_for_dark_ink(grey) < 0


def _votes_for_dark_ink(grey: UInt8[np.ndarray, "height width"]) -> float:
    """How clearly the strokes are the darker of the two shades; below 0 they are the lighter.

    Three signs speak for a shade being paper: it has most of the picture, it has room for larger discs (strokes are
    thin), and it holds the border; in a photo, where tables and shadows may hold the border, the third is instead to
    which side small things stand out from their surroundings. Each alone fails somewhere (border on photos of paper
    on a table, area on thick digits cut to their box); their sum was right on all of MNIST, optdigits and hwd1000 and
    99.9 % of semeion's training images in either polarity.
    """
    _, light = cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    height, width = grey.shape
    count = cv2.countNonZero(light)
    if count in (0, grey.size):
        return np.inf
    room_light = float(cv2.distanceTransform(light, cv2.DIST_L2, 3).max())
    room_dark = float(cv2.distanceTransform(1 - light, cv2.DIST_L2, 3).max())
    votes = count / grey.size - 0.5 + (room_light - room_dark) / (room_light + room_dark)
    small = max(height, width) <= _SMALL_PX
    if small or _is_level(grey, light, count):
        inner = light[1:-1, 1:-1]
        votes += (count - cv2.countNonZero(inner)) / (grey.size - inner.size) - 0.5
        return votes + (0 if small else _dark_side(grey))
    # A photo is taken for dark on light until something says clearly that it is not; a blank half in shadow does not.
    return votes + 2 * _dark_side(grey) + 0.5


def _is_level(grey: UInt8[np.ndarray, "height width"], light: UInt8[np.ndarray, "height width"], count: int) -> bool:
    """Whether the larger of the two shades is one flat level, as in drawings and clean scans, never in photos."""
    histogram = _histogram(grey, light if 2 * count > grey.size else 1 - light).cumsum()
    lower, upper = np.searchsorted(histogram, (0.25 * histogram[-1], 0.75 * histogram[-1]))
    return bool(upper - lower <= 2)


def _dark_side(grey: UInt8[np.ndarray, "height width"]) -> float:
    """+1 where all that stands out from its surroundings is dark, -1 where bright: a skewness about the median."""
    window = max(max(grey.shape) // 5, 3) | 1
    rim = min(window // 2, (min(grey.shape) - 1) // 2)  # where the median sees the border repeated
    inner = np.s_[rim : grey.shape[0] - rim, rim : grey.shape[1] - rim]
    out = cv2.subtract(cv2.medianBlur(grey, window)[inner], grey[inner], dtype=cv2.CV_32F)
    out[np.abs(out) < _FAINT_SHARE * np.ptp(grey)] = 0  # grain, and the soft edge of a shadow
    cubes = out * out * out
    return float(cubes.sum() / (np.abs(cubes).sum() + 1e-3))


def _histogram(grey: UInt8[np.ndarray, "height width"], where: UInt8[np.ndarray, "height width"]) -> np.ndarray:
    return cv2.calcHist([grey], [0], where, [256], [0, 256]).ravel()


def shade(page: UInt8[np.ndarray, "height width"]) -> Shade | None:
    """Darkness against the paper nearby; None for a page of one single shade."""
    _, light = cv2.threshold(page, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    if cv2.countNonZero(light) in (0, page.size):
        return None
    sums = _histogram(page, light).cumsum()
    # On the bright side of the median, because on its dark side lie the soft edges of strokes.
    middle, high = (float(level) for level in np.searchsorted(sums, (0.5 * sums[-1], 0.75 * sums[-1])))
    if _is_evenly_lit(page, light, high - middle):
        darkness = np.maximum(1 - page * np.float32(1 / middle), 0)
        return Shade(page, darkness, (high - middle) / 0.674 / middle)
    paper = _paper_under(page)
    darkness = cv2.GaussianBlur(1 - page / paper, (3, 3), 0) if max(page.shape) > _SMALL_PX else 1 - page / paper
    exposed = darkness[page < 250]  # overexposed paper shows no noise and would hide that of the rest
    if exposed.size < _EXPOSED * page.size:  # what is exposed then is ink, not paper
        return Shade(page, np.maximum(darkness, 0), 0.0)
    bare = float(np.median(exposed))  # above 0: the closing follows the brightest grains
    noise = float(np.median(np.abs(exposed - bare))) / 0.674
    return Shade(page, np.maximum(darkness - bare, 0), noise)


def _is_evenly_lit(
    page: UInt8[np.ndarray, "height width"], light: UInt8[np.ndarray, "height width"], spread: float
) -> bool:
    """Whether one brightness can stand for all the paper."""
    dark = cv2.mean(page, 1 - light)[0]
    contrast = cv2.mean(page, light)[0] - dark
    if spread > 0.12 * contrast:
        return False
    if max(page.shape) <= _SMALL_PX:
        return True
    border = np.concatenate([light[0], light[-1], light[:, 0], light[:, -1]])
    return bool(border.mean() > 0.9)


def _paper_under(page: UInt8[np.ndarray, "height width"]) -> Float32[np.ndarray, "height width"]:
    """The brightness that the paper would have without ink.

    A closing with a window wider than strokes keeps slopes and the straight edges of shadows and fills what is thin;
    done on a small copy, where noise is averaged away.
    """
    small = reduced(page, 128)
    window = max(max(small.shape) // 4, 3) | 1
    margin = min(window, *(side - 1 for side in small.shape))
    # Odd reflection goes on with a slope across the border, and makes a table at the edge as wide as paper.
    wide = np.pad(small.astype(np.int16), margin, mode="reflect", reflect_type="odd").clip(0, 255).astype(np.uint8)
    closed = cv2.morphologyEx(wide, cv2.MORPH_CLOSE, np.ones((window, window), np.uint8))
    # A pixel less, so that the blur of the small copy puts no rim of ink along the dark side of an edge.
    closed = cv2.GaussianBlur(cv2.erode(closed, np.ones((3, 3), np.uint8)), (0, 0), 1)
    closed = closed[margin : margin + small.shape[0], margin : margin + small.shape[1]]
    height, width = page.shape
    paper = cv2.resize(closed, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.maximum(paper, max(1, _DEEPEST * float(paper.max()))).astype(np.float32)
