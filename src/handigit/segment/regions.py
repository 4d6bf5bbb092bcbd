"""Regions of a page that may contain one number, in reading order.

Segmentation uses ink, rules and distances, not the shapes of digits. The number reader drops regions without a number,
so a superfluous word costs a little time, and a number cut in two is lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from handigit.records import Box
from handigit.segment.candidates import Candidate, find_candidates, in_reading_order, join_print
from handigit.segment.form_fields import join_fields
from handigit.segment.page_rules import PageRules, find_page_rules

_MAX_SIDE_PX: Final = 2400
"""Longer side to which a larger page is reduced: A4 at 200 dpi is unchanged."""
_MAX_WORK_PX: Final = 4_400_000
"""Pixels to which a larger page is reduced, as memory goes by them; a photo with sides of 4 to 3 has 4.3 million."""
_MIN_SIDE_PX: Final = 1400
"""Longer side to which a smaller page is enlarged, so that rules have a width and strokes a shape."""
_MAX_ENLARGEMENT: Final = 4.0
_WIDE: Final = 1 / 60
"""Anything wider than this fraction of the page's longer side in both directions is not a stroke: a table, a shadow."""
_STROKES: Final = 1.5
"""The same in usual widths of the strokes, which are thick in a small picture of a few numbers."""
_DARKEST_PAPER: Final = 40
"""Minimum grey level of paper in shadow; below it ink cannot be distinguished."""
_MIN_DARKNESS: Final = 0.1
"""Minimum darkness of ink against its paper."""
_NOISE_MARGIN: Final = 5.0
"""Minimum darkness of ink in standard deviations of the paper."""
_PEN_FRACTION: Final = 0.3
"""Fraction of the page's dark ink at which a stroke ends; print under the writing is below it."""
_FAINT: Final = 0.5
"""Rules are searched at this fraction of the level for ink."""
_MIN_RELATIVE_HEIGHT: Final = 0.4
"""Minimum height of a region relative to the tallest for it to be a number of its own."""
_WIDE_GAP: Final = 3.0
"""Gap between two numbers in one row, in heights; the digits of one number are closer, also in cells."""
_GLANCE_PX: Final = 320
_MAX_GLANCED_PX: Final = 800
"""Longer side at which a crop is looked at for more than one row, and of the largest such crop."""
_MAX_GLANCED_ASPECT: Final = 4
_MAX_GLANCED_GAP: Final = 1.5
"""Maximum width of a part and of a gap in one row, in heights: rules and other numbers are beyond."""
_MIN_GLANCED_RULE: Final = 0.2
"""Minimum length of a rule, as a fraction of the picture's width."""
_MIN_GLANCED_PX: Final = 6
"""Minimum area of a part that counts inside a frame, in pixels of the small copy."""
_MARGIN: Final = 0.25
"""Margin of a region's crop, in heights of the writing."""


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A region that may contain a number: `box` around its ink, in pixels of the page as given.

    `pixels`: the crop to read, at the working size, with a margin or the whole form field, without printed rules.
    `cells`: the number of form cells with its ink, 0 outside of a form. `origin`: the crop's left and top at the
    working size, which is `scale` times the page's.
    """

    box: Box
    pixels: UInt8[np.ndarray, "height width"]
    cells: int
    origin: tuple[int, int]
    scale: float

    def on_page(self, box: Box) -> Box:
        """A box in `pixels` as a box on the page."""
        return _unscale(box.moved(*self.origin), self.scale)


def find_regions(page: UInt8[np.ndarray, "height width"]) -> list[Region]:
    """The regions of a page that may contain numbers, ink dark on light, at most a few degrees askew.

    Handwriting beside print is separate if there is a gap. A word is one region, a line of print too.
    """
    return find_regions_at_scale(*to_working_size(page))


def to_working_size(page: UInt8[np.ndarray, "height width"]) -> tuple[UInt8[np.ndarray, "h w"], float]:
    """The copy of a page on which its regions are searched, and its scale."""
    longest, most = max(page.shape), float(np.sqrt(_MAX_WORK_PX / page.size))
    scale = float(min(max(_MIN_SIDE_PX / longest, 1.0), _MAX_SIDE_PX / longest, most, _MAX_ENLARGEMENT))
    return _resize(page, scale), scale


def find_regions_at_scale(work: UInt8[np.ndarray, "height width"], scale: float) -> list[Region]:
    """As `find_regions`, on the copy from `to_working_size`, so that the caller can drop a large page first."""
    paper = _paper_brightness(work)
    darkness = _darkness(work, paper)
    level, faint = _ink_levels(darkness)
    if level is None:
        return []
    dark, pale = (darkness > level).view(np.uint8), (darkness > faint).view(np.uint8)
    darkness = cv2.convertScaleAbs(darkness, alpha=255)
    rules = find_page_rules(pale, darkness)
    del darkness, pale
    ink = _remove_rules(rules, dark)
    del dark
    clean = _paint_over(work, paper, rules, ink)
    del paper
    candidates = join_print(join_fields(*find_candidates(ink, rules), rules))
    return [_to_region(candidate, rules, clean, scale) for candidate in in_reading_order(candidates)]


def _resize(page: UInt8[np.ndarray, "height width"], scale: float) -> UInt8[np.ndarray, "h w"]:
    if scale == 1:
        return page
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    size = max(1, round(page.shape[1] * scale)), max(1, round(page.shape[0] * scale))
    return np.asarray(cv2.resize(page, size, interpolation=interpolation))


def _paper_brightness(page: UInt8[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width"]:
    """The brightness of the paper; anything too wide for a stroke counts as paper."""
    side = max(15, round(max(page.shape) * _WIDE), round(_STROKES * _stroke_width(page))) | 1
    paper = cv2.morphologyEx(page, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
    return np.asarray(cv2.blur(paper, (side // 2 | 1, side // 2 | 1)))


def _stroke_width(page: UInt8[np.ndarray, "height width"]) -> float:
    """The usual width of the strokes in pixels, by the median of all parts, so that neither bars nor shadows count."""
    scale = min(1.0, _GLANCE_PX / max(page.shape))
    small = _resize(page, scale)
    side = max(small.shape) // 4 | 1
    darkness = cv2.subtract(cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8)), small)
    _, mask = cv2.threshold(darkness, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    count, labels = cv2.connectedComponents(mask, connectivity=8)
    if count < 2:
        return 0.0
    radii = np.zeros(count, np.float32)
    np.maximum.at(radii, labels.astype(np.intp), cv2.distanceTransform(mask, cv2.DIST_L2, 3))
    return float(2 * np.median(radii[1:]) / scale)


def _darkness(
    page: UInt8[np.ndarray, "height width"], paper: UInt8[np.ndarray, "height width"]
) -> Float32[np.ndarray, "height width"]:
    """Darkness against the paper around: 0 paper, 1 black."""
    return np.asarray(cv2.divide(cv2.subtract(paper, page), np.maximum(paper, _DARKEST_PAPER), dtype=cv2.CV_32F))


def _ink_levels(darkness: Float32[np.ndarray, "height width"]) -> tuple[float | None, float]:
    """The minimum darkness of ink, None for bare paper, and that of rules."""
    sample = darkness[::5, ::5]
    middle = float(np.median(sample))
    noise = float(np.median(np.abs(sample - middle))) / 0.674
    lightest = max(_MIN_DARKNESS, _NOISE_MARGIN * noise)
    inked = sample[sample > lightest]
    if not inked.size:
        return None, 0.0
    level = max(lightest, _PEN_FRACTION * float(np.quantile(inked, 0.9)))
    return level, max(_FAINT * level, _NOISE_MARGIN * noise)


def _remove_rules(rules: PageRules, ink: UInt8[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width"]:
    """The ink without the rules, except where a stroke crosses one or is much darker than it."""
    rest = cv2.bitwise_and(ink, 1 - rules.both | rules.written)
    across = cv2.morphologyEx(rest, cv2.MORPH_CLOSE, np.ones((9, 1), np.uint8))
    down = cv2.morphologyEx(rest, cv2.MORPH_CLOSE, np.ones((1, 9), np.uint8))
    crossing = cv2.bitwise_or(cv2.bitwise_and(across, rules.level), cv2.bitwise_and(down, rules.upright))
    return np.asarray(cv2.bitwise_or(rest, cv2.bitwise_and(ink, crossing)))


def _paint_over(
    page: UInt8[np.ndarray, "height width"],
    paper: UInt8[np.ndarray, "height width"],
    rules: PageRules,
    ink: UInt8[np.ndarray, "height width"],
) -> UInt8[np.ndarray, "height width"]:
    """The page with paper in place of its rules, except under ink."""
    rims = cv2.dilate(rules.both, np.ones((3, 3), np.uint8))
    return np.where((rims > 0) & (cv2.dilate(ink, np.ones((3, 3), np.uint8)) == 0), paper, page)


def _to_region(
    candidate: Candidate, rules: PageRules, clean: UInt8[np.ndarray, "height width"], scale: float
) -> Region:
    """A candidate with its crop: in a form field everything inside its rules, where a first 1 may be."""
    box, margin = candidate.box, max(2, round(_MARGIN * candidate.box.height))
    crop = Box(max(box.left - margin, 0), max(box.top - margin, 0), box.right + margin, box.bottom + margin)
    if candidate.cells and (cell := rules.cell(box)):
        crop = Box.around([crop, cell])
    pixels = np.ascontiguousarray(clean[crop.top : crop.bottom, crop.left : crop.right])
    return Region(_unscale(box, scale), pixels, candidate.cells, (crop.left, crop.top), scale)


def _unscale(box: Box, scale: float) -> Box:
    """A box at the working size as one on the page."""
    return Box(
        int(box.left / scale), int(box.top / scale), int(np.ceil(box.right / scale)), int(np.ceil(box.bottom / scale))
    )


def may_be_several(page: UInt8[np.ndarray, "height width"]) -> bool:
    """Whether `find_regions` could find several numbers; False if all ink is one row at a glance, as in most crops.

    A small copy is enough, as much lower parts do not count; a larger page is not judged.
    """
    if max(page.shape) > _MAX_GLANCED_PX:
        return True
    small = _resize(page, min(1.0, _GLANCE_PX / max(page.shape)))
    darkness = _darkness(small, _paper_brightness(small))
    inked = darkness[darkness > _MIN_DARKNESS]
    if not inked.size:
        return False
    level = max(_MIN_DARKNESS, _FAINT * _PEN_FRACTION * float(np.quantile(inked, 0.9)))
    _, _, stats, _ = cv2.connectedComponentsWithStats((darkness > level).view(np.uint8), connectivity=8)
    left, top, width, height, area = stats[1:].T
    is_rule = (width > _MAX_GLANCED_ASPECT * height) & (width > _MIN_GLANCED_RULE * small.shape[1])
    if is_rule.any() or _has_a_frame(left, top, width, height, area):
        return True
    main = height >= _FAINT * _MIN_RELATIVE_HEIGHT * height.max()
    left, top, right, bottom = (side[main] for side in (left, top, left + width, top + height))
    if top.max() > bottom.min():
        return True
    order = np.argsort(left)
    gaps = left[order][1:] - np.maximum.accumulate(right[order])[:-1]
    is_apart = gaps > _MAX_GLANCED_GAP * height[main].min()
    is_inside = -gaps > 0.5 * (right - left)[order][1:]  # of a frame
    return bool((is_apart | is_inside).any())


def _has_a_frame(left: np.ndarray, top: np.ndarray, width: np.ndarray, height: np.ndarray, area: np.ndarray) -> bool:
    """Whether there is ink inside the largest part: a table or a box, whose size is not that of the writing."""
    largest = int((width * height).argmax())
    inside = (left > left[largest]) & (left + width < left[largest] + width[largest])
    inside &= (top > top[largest]) & (top + height < top[largest] + height[largest])
    return bool((inside & (area >= _MIN_GLANCED_PX)).any())


def are_several(boxes: Sequence[Box], *, tall: float = 1) -> bool:
    """Whether boxes are of several numbers: in two rows, or in one row far apart; much lower ones do not count.

    `tall`: the quantile of their heights that counts as the tallest; others may be the frames of tables.
    """
    tallest = float(np.quantile([box.height for box in boxes] or [0], tall, method="higher"))
    main = [box for box in boxes if box.height >= _MIN_RELATIVE_HEIGHT * tallest]
    for i, a in enumerate(main):
        for b in main[i + 1 :]:
            height = max(a.height, b.height)
            below = max(a.top, b.top) - min(a.bottom, b.bottom)
            if below > 0.1 * height:
                return True
    ordered = sorted(main, key=lambda box: box.left)
    return any(b.left - a.right > _WIDE_GAP * max(a.height, b.height) for a, b in pairwise(ordered))
