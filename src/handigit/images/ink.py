"""The ink of the digit on a page and its strength, apart from noise, specks, table edges and stray marks."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int32, UInt8

from handigit.images.background import Background
from handigit.images.rules import remove_rules
from handigit.records import Box

_MIN_DARKNESS: Final = 0.08
"""Minimum darkness of ink against its paper."""
_NOISE_MARGIN: Final = 6.0
"""Minimum darkness of ink in standard deviations of the paper."""
_PEN_FRACTION: Final = 0.3
"""Fraction of the pen's darkness at which a stroke ends; 0.5 would be its true edge, less keeps thin strokes whole."""
_MIN_EVIDENCE: Final = 12.0
"""Minimum of the digit's mean darkness in deviations of the paper nearby."""
_MIN_DIGIT_PX: Final = 4
"""Longer side of the smallest digit."""
_SPECK: Final = 0.012
"""Fraction of the page's longer side below which a mark is dust."""
_MAX_SIMILAR: Final = 12
"""More large parts of similar weight are a printed pattern, not strokes of a digit."""
_FRAMES_TRIED: Final = 4
"""Number of the largest components that are tested for being frames."""
_RULE_FRACTION: Final = 0.5
"""Rules are searched at this fraction of the level for ink: thinner than a pixel, they are paler."""
_HUGGING_WEIGHT: Final = 0.1
"""Weight of a component along the picture's edge: a digit that is cut off there, only if nothing else is."""
_WHOLE_SIDE: Final = 0.95
_LINE: Final = 0.06
"""Maximum thickness of a cell's line beside a digit, as a fraction of the picture's longer side."""
_STROKES: Final = 0.6
"""Maximum fraction of their box that strokes cover; a table or a blot covers more."""
_TIGHT_PARTS: Final = 2
"""Number of parts of a digit cut to its box that may all run along the picture's edges."""
_CROP: Final = 0.45
"""Fraction of the picture's longer side from which its main component fills it: a crop of one digit."""
_FEW_PARTS: Final = 3
"""Maximum number of parts of a character with gaps between its parts; more are noise or a pattern."""
_SMALL_PX: Final = 64
"""Longer side of a picture too small to measure its paper's noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Ink:
    """The ink of one digit: `strength` 0..1 (0 off the digit), and the box around it in the same pixels."""

    strength: Float32[np.ndarray, "height width"]
    box: Box


def find_ink(background: Background) -> Ink | None:
    """The ink of the most likely digit; None where nothing differs from the paper."""
    pen = _pen_darkness(background)
    if pen is None:
        return None
    level = max(_PEN_FRACTION * pen, min(_NOISE_MARGIN * background.noise, 0.7 * pen))
    inked = (background.darkness > level).view(np.uint8)
    selected = _digit_of(remove_rules(inked, background.darkness, faint=_RULE_FRACTION * level))
    if selected is None:
        return None
    digit, box = selected
    if max(inked.shape) > _SMALL_PX and _evidence(background, inked, digit, box) < _MIN_EVIDENCE:
        return None
    near = cv2.dilate(digit, np.ones((3, 3), np.uint8))
    return Ink(np.minimum(background.darkness * near * np.float32(1 / pen), 1), box)


def _evidence(
    background: Background, inked: UInt8[np.ndarray, "height width"], digit: UInt8[np.ndarray, "height width"], box: Box
) -> float:
    """Contrast of the ink with the paper around it, in that paper's deviations; 0 where it is not on paper.

    Above 15 for every pen, pencil and paper tried; below 11 for grains of noise, slopes of light and pieces of blurred
    rules. A part with much of its own brightness beside it is the rim of a table or a shadow.
    """
    margin = max(4, (box.width + box.height) // 8)
    around = np.s_[max(box.top - margin, 0) : box.bottom + margin, max(box.left - margin, 0) : box.right + margin]
    bare = cv2.dilate(inked[around], np.ones((5, 5), np.uint8)) == 0
    if not bare.any():
        return np.inf
    beside = background.page[around][bare]
    ink = cv2.mean(background.page, digit)[0]
    if np.mean(beside < ink + 0.15 * (float(np.max(beside)) - ink)) > 0.25:
        return 0
    darkness = background.darkness[around][bare]
    paper = float(np.median(darkness))
    deviation = float(np.median(np.abs(darkness - paper))) / 0.674
    return (float(cv2.mean(background.darkness, digit)[0]) - paper) / (deviation + 0.004)


def _pen_darkness(background: Background) -> float | None:
    """The darkness of the pen at its full width; None for bare paper."""
    floor = max(_MIN_DARKNESS, _NOISE_MARGIN * background.noise)
    inked = background.darkness[background.darkness > floor]
    if not inked.size:
        return None
    rank = int(0.9 * (inked.size - 1))
    return float(np.partition(inked, rank)[rank])


def _digit_of(mask: UInt8[np.ndarray, "height width"]) -> tuple[UInt8[np.ndarray, "height width"], Box] | None:
    """The strokes of one digit among the components of a mask, and their box."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count == 1:
        return None
    parts = stats[1:]
    if count == 2 and not _covers_side(parts, labels)[0]:
        left, top, width, height, _ = parts[0].tolist()
        is_dust = max(width, height) < max(_MIN_DIGIT_PX, _SPECK * max(mask.shape))
        return None if is_dust else (mask, Box(left, top, left + width, top + height))
    selected = _select_parts(parts, labels)
    if not selected.any():
        return None
    boxes = parts[selected]
    left, top = int(boxes[:, 0].min()), int(boxes[:, 1].min())
    right = int((boxes[:, 0] + boxes[:, 2]).max())
    bottom = int((boxes[:, 1] + boxes[:, 3]).max())
    digit = mask if selected.all() else np.append(np.uint8(0), selected.astype(np.uint8))[labels]
    return digit, Box(left, top, right, bottom)


def _select_parts(parts: Int32[np.ndarray, "n 5"], labels: Int32[np.ndarray, "height width"]) -> Bool[np.ndarray, " n"]:
    """The components of the digit: the heaviest one away from the edges and its neighbours; none if all are dust."""
    height, width = labels.shape
    side = np.maximum(parts[:, 2], parts[:, 3])
    weight = parts[:, 4].astype(np.float64)
    usable: np.ndarray = side >= max(_MIN_DIGIT_PX, _SPECK * max(height, width))
    inside = ~(_is_frame(parts, labels) | _covers_side(parts, labels) | _is_line_beside(parts, labels))
    usable &= inside
    hugging = _hugs_edge(parts, labels) & (not _is_cut_to_box(parts, usable, labels))
    middle = parts[:, :2] + parts[:, 2:4] / 2
    offset = ((middle - (width / 2, height / 2)) / (width, height)) ** 2
    weight = weight * np.exp(-2 * offset.sum(axis=1)) * np.where(hugging, _HUGGING_WEIGHT, 1)
    if not usable.any():
        return usable
    weight = np.where(usable, weight, 0)
    main = _cut_off_part(parts, int(np.argmax(weight)), hugging & usable)
    if not hugging[main]:
        inside &= ~hugging | _completes(parts, main)
    if np.count_nonzero(weight > 0.5 * weight.max()) > _MAX_SIMILAR:
        return np.zeros_like(usable)
    usable |= parts[:, 4] >= 0.02 * parts[main, 4]
    usable &= inside
    fills = parts[main, 2:4].max() > _CROP * max(height, width)
    kept = _neighbours(parts, main, reach=1.0 if fills else 0.5) | _stacked(parts, main, usable, height)
    return np.asarray(usable & kept)


def _is_frame(parts: Int32[np.ndarray, "n 5"], labels: Int32[np.ndarray, "height width"]) -> Bool[np.ndarray, " n"]:
    """Components that are a box drawn around another, however thick: at least three of its sides are straight."""
    frames = np.zeros(len(parts), bool)
    near, far = parts[:, :2], parts[:, :2] + parts[:, 2:4]
    side = parts[:, 2:4].max(axis=1)
    for number in np.argsort(-side)[:_FRAMES_TRIED]:
        inside = (near > near[number]).all(axis=1) & (far < far[number]).all(axis=1)
        if (inside & (side > 0.35 * side[number])).any():
            left, top, width, height, _ = parts[number].tolist()
            outline = labels[top : top + height, left : left + width] == number + 1
            band_x, band_y = max(width // 8, 2), max(height // 8, 2)
            rows, columns = (outline[:band_y], outline[-band_y:]), (outline[:, :band_x], outline[:, -band_x:])
            covered = [band.any(axis=0).mean() for band in rows] + [band.any(axis=1).mean() for band in columns]
            frames[number] = sum(fraction > 0.8 for fraction in covered) >= 3
    return frames


def _hugs_edge(parts: Int32[np.ndarray, "n 5"], labels: Int32[np.ndarray, "height width"]) -> Bool[np.ndarray, " n"]:
    """Components along the picture's edge, such as tables and cut-off neighbours; strokes only run into it."""
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    touching = np.bincount(edge, minlength=len(parts) + 1)[1:]
    return np.asarray(touching > 0.4 * np.maximum(parts[:, 2], parts[:, 3]))


def _covers_side(parts: Int32[np.ndarray, "n 5"], labels: Int32[np.ndarray, "height width"]) -> Bool[np.ndarray, " n"]:
    """Components along a whole side of the picture without filling it: a table, the edge of a shadow."""
    height, width = labels.shape
    covered = np.zeros(len(parts), bool)
    for side in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        covered |= np.bincount(side, minlength=len(parts) + 1)[1:] > _WHOLE_SIDE * len(side)
    return np.asarray(covered & ~((parts[:, 2] > 0.7 * width) & (parts[:, 3] > 0.7 * height)))


def _is_line_beside(
    parts: Int32[np.ndarray, "n 5"], labels: Int32[np.ndarray, "height width"]
) -> Bool[np.ndarray, " n"]:
    """Straight lines from edge to edge that are thicker than rules, beside a larger part: the border of a cell."""
    found = np.zeros(len(parts), bool)
    thickest = _LINE * max(labels.shape)
    for axis in (0, 1):  # the lines' thickness is measured along x, then along y
        along = 1 - axis
        thickness, length = parts[:, 2 + axis], parts[:, 2 + along]
        whole = length == labels.shape[axis]
        straight = thickness <= parts[:, 4] / np.maximum(length, 1) + 1
        found |= whole & straight & (thickness <= thickest)
    rest = parts[~found]
    return found if len(rest) and rest[:, 4].max() > parts[found, 4].max(initial=0) else np.zeros_like(found)


def _is_cut_to_box(
    parts: Int32[np.ndarray, "n 5"], usable: Bool[np.ndarray, " n"], labels: Int32[np.ndarray, "height width"]
) -> bool:
    """Whether a picture is cut to the box of a few parts, so that those along its edges are strokes of the digit."""
    boxes = parts[usable]
    if not 0 < len(boxes) <= _TIGHT_PARTS:
        return False
    far = (boxes[:, :2] + boxes[:, 2:4]).max(axis=0)
    return not boxes[:, :2].min(axis=0).any() and bool((far == labels.shape[::-1]).all())


def _cut_off_part(parts: Int32[np.ndarray, "n 5"], main: int, hugging: Bool[np.ndarray, " n"]) -> int:
    """The part that `main` completes: much larger strokes that the picture's edge cuts off; `main` if there is none."""
    fills = parts[:, 4] / (parts[:, 2] * parts[:, 3])
    for number in np.flatnonzero(hugging & (fills < _STROKES)).tolist():
        if number != main and _completes(parts, number)[main]:
            return int(number)
    return main


def _completes(parts: Int32[np.ndarray, "n 5"], main: int) -> Bool[np.ndarray, " n"]:
    """Smaller components right above or below the main one: the bar of a 5 in a tight crop, but no neighbour."""
    left, right = parts[:, 0], parts[:, 0] + parts[:, 2]
    overlap = np.minimum(right, right[main]) - np.maximum(left, left[main])
    near, far = parts[:, 1], parts[:, 1] + parts[:, 3]
    gap = np.maximum(near - far[main], near[main] - far)
    close = gap <= 0.15 * parts[main, 2:4].max()
    return np.asarray((overlap >= 0.6 * parts[:, 2]) & close & (parts[:, 4] < 0.6 * parts[main, 4]))


def _stacked(
    parts: Int32[np.ndarray, "n 5"], main: int, usable: Bool[np.ndarray, " n"], height: int
) -> Bool[np.ndarray, " n"]:
    """The few parts of a character that fills its picture, one above the other: a question mark, a colon."""
    none = np.zeros(len(parts), bool)
    left, right = parts[:, 0], parts[:, 0] + parts[:, 2]
    overlap = np.minimum(right, right[main]) - np.maximum(left, left[main])
    stacked = usable & (overlap >= 0.5 * np.minimum(parts[:, 2], parts[main, 2]))
    top, bottom = parts[stacked, 1], parts[stacked, 1] + parts[stacked, 3]
    if np.count_nonzero(usable) > _FEW_PARTS or bottom.max() - top.min() <= _CROP * height:
        return none
    return np.asarray(stacked)


def _neighbours(parts: Int32[np.ndarray, "n 5"], main: int, *, reach: float) -> Bool[np.ndarray, " n"]:
    """The components near enough to the main one to be strokes of the same digit.

    A large one may be up to `reach` times the main one's longer side away: farther in a crop of one character,
    where a 5's bar may float high above the rest, than on a page, where it may belong to another.
    """
    near, far = parts[:, :2], parts[:, :2] + parts[:, 2:4]
    gap = np.maximum(np.maximum(near - far[main], near[main] - far), 0).max(axis=1)
    reaches = np.where(parts[:, 4] > 0.15 * parts[main, 4], reach, 0.15) * parts[main, 2:4].max()
    return np.asarray(gap <= reaches)
