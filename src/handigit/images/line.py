"""Crop -> line: the only definition of the 32-pixel-high picture that number models see.

A crop contains one number and its surroundings. Its paper becomes 0 and its ink 1, rules and boxes are removed where
they are certainly print, and the writing is levelled, deslanted and scaled to a height of `INK_PX`. The model ignores
what remains of patterns, stamps and neighbours: it was trained on lines made here.
"""

from dataclasses import dataclass, replace
from typing import Final, cast

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, UInt8

from handigit.images.background import Background, downscale, estimate_background, quantile
from handigit.images.crop_rules import remove_crop_rules, trim_dark_cells
from handigit.records import Box

LINE_PX: Final = 32
"""Height of a line."""
INK_PX: Final = 20
"""Height of the writing in a line; the rest is margin for ascenders and descenders."""
LONGEST_PX: Final = 1024
"""Maximum width of a line: thirty digits in a wide hand."""
_SIDE_PX: Final = 6
"""Empty margin at either end of a line."""
_WORK_PX: Final = 112
"""Height to which a higher crop is reduced."""
_MIN_DARKNESS: Final = 0.07
"""Minimum darkness of ink against its paper."""
_NOISE_MARGIN: Final = 3.0
"""Minimum darkness of ink in standard deviations of the paper; the model copes with patterns above it."""
_MAX_NOISE: Final = 0.2
"""Anything darker is ink, however noisy the paper."""
_MIN_INK_PX: Final = 8
"""Minimum number of pixels of ink."""
_PEN_FRACTION: Final = 0.35
"""Fraction of the pen's darkness at which a stroke ends."""
_TALL: Final = (0.5, 2.6)
"""Height range, in usual heights, of the parts that define the line; dots, dashes and remains of print do not."""
_MIN_BAND: Final = 0.1
"""Minimum height of the writing in heights of the crop, and in pixels `_MIN_BAND_PX`; anything lower is dust."""
_MIN_BAND_PX: Final = 5
_MAX_SLOPE: Final = 0.25
"""Maximum slope of a line of writing that is levelled."""
_SHEARS: Final = (-0.5, -0.3, -0.1, 0.1, 0.3, 0.5, 0.7, 0.9, 1.1)
"""Slants tried first: the offset of the top to the right, in heights; then those halfway between neighbours."""

Parts = Int32[np.ndarray, "n 5"]
"""Left, top, width, height and area of connected parts."""
Ink = Float32[np.ndarray, "height width"]


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One number as a model sees it.

    `pixels`: 0..1, ink bright on 0. `to_crop`: the affine map from (x, y) in the line to (x, y) in the crop.
    `maybe_in_cells`: whether it may have been written into cells.
    """

    pixels: Float32[np.ndarray, "32 width"]
    to_crop: Float64[np.ndarray, "2 3"]
    maybe_in_cells: bool = False

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return int(self.pixels.shape[1])

    @property
    def ink(self) -> Float32[np.ndarray, "32 width"]:
        """Strength of the ink, 0..1."""
        return self.pixels

    @property
    def rows(self) -> tuple[float, float]:
        """Top and bottom of the writing in the crop, in pixels."""
        top, bottom = (LINE_PX - INK_PX) / 2, (LINE_PX + INK_PX) / 2
        corners = [[0, top, 1], [self.width, top, 1], [0, bottom, 1], [self.width, bottom, 1]]
        ys = np.array(corners) @ self.to_crop[1]
        return float(ys.min()), float(ys.max())

    def moved(self, right_px: int) -> "Line":
        """The same line in a crop that starts `right_px` further left."""
        return replace(self, to_crop=self.to_crop + np.array([[0, 0, right_px], [0, 0, 0]]))

    def box_of(self, part: tuple[float, float, float, float], *, size: tuple[int, int]) -> Box:
        """The box in the crop of `size` (height, width) around a part (left, top, right, bottom) of the line."""
        left, top, right, bottom = part
        corners = np.array([[left, top, 1], [right, top, 1], [left, bottom, 1], [right, bottom, 1]]) @ self.to_crop.T
        (x0, y0), (x1, y1) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        height, width = size
        x0, y0 = min(max(int(x0), 0), width - 1), min(max(int(y0), 0), height - 1)
        return Box(x0, y0, max(x0 + 1, min(int(np.ceil(x1)), width)), max(y0 + 1, min(int(np.ceil(y1)), height)))


@dataclass(frozen=True, slots=True)
class _Frame:
    """Geometry of the writing: its `slope`, its `slant`, and its `top` and `bottom` at x = 0."""

    slope: float
    slant: float
    top: float
    bottom: float

    def matrix(self, scale: float) -> Float64[np.ndarray, "2 2"]:
        """The linear map from line to crop, without the shift; its columns are a step right and a step down."""
        return np.array([[1.0, -self.slant], [self.slope, 1.0]]) / scale


@dataclass(frozen=True, slots=True, eq=False)
class _Writing:
    """The ink's strength, 0..1, without print, and the parts of the writing."""

    ink: Ink
    parts: Parts
    maybe_in_cells: bool


def find_line(crop: UInt8[np.ndarray, "height width"]) -> Line | None:
    """The number in a crop of one, ink dark on light; None where nothing is written."""
    first, last = trim_dark_cells(crop)
    if (first, last) != (0, crop.shape[1]):
        line = find_line(np.ascontiguousarray(crop[:, first:last]))
        return line.moved(first) if line else None
    small = _reduce(crop)
    background = estimate_background(small)
    writing = _find_writing(background) if background else None
    if writing is None:
        return None
    ink, parts = writing.ink, writing.parts
    slope = _slope(parts)
    top, bottom = _text_band(parts, slope)
    lowest = max(_MIN_BAND * small.shape[0], _MIN_BAND_PX)
    if bottom - top < lowest:
        top, bottom = (top + bottom - lowest) / 2, (top + bottom + lowest) / 2
    middle = slope * ink.shape[1] / 2
    slant = _slant(ink, top + middle, bottom + middle)
    line = _to_line(ink, parts, _Frame(slope, slant, top, bottom), crop.shape[1] / small.shape[1])
    return replace(line, maybe_in_cells=writing.maybe_in_cells)


def _reduce(crop: UInt8[np.ndarray, "height width"]) -> UInt8[np.ndarray, "h w"]:
    """The crop at working height, or lower if it is very long."""
    longest = max(crop.shape) * min(1.0, _WORK_PX / crop.shape[0], 4 * LONGEST_PX / crop.shape[1])
    return downscale(crop, max(1, round(longest)))


def _find_writing(background: Background) -> _Writing | None:
    """The writing on a crop; None for bare paper."""
    pen = _pen_darkness(background, np.ones_like(background.page))
    if pen is None:
        return None
    mask = _inked(background, pen)
    removed = remove_crop_rules(mask)
    if removed.mask is not mask:
        elsewhere = 1 - cv2.dilate(cv2.subtract(mask, removed.mask), np.ones((3, 3), np.uint8))
        pen = _pen_darkness(background, elsewhere) or pen  # print may be far darker than the pen
        mask = _inked(background, pen)
        removed = remove_crop_rules(mask)
    ink = np.minimum(background.darkness * np.float32(1 / pen), 1)
    if removed.mask is not mask:
        ink = ink * (1 - cv2.subtract(mask, removed.mask))
    _, _, stats, _ = cv2.connectedComponentsWithStats(removed.mask, connectivity=8)
    parts = stats[1:]
    written = _may_be_written(parts, removed.mask.shape)
    return _Writing(ink, parts[written], removed.maybe_in_cells) if written.any() else None


def _inked(background: Background, pen: float) -> UInt8[np.ndarray, "height width"]:
    """1 where there is ink of a pen of this darkness."""
    level = max(_PEN_FRACTION * pen, min(_NOISE_MARGIN * background.noise, 0.6 * pen))
    return (background.darkness > level).view(np.uint8)


def _pen_darkness(background: Background, mask: UInt8[np.ndarray, "height width"]) -> float | None:
    """The darkness of the pen at its full width inside the mask; None for bare paper."""
    lightest = max(_MIN_DARKNESS, min(_NOISE_MARGIN * background.noise, _MAX_NOISE))
    inked = background.darkness[(background.darkness > lightest) & (mask > 0)]
    if inked.size < _MIN_INK_PX:
        return None
    return quantile(inked, 0.85)


def _may_be_written(parts: Parts, shape: tuple[int, ...]) -> Bool[np.ndarray, " n"]:
    """Parts that may be writing: no specks, and nothing that only reaches in from above or below."""
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
    near = fine & ~far
    return np.asarray(near if near.any() else fine)


def _usual_height(heights: Float64[np.ndarray, " n"], areas: Int32[np.ndarray, " n"]) -> float:
    """The parts' usual height, weighted by ink; flat parts, such as remains of rules, hardly count."""
    order = np.argsort(heights)
    sums = np.cumsum(np.minimum(areas, heights * heights)[order])
    return float(heights[order][np.searchsorted(sums, 0.6 * sums[-1])])


def _is_tall(parts: Parts) -> Bool[np.ndarray, " n"]:
    """Parts of the height of digits in this writing."""
    heights = parts[:, 3].astype(float)
    usual = _usual_height(heights, parts[:, 4])
    return np.asarray((heights >= _TALL[0] * usual) & (heights <= _TALL[1] * usual))


def _slope(parts: Parts) -> float:
    """The slope of the line of writing (positive falls to the right), through the middles of its tall parts."""
    tall = parts[_is_tall(parts)]
    left, top, width, height, _ = tall.T.astype(float)
    x, y = left + width / 2, top + height / 2
    if len(tall) < 3 or np.ptp(x) < 2.5 * height.max():
        return 0.0
    slope = float(np.polyfit(x, y, 1, w=np.sqrt(height))[0])
    return slope if abs(slope) <= _MAX_SLOPE else 0.0


def _text_band(parts: Parts, slope: float) -> tuple[float, float]:
    """The top and the bottom of the writing at x = 0, from its tall parts; robust against one long stroke."""
    tall = parts[_is_tall(parts)]
    middle = tall[:, 0] + tall[:, 2] / 2
    tops, bottoms = tall[:, 1] - slope * middle, tall[:, 1] + tall[:, 3] - slope * middle
    weights = np.minimum(tall[:, 2], tall[:, 3]).astype(float) + 1
    return _weighted_quantile(tops, weights, 0.12), _weighted_quantile(bottoms, weights, 0.88)


def _weighted_quantile(values: Float64[np.ndarray, " n"], weights: Float64[np.ndarray, " n"], q: float) -> float:
    order = np.argsort(values)
    sums = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(sums, q * sums[-1])])


def _slant(ink: Ink, top: float, bottom: float) -> float:
    """The shear that concentrates the ink in the fewest columns (Vinciarelli & Luettin 2001)."""
    first, last = max(int(top), 0), min(int(np.ceil(bottom)), ink.shape[0])
    if last <= first:
        return 0.0
    band = np.where(ink[first:last] > 0.5, ink[first:last], 0)
    step = max(1, len(band) // 24)
    band = cv2.resize(band, (band.shape[1] // step + 1, len(band) // step + 1), interpolation=cv2.INTER_AREA)
    scores = {shear: _column_concentration(band, shear) for shear in _SHEARS}
    best = max(scores, key=scores.__getitem__)
    scores |= {shear: _column_concentration(band, shear) for shear in (best - 0.1, best + 0.1)}
    return max(scores, key=scores.__getitem__)


def _column_concentration(band: Ink, slant: float) -> float:
    """The sum of squared column sums after deslanting; small slants get a bonus."""
    height, width = band.shape
    reach = 1.2 * height
    upright = np.array([[1.0, slant, reach - slant * height / 2], [0.0, 1.0, 0.0]])
    columns = cv2.warpAffine(band, upright, (int(width + 2 * reach), height)).sum(axis=0)
    return float(columns @ columns) * (1 - 0.1 * abs(slant))


def _to_line(ink: Ink, parts: Parts, frame: _Frame, reduction: float) -> Line:
    """The ink in that frame, scaled to a line; `reduction`: pixels of the crop per pixel of ink."""
    scale = INK_PX / max(frame.bottom - frame.top, 1.0)
    linear = frame.matrix(scale)
    corners = np.stack([parts[:, :2], parts[:, :2] + parts[:, 2:4] * [1, 0]], axis=1).reshape(-1, 2)
    corners = np.concatenate([corners, corners + np.repeat(parts[:, 3:4] * [0, 1], 2, axis=0)])
    in_line = corners @ np.linalg.inv(linear).T
    left, right = float(in_line[:, 0].min()) - _SIDE_PX, float(in_line[:, 0].max()) + _SIDE_PX
    width = int(np.clip(round(right - left), 8, LONGEST_PX))
    if width == LONGEST_PX:
        linear = linear @ np.diag([(right - left) / width, 1.0])
        left = left * width / (right - left)
    corner = np.array([left, 0.0])
    corner[1] = float((np.linalg.inv(linear) @ [0.0, frame.top])[1]) - (LINE_PX - INK_PX) / 2
    to_ink = np.column_stack([linear, linear @ corner])
    return Line(_warp_to_line(ink, to_ink, width, scale), to_ink * reduction)


def _warp_to_line(
    ink: Ink, to_ink: Float64[np.ndarray, "2 3"], width: int, scale: float
) -> Float32[np.ndarray, "32 w"]:
    """The ink at the line's pixels; first reduced by area averaging, which a warp does not do."""
    if scale < 0.75:
        size = max(1, round(ink.shape[1] * scale)), max(1, round(ink.shape[0] * scale))
        ratio = np.array([[size[0] / ink.shape[1]], [size[1] / ink.shape[0]]])
        ink, to_ink = cv2.resize(ink, size, interpolation=cv2.INTER_AREA), to_ink * ratio
    warped = cv2.warpAffine(
        ink, to_ink, (width, LINE_PX), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_CONSTANT
    )
    inked = warped[warped > 0.3]
    strong = quantile(inked, 0.8) if inked.size else 1.0
    return cast("np.ndarray", np.minimum(warped * np.float32(1 / max(strong, 0.3)), 1))
