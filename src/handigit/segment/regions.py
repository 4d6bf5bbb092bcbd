"""Proposals of numbers on a whole page: where something is written that may be one number, in reading order.

It knows ink, lines and distances; it does not know digits. What it proposes is read by the number reader, which drops
what is no number; so a word too many costs a little time, and a number that is cut in two is lost.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from handigit.records import Box
from handigit.segment.candidates import Mark, around, find_marks, in_reading_order, lines_of_print
from handigit.segment.form_fields import in_fields
from handigit.segment.page_rules import Ruling, find_ruling

_LARGEST_PX: Final = 2400
"""Longer side at which a larger page is searched: A4 at 200 dpi as it is."""
_LEAST_PX: Final = 1400
"""Longer side to which a smaller page is enlarged, so that lines have a width and strokes a shape."""
_MOST_ENLARGED: Final = 4.0
_PAPER_SHARE: Final = 1 / 60
"""What is wider than this share of the page's longer side both ways is no stroke: a table, a panel, a shadow."""
_DARKEST_PAPER: Final = 40
"""Grey level below which paper in shadow is not told from ink any more."""
_LEAST_DARKNESS: Final = 0.1
"""Ink paler than this against its paper is taken for paper."""
_NOISE_MARGIN: Final = 5.0
"""Ink must stand out by so many standard deviations of the paper."""
_PEN_SHARE: Final = 0.3
"""Share of the page's dark ink at which a stroke ends; below lies what is printed under the writing."""
_FAINT: Final = 0.5
"""Lines are looked for at this share of the level for ink."""
_MARGIN: Final = 0.25
"""Paper around a proposal in its crop, in heights of what is written there."""


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """Where a number may stand: `box` around its ink, in pixels of the page as given.

    `pixels`: what to read, cut out of the page at the size at which it was searched, with a margin or all the field's
    space, and without printed lines. `cells`: how many cells of a form's field hold the ink, 0 outside of a form.
    """

    box: Box
    pixels: UInt8[np.ndarray, "height width"]
    cells: int
    origin: tuple[int, int]
    scale: float

    def on_page(self, box: Box) -> Box:
        """A box in `pixels` as a box on the page."""
        left, top = self.origin
        moved = Box(box.left + left, box.top + top, box.right + left, box.bottom + top)
        return _unscaled(moved, self.scale)


def find_lines(page: UInt8[np.ndarray, "height width"]) -> list[Region]:
    """Where numbers may be on a page, ink dark on light, at most a few degrees askew; in reading order.

    Handwriting beside print stands alone where there is a gap; words come as one proposal each, lines of print too.
    """
    scale = _working_scale(page)
    work = _resized(page, scale)
    paper = _paper(work)
    darkness = _darkness(work, paper)
    level, faint = _levels(darkness)
    if level is None:
        return []
    ruling = find_ruling(darkness, faint_level=faint)
    ink = _without(ruling, (darkness > level).view(np.uint8))
    clean = _painted_over(work, paper, ruling, ink)
    marks = lines_of_print(in_fields(find_marks(ink, ruling), ruling))
    return [_region(mark, ruling, clean, scale) for mark in in_reading_order(marks)]


def _working_scale(page: UInt8[np.ndarray, "height width"]) -> float:
    longest = max(page.shape)
    return float(min(max(_LEAST_PX / longest, 1.0), _LARGEST_PX / longest, _MOST_ENLARGED))


def _resized(page: UInt8[np.ndarray, "height width"], scale: float) -> UInt8[np.ndarray, "h w"]:
    if scale == 1:
        return page
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    size = max(1, round(page.shape[1] * scale)), max(1, round(page.shape[0] * scale))
    return np.asarray(cv2.resize(page, size, interpolation=how))


def _paper(page: UInt8[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width"]:
    """How bright the paper is in each place; what is too wide for a stroke counts as paper."""
    side = max(15, round(max(page.shape) * _PAPER_SHARE)) | 1
    paper = cv2.morphologyEx(page, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
    return np.asarray(cv2.blur(paper, (side // 2 | 1, side // 2 | 1)))


def _darkness(
    page: UInt8[np.ndarray, "height width"], paper: UInt8[np.ndarray, "height width"]
) -> Float32[np.ndarray, "height width"]:
    """How dark each place is against the paper around: 0 paper, 1 black."""
    return np.asarray(cv2.divide(cv2.subtract(paper, page), np.maximum(paper, _DARKEST_PAPER), dtype=cv2.CV_32F))


def _levels(darkness: Float32[np.ndarray, "height width"]) -> tuple[float | None, float]:
    """The darkness from which something is ink, None for bare paper, and that from which it may be a line."""
    sample = darkness[::5, ::5]
    middle = float(np.median(sample))
    noise = float(np.median(np.abs(sample - middle))) / 0.674
    least = max(_LEAST_DARKNESS, _NOISE_MARGIN * noise)
    inked = sample[sample > least]
    if not inked.size:
        return None, 0.0
    level = max(least, _PEN_SHARE * float(np.quantile(inked, 0.9)))
    return level, max(_FAINT * level, _NOISE_MARGIN * noise)


def _without(ruling: Ruling, ink: UInt8[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width"]:
    """The ink without the lines, save where a stroke crosses one."""
    rest = cv2.bitwise_and(ink, 1 - ruling.lines)
    across = cv2.morphologyEx(rest, cv2.MORPH_CLOSE, np.ones((9, 1), np.uint8))
    down = cv2.morphologyEx(rest, cv2.MORPH_CLOSE, np.ones((1, 9), np.uint8))
    crossing = cv2.bitwise_or(cv2.bitwise_and(across, ruling.level), cv2.bitwise_and(down, ruling.upright))
    return np.asarray(cv2.bitwise_or(rest, cv2.bitwise_and(ink, crossing)))


def _painted_over(
    page: UInt8[np.ndarray, "height width"],
    paper: UInt8[np.ndarray, "height width"],
    ruling: Ruling,
    ink: UInt8[np.ndarray, "height width"],
) -> UInt8[np.ndarray, "height width"]:
    """The page with paper in place of its lines, save where ink lies on them."""
    rims = cv2.dilate(ruling.lines, np.ones((3, 3), np.uint8))
    return np.where((rims > 0) & (cv2.dilate(ink, np.ones((3, 3), np.uint8)) == 0), paper, page)


def _region(mark: Mark, ruling: Ruling, clean: UInt8[np.ndarray, "height width"], scale: float) -> Region:
    """A mark with what to read of it: in a form's field all that is within its lines, where a first 1 may stand."""
    box, margin = mark.box, max(2, round(_MARGIN * mark.box.height))
    seen = Box(max(box.left - margin, 0), max(box.top - margin, 0), box.right + margin, box.bottom + margin)
    if mark.cells and (cell := ruling.cell(box)):
        seen = around(np.array([seen.as_list(), cell.as_list()]))
    pixels = np.ascontiguousarray(clean[seen.top : seen.bottom, seen.left : seen.right])
    return Region(_unscaled(box, scale), pixels, mark.cells, (seen.left, seen.top), scale)


def _unscaled(box: Box, scale: float) -> Box:
    """A box at the working size as one on the page."""
    return Box(
        int(box.left / scale), int(box.top / scale), int(np.ceil(box.right / scale)), int(np.ceil(box.bottom / scale))
    )
