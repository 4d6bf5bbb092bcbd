"""Crop -> line: the only definition of the 32-pixel-high picture that number models see.

A crop holds one number and whatever lies around it. Its paper becomes 0 and its ink 1, rules and boxes go where they
are sure to be print, and what is written is levelled, set upright and scaled so that it is `INK_PX` high. What stays of
patterns, stamps and neighbours is for the model to see through: it was trained on lines made here. It knows nothing
of models and characters.
"""

from dataclasses import dataclass, replace
from typing import Final, cast

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, UInt8

from handigit.images.background import Shade, ranked, reduced, shade
from handigit.images.crop_rules import inside_cells, without_print
from handigit.records import Box

LINE_PX: Final = 32
"""Height of a line."""
INK_PX: Final = 20
"""Height of what is written in a line; the rest is margin for what stands out of it."""
LONGEST_PX: Final = 1024
"""Width of the longest line: thirty digits in a wide hand."""
_SIDE_PX: Final = 6
"""Empty margin at either end of a line."""
_WORK_PX: Final = 112
"""Height at which a higher crop is searched."""
_LEAST_DARKNESS: Final = 0.07
"""Ink paler than this against its paper is taken for paper."""
_NOISE_MARGIN: Final = 3.0
"""Ink stands out by so many standard deviations of the paper; a model that knows patterns sees through the rest."""
_MOST_NOISE: Final = 0.2
"""Ink darker than this is ink, however restless the paper."""
_LEAST_INK_PX: Final = 8
"""Fewest pixels of ink that are writing."""
_PEN_SHARE: Final = 0.35
"""Share of the pen's darkness at which its stroke ends."""
_TALL: Final = (0.5, 2.6)
"""In usual heights: parts that say where the writing runs; dots and dashes say little, remains of print less."""
_LEAST_BAND: Final = 0.1
"""Least height of the writing in heights of the crop, and in pixels `_LEAST_BAND_PX`: what is less is dust."""
_LEAST_BAND_PX: Final = 5
_STEEPEST: Final = 0.25
"""Largest slope of the line of writing that is levelled."""
_SHEARS: Final = (-0.5, -0.3, -0.1, 0.1, 0.3, 0.5, 0.7, 0.9, 1.1)
"""Slants that are tried first: how far the top leans to the right, in heights; then those halfway to the next ones."""


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One number as a model sees it.

    `pixels`: 0..1, ink bright on 0. `to_crop`: the affine map from (x, y) in the line to (x, y) in the crop. `boxed`:
    whether it may have been written into cells.
    """

    pixels: Float32[np.ndarray, "32 width"]
    to_crop: Float64[np.ndarray, "2 3"]
    boxed: bool = False

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return int(self.pixels.shape[1])

    def moved(self, right_px: int) -> "Line":
        """The same line, found in a crop that began so many pixels further right."""
        return replace(self, to_crop=self.to_crop + np.array([[0, 0, right_px], [0, 0, 0]]))

    def box_of(self, part: tuple[float, float, float, float], *, within: tuple[int, int]) -> Box:
        """The box in the crop, which is (height, width) large, around a part (left, top, right, bottom) of the line."""
        left, top, right, bottom = part
        corners = np.array([[left, top, 1], [right, top, 1], [left, bottom, 1], [right, bottom, 1]]) @ self.to_crop.T
        (x0, y0), (x1, y1) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        height, width = within
        x0, y0 = min(max(int(x0), 0), width - 1), min(max(int(y0), 0), height - 1)
        return Box(x0, y0, max(x0 + 1, min(int(np.ceil(x1)), width)), max(y0 + 1, min(int(np.ceil(y1)), height)))


def find_line(crop: UInt8[np.ndarray, "height width"]) -> Line | None:
    """The number in a crop that holds one, ink dark on light; None where nothing is written."""
    first, last = inside_cells(crop)
    if (first, last) != (0, crop.shape[1]):
        found = find_line(np.ascontiguousarray(crop[:, first:last]))
        return found.moved(first) if found else None
    small = _workable(crop)
    shaded = shade(small)
    written = _written(shaded) if shaded else None
    if written is None:
        return None
    ink, parts = written.ink, written.parts
    slope = _slope(parts)
    top, bottom = _band(parts, slope)
    least = max(_LEAST_BAND * small.shape[0], _LEAST_BAND_PX)
    if bottom - top < least:
        top, bottom = (top + bottom - least) / 2, (top + bottom + least) / 2
    middle = slope * ink.shape[1] / 2
    slant = _slant(ink, top + middle, bottom + middle)
    line = _line_through(ink, parts, _Frame(slope, slant, top, bottom), crop.shape[1] / small.shape[1])
    return replace(line, boxed=written.boxed)


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where the writing lies: it rises by `slope`, leans by `slant`, and at x = 0 goes from `top` to `bottom`."""

    slope: float
    slant: float
    top: float
    bottom: float

    def matrix(self, scale: float) -> Float64[np.ndarray, "2 2"]:
        """From line to crop, the shift left out: columns are where a step right and a step down lead."""
        return np.array([[1.0, -self.slant], [self.slope, 1.0]]) / scale


def _workable(crop: UInt8[np.ndarray, "height width"]) -> UInt8[np.ndarray, "h w"]:
    """The crop at a height at which it is searched, or lower where it is very long."""
    longest = max(crop.shape) * min(1.0, _WORK_PX / crop.shape[0], 4 * LONGEST_PX / crop.shape[1])
    return reduced(crop, max(1, round(longest)))


Parts = Int32[np.ndarray, "n 5"]
Ink = Float32[np.ndarray, "height width"]


@dataclass(frozen=True, slots=True, eq=False)
class _Written:
    """The ink's strength, 0..1, without print, and the parts (left, top, width, height, area) of what is written."""

    ink: Ink
    parts: Parts
    boxed: bool


def _written(shaded: Shade) -> _Written | None:
    """What is written on a crop; None for bare paper."""
    pen = _pen_darkness(shaded, np.ones_like(shaded.page))
    if pen is None:
        return None
    mask = _inked(shaded, pen)
    bare = without_print(mask)
    if bare.mask is not mask:
        elsewhere = 1 - cv2.dilate(cv2.subtract(mask, bare.mask), np.ones((3, 3), np.uint8))
        pen = _pen_darkness(shaded, elsewhere) or pen  # print may be far darker than the pen
        mask = _inked(shaded, pen)
        bare = without_print(mask)
    ink = np.minimum(shaded.darkness * np.float32(1 / pen), 1)
    if bare.mask is not mask:
        ink = ink * (1 - cv2.subtract(mask, bare.mask))
    _, _, stats, _ = cv2.connectedComponentsWithStats(bare.mask, connectivity=8)
    parts = stats[1:]
    kept = _kept(parts, bare.mask.shape)
    return _Written(ink, parts[kept], bare.boxed) if kept.any() else None


def _inked(shaded: Shade, pen: float) -> UInt8[np.ndarray, "height width"]:
    """1 where there is ink of a pen so dark."""
    level = max(_PEN_SHARE * pen, min(_NOISE_MARGIN * shaded.noise, 0.6 * pen))
    return (shaded.darkness > level).view(np.uint8)


def _pen_darkness(shaded: Shade, where: UInt8[np.ndarray, "height width"]) -> float | None:
    """How dark the pen is at its full width, by what is darker than paper there; None for bare paper."""
    least = max(_LEAST_DARKNESS, min(_NOISE_MARGIN * shaded.noise, _MOST_NOISE))
    inked = shaded.darkness[(shaded.darkness > least) & (where > 0)]
    if inked.size < _LEAST_INK_PX:
        return None
    return ranked(inked, 0.85)


def _kept(parts: Parts, shape: tuple[int, ...]) -> Bool[np.ndarray, " n"]:
    """Parts that may be written: no specks, and nothing that only reaches in from above or below."""
    height = shape[0]
    heights, areas = parts[:, 3].astype(float), parts[:, 4]
    if not len(parts):
        return np.zeros(0, bool)
    usual = _usual_height(heights, areas)
    fine = (parts[:, 2:4].max(axis=1) >= max(2, 0.08 * usual)) & (areas >= 3)
    tall = fine & _is_tall(parts)
    if not tall.any():
        return np.asarray(fine)
    middles = parts[:, 1] + heights / 2
    middle = np.average(middles[tall], weights=areas[tall])
    at_edge = (parts[:, 1] <= 0) | (parts[:, 1] + parts[:, 3] >= height)
    far = np.abs(middles - middle) > np.where(at_edge, 0.45, 0.9) * usual
    kept = fine & ~far
    return np.asarray(kept if kept.any() else fine)


def _usual_height(heights: Float64[np.ndarray, " n"], areas: Int32[np.ndarray, " n"]) -> float:
    """The height that parts have, each counting by its ink; flat ones, as remains of rules are, for hardly more."""
    order = np.argsort(heights)
    sums = np.cumsum(np.minimum(areas, heights * heights)[order])
    return float(heights[order][np.searchsorted(sums, 0.6 * sums[-1])])


def _is_tall(parts: Parts) -> Bool[np.ndarray, " n"]:
    """Parts as high as digits are in this writing."""
    heights = parts[:, 3].astype(float)
    usual = _usual_height(heights, parts[:, 4])
    return np.asarray((heights >= _TALL[0] * usual) & (heights <= _TALL[1] * usual))


def _slope(parts: Parts) -> float:
    """How steeply the line of writing falls to the right: through the middles of its tall parts."""
    tall = parts[_is_tall(parts)]
    left, top, width, height, _ = tall.T.astype(float)
    x, y = left + width / 2, top + height / 2
    if len(tall) < 3 or np.ptp(x) < 2.5 * height.max():
        return 0.0
    slope = float(np.polyfit(x, y, 1, w=np.sqrt(height))[0])
    return slope if abs(slope) <= _STEEPEST else 0.0


def _band(parts: Parts, slope: float) -> tuple[float, float]:
    """The top and the bottom of the writing at x = 0, from its tall parts; one odd long stroke says little."""
    tall = parts[_is_tall(parts)]
    middle = tall[:, 0] + tall[:, 2] / 2
    tops, bottoms = tall[:, 1] - slope * middle, tall[:, 1] + tall[:, 3] - slope * middle
    weights = np.minimum(tall[:, 2], tall[:, 3]).astype(float) + 1
    return _quantile(tops, weights, 0.12), _quantile(bottoms, weights, 0.88)


def _quantile(values: Float64[np.ndarray, " n"], weights: Float64[np.ndarray, " n"], share: float) -> float:
    """The value below which this share of the weights lies."""
    order = np.argsort(values)
    sums = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(sums, share * sums[-1])])


def _slant(ink: Ink, top: float, bottom: float) -> float:
    """How far the writing leans: the shear that gathers its ink in the fewest columns (Vinciarelli & Luettin 2001)."""
    first, last = max(int(top), 0), min(int(np.ceil(bottom)), ink.shape[0])
    if last <= first:
        return 0.0
    band = np.where(ink[first:last] > 0.5, ink[first:last], 0)
    step = max(1, len(band) // 24)
    band = cv2.resize(band, (band.shape[1] // step + 1, len(band) // step + 1), interpolation=cv2.INTER_AREA)
    gathered = {shear: _gathered(band, shear) for shear in _SHEARS}
    best = max(gathered, key=gathered.__getitem__)
    gathered |= {shear: _gathered(band, shear) for shear in (best - 0.1, best + 0.1)}
    return max(gathered, key=gathered.__getitem__)


def _gathered(band: Ink, slant: float) -> float:
    """How few columns hold the ink once it is set upright; leaning little is more likely."""
    height, width = band.shape
    reach = 1.2 * height
    upright = np.array([[1.0, slant, reach - slant * height / 2], [0.0, 1.0, 0.0]])
    columns = cv2.warpAffine(band, upright, (int(width + 2 * reach), height)).sum(axis=0)
    return float(columns @ columns) * (1 - 0.1 * abs(slant))


def _line_through(ink: Ink, parts: Parts, frame: _Frame, reduction: float) -> Line:
    """The ink in that frame, scaled to a line; `reduction`: pixels of the crop for one of the ink's."""
    scale = INK_PX / max(frame.bottom - frame.top, 1.0)
    turn = frame.matrix(scale)
    corners = np.stack([parts[:, :2], parts[:, :2] + parts[:, 2:4] * [1, 0]], axis=1).reshape(-1, 2)
    corners = np.concatenate([corners, corners + np.repeat(parts[:, 3:4] * [0, 1], 2, axis=0)])
    places = corners @ np.linalg.inv(turn).T
    left, right = float(places[:, 0].min()) - _SIDE_PX, float(places[:, 0].max()) + _SIDE_PX
    width = int(np.clip(round(right - left), 8, LONGEST_PX))
    if width == LONGEST_PX:
        turn = turn @ np.diag([(right - left) / width, 1.0])
        left = left * width / (right - left)
    corner = np.array([left, 0.0])
    corner[1] = float((np.linalg.inv(turn) @ [0.0, frame.top])[1]) - (LINE_PX - INK_PX) / 2
    shift = turn @ corner
    to_ink = np.column_stack([turn, shift])
    pixels = _seen_through(ink, to_ink, width, scale)
    return Line(pixels, to_ink * reduction)


def _seen_through(
    ink: Ink, to_ink: Float64[np.ndarray, "2 3"], width: int, scale: float
) -> Float32[np.ndarray, "32 w"]:
    """The ink under the line's pixels; first made small by area averaging, which a warp cannot do."""
    if scale < 0.75:
        size = max(1, round(ink.shape[1] * scale)), max(1, round(ink.shape[0] * scale))
        ratio = np.array([[size[0] / ink.shape[1]], [size[1] / ink.shape[0]]])
        ink, to_ink = cv2.resize(ink, size, interpolation=cv2.INTER_AREA), to_ink * ratio
    warped = cv2.warpAffine(
        ink, to_ink, (width, LINE_PX), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_CONSTANT
    )
    inked = warped[warped > 0.3]
    strong = ranked(inked, 0.8) if inked.size else 1.0
    return cast("np.ndarray", np.minimum(warped * np.float32(1 / max(strong, 0.3)), 1))
