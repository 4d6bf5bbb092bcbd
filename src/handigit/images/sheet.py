"""Find the sheet of paper in a photo of one on a table.

The sheet is the largest bright region with straight, sharp sides and ink on it. Without clear evidence there is none:
a shadow has soft edges, the hole of a 0 contains no ink.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from handigit.images.polarity import GLANCE_PX, dark_ink_votes, downscale, reduce_large

Grey = UInt8[np.ndarray, "height width"]

_LOOK_PX: Final = 256
"""Longer side of the copy on which the sheet is searched."""
_MIN_SIDE_PX: Final = 72
"""Shorter side of the smallest picture of a sheet on a table; anything smaller is a crop of writing."""
_KEPT: Final = 64
"""Reduced pictures whose sheet is kept, 4 MB at most."""
_MIN_AREA: Final = 0.1
"""Minimum area of a sheet as a fraction of the picture's."""
_MIN_SOLIDITY: Final = 0.92
"""Minimum fraction of the convex hull that the sheet fills."""
_MIN_CONTRAST: Final = 0.12
"""Minimum difference between sheet and table as a fraction of the sheet's brightness."""
_MIN_SHARP: Final = 0.75
"""Minimum fraction of the outline with a sharp edge."""
_SHARP: Final = 0.5
"""Minimum step across a sharp edge as a fraction of the contrast between sheet and table."""
_MIN_SIDES: Final = 2
"""Minimum number of sides in view: the edge of a shadow is one."""
_MIN_INK: Final = 0.0008
"""Minimum inked fraction of a sheet."""
_MAX_BRIGHT_BORDER: Final = 0.2
"""Maximum fraction of the picture's border, outside the sheet, that is as bright as paper: around a box, or the ring of
a thick 0, there is paper again."""
_AT_EDGE: Final = 0.02
"""Maximum distance of a corner from the picture's edge that cut it off, as a fraction of the longer side."""
RIM: Final = 0.012
"""Width of the outline's rim that is dropped, as a fraction of the picture's longer side."""


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """A sheet in a picture: `outline` is its convex hull, (x, y) in pixels of the picture, clockwise.

    `corners`: top left, top right, bottom right, bottom left, if all four are in view.
    """

    outline: Float32[np.ndarray, "n 2"]
    corners: Float32[np.ndarray, "4 2"] | None


def find_sheet(grey: Grey) -> Sheet | None:
    """The bright sheet in a picture that also shows the table; None if the paper fills the picture."""
    small = downscale(grey, _LOOK_PX)
    if min(small.shape) < _MIN_SIDE_PX:
        return None
    hull = _find_hull(small.tobytes(), small.shape)
    if hull is None:
        return None
    outline = hull.astype(np.float32) * (grey.shape[1] / small.shape[1])
    return Sheet(outline, _corners(outline, grey.shape))


@lru_cache(maxsize=_KEPT)
def _find_hull(pixels: bytes, shape: tuple[int, int]) -> np.ndarray | None:
    """The hull of the sheet in a reduced picture; kept, because polarity, digit, number and page each ask for it."""
    small = np.frombuffer(pixels, np.uint8).reshape(shape)
    side = max(3, max(small.shape) // 24) | 1
    # The closing removes ink from the sheet, and the median its texture.
    closed = cv2.morphologyEx(cv2.medianBlur(small, 3), cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
    _, bright = cv2.threshold(closed, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    if all(side.all() for side in (bright[0], bright[-1], bright[:, 0], bright[:, -1])):
        return None  # no table at the border
    table = closed[bright == 0]
    if table.size == closed.size:
        return None
    hull = _largest_hull(bright)
    if hull is None or _is_on_paper(bright, hull) or not _has_ink(small, closed, bright, hull):
        return None
    contrast = float(np.median(closed[bright > 0])) - float(np.median(table))
    if contrast < max(_MIN_CONTRAST * float(np.median(closed[bright > 0])), 12):
        return None
    return hull if _has_sharp_sides(cv2.GaussianBlur(closed, (3, 3), 0), hull, contrast) else None


def without_table(page: Grey) -> Grey:
    """The picture with paper in place of the table; the same object if no sheet is found."""
    sheet = find_sheet(page)
    return page if sheet is None else paint_over_table(page, sheet)


def normalise_polarity(grey: Grey) -> Grey:
    """The picture with dark ink: inverted if the ink on its sheet is the lighter of the two shades."""
    small = downscale(without_table(reduce_large(grey)), GLANCE_PX)
    return 255 - grey if dark_ink_votes(small) < 0 else grey


def paint_over_table(grey: Grey, sheet: Sheet) -> Grey:
    """The picture with paper in place of everything around the sheet."""
    small = downscale(grey, _LOOK_PX)
    scale = small.shape[1] / grey.shape[1]
    rim = max(1, round(RIM * max(small.shape)))
    inside = np.zeros(small.shape, np.uint8)
    cv2.fillConvexPoly(inside, np.rint(sheet.outline * scale).astype(np.int32), 1)
    # Paper beyond the picture's edge is not the sheet's rim.
    padded = cv2.copyMakeBorder(inside, rim, rim, rim, rim, cv2.BORDER_REPLICATE)
    inside = np.asarray(cv2.erode(padded, np.ones((2 * rim + 1, 2 * rim + 1), np.uint8))[rim:-rim, rim:-rim])
    side = max(3, max(small.shape) // 6) | 1  # wider than the thickest stroke
    closed = cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8)).astype(np.float32)
    weight = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), max(small.shape) / 8)
    paper = cv2.GaussianBlur(closed * inside, (0, 0), max(small.shape) / 8) / np.maximum(weight, 1e-3)
    usual = float(np.median(closed[inside > 0])) if inside.any() else 255.0
    paper = np.where(weight > 0.02, paper, usual).clip(0, 255).astype(np.uint8)
    height, width = grey.shape
    mask = cv2.resize(inside, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.copyTo(grey, mask, cv2.resize(paper, (width, height))))


def _largest_hull(bright: UInt8[np.ndarray, "h w"]) -> np.ndarray | None:
    """The convex hull of the largest bright region, if it is solid and neither too small nor the whole picture."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(bright, connectivity=4)
    if len(stats) < 2:
        return None
    largest = 1 + int(stats[1:, 4].argmax())
    contours, _ = cv2.findContours((labels == largest).view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(contours, key=cv2.contourArea)
    hull = cv2.convexHull(outline)
    area, hull_area = cv2.contourArea(outline), cv2.contourArea(hull)
    if hull_area < _MIN_AREA * bright.size or area < _MIN_SOLIDITY * hull_area:
        return None
    polygon = cv2.approxPolyDP(hull, 0.02 * cv2.arcLength(hull, True), True)
    corners = np.asarray(polygon.reshape(-1, 2))
    # A quadrilateral, with up to four more corners where the picture's edges cut it; a blob has more, and so has a 0.
    edge, (height, width) = _AT_EDGE * max(bright.shape), bright.shape
    in_view = ((corners >= edge) & (corners < np.array([width, height]) - edge)).all(axis=1)
    if not 4 <= len(corners) <= 8 or in_view.sum() > 4 or cv2.contourArea(polygon) < 0.9 * hull_area:
        return None
    return corners


def _is_on_paper(bright: UInt8[np.ndarray, "h w"], hull: np.ndarray) -> bool:
    """Whether the surroundings of the hull are paper, by the picture's border."""
    outside = np.ones(bright.shape, np.uint8)
    cv2.fillConvexPoly(outside, hull.astype(np.int32), 0)
    outside[1:-1, 1:-1] = 0
    return bool(outside.any() and float(bright[outside > 0].mean()) > _MAX_BRIGHT_BORDER)


def _has_ink(small: Grey, closed: Grey, bright: UInt8[np.ndarray, "h w"], hull: np.ndarray) -> bool:
    """Whether something is drawn inside the hull: strokes that the closing removed, or thicker ones."""
    inside = np.zeros(small.shape, np.uint8)
    cv2.fillConvexPoly(inside, hull.astype(np.int32), 1)
    margin = max(3, max(small.shape) // 24) | 1
    inside = np.asarray(cv2.erode(inside, np.ones((margin, margin), np.uint8)))
    darkness = cv2.subtract(closed, small)[inside > 0]
    if not darkness.size:
        return False
    paper = float(np.median(closed[inside > 0]))
    inked = (darkness > 0.12 * paper) | (bright[inside > 0] == 0)
    return float(np.mean(inked)) >= _MIN_INK


def _has_sharp_sides(blurred: Grey, hull: np.ndarray, contrast: float) -> bool:
    """Whether at least two sides are inside the picture, with a sharp step from sheet to table along them."""
    height, width = blurred.shape
    reach, edge = max(2.0, 0.015 * max(blurred.shape)), 0.02 * max(blurred.shape)
    sides, sharp, total = 0, 0, 0
    centre = hull.mean(axis=0)
    for start, end in zip(hull.astype(float), np.roll(hull, -1, axis=0).astype(float), strict=True):
        length = float(np.hypot(*(end - start)))
        if length < 0.1 * min(blurred.shape):
            continue
        points = start + (end - start) * np.linspace(0.06, 0.94, max(8, int(length / 2)))[:, None]
        normal = np.array([end[1] - start[1], start[0] - end[0]]) / length
        if normal @ (centre - start) > 0:
            normal = -normal
        at_border = (points < edge) | (points > np.array([width, height]) - 1 - edge)
        if at_border.any(axis=1).mean() > 0.5:
            continue
        inner = _sample(blurred, points - normal * reach)
        outer = _sample(blurred, points + normal * reach)
        step = inner - outer >= _SHARP * contrast
        sides, sharp, total = sides + 1, sharp + int(step.sum()), total + len(step)
    return sides >= _MIN_SIDES and sharp >= _MIN_SHARP * total


def _sample(picture: Grey, points: np.ndarray) -> np.ndarray:
    height, width = picture.shape
    x, y = np.rint(points).astype(int).T
    return np.asarray(picture[y.clip(0, height - 1), x.clip(0, width - 1)], float)


def _corners(outline: np.ndarray, shape: tuple[int, ...]) -> Float32[np.ndarray, "4 2"] | None:
    """The four corners of a sheet that is completely in view; None otherwise."""
    if len(outline) != 4:
        return None
    height, width = shape
    edge = 0.01 * max(shape)
    if (outline < edge).any() or (outline > np.array([width, height]) - edge).any():
        return None
    middle = outline.mean(axis=0)
    order = np.argsort(np.arctan2(*(outline - middle).T[::-1]))  # clockwise on the screen, from the left
    clockwise = outline[order]
    first = int((clockwise.sum(axis=1)).argmin())
    return np.roll(clockwise, -first, axis=0).astype(np.float32)
