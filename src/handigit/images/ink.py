"""Which pixels of a page are the ink of its digit, and how strong it is there.

It knows how strokes differ from noise, specks, table edges and stray marks; it does not know digits by their shape.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int32, UInt8

from handigit.images.background import Shade
from handigit.images.rules import without_lines
from handigit.records import Box

_LEAST_DARKNESS: Final = 0.08
"""Ink paler than this against its paper is taken for paper."""
_NOISE_MARGIN: Final = 6.0
"""Ink must stand out by so many standard deviations of the paper."""
_PEN_SHARE: Final = 0.3
"""Share of the pen's darkness at which its stroke ends: half would be the true edge, less keeps thin strokes whole."""
_LEAST_EVIDENCE: Final = 6.0
"""Deviations of the paper nearby by which a digit's mean darkness must exceed it."""
_LEAST_PX: Final = 4
"""Longer side of the smallest digit; less is dust in any picture."""
_SPECK: Final = 0.012
"""Share of the page's longer side below which a mark is dust."""
_MOST_ALIKE: Final = 12
"""More large parts than this of like weight are a printed pattern, not strokes of a digit."""
_FRAMES_TRIED: Final = 4
"""So many of the largest components may be frames."""
_LINE_SHARE: Final = 0.5
"""Lines are looked for at this share of the level for ink: thinner than a pixel, they are dark only here and there."""
_SMALL_PX: Final = 64
"""Longer side up to which a picture is a crop of one character, whose strokes may run along its edges."""


@dataclass(frozen=True, slots=True, eq=False)
class Ink:
    """The ink of one digit: `strength` 0..1 (0 off the digit), and the box around it in the same pixels."""

    strength: Float32[np.ndarray, "height width"]
    box: Box


def find_ink(shade: Shade) -> Ink | None:
    """The ink of the most likely digit; None where nothing stands out from the paper."""
    pen = _pen_darkness(shade)
    if pen is None:
        return None
    level = max(_PEN_SHARE * pen, min(_NOISE_MARGIN * shade.noise, 0.7 * pen))
    inked = (shade.darkness > level).view(np.uint8)
    chosen = _digit_of(without_lines(inked, shade.darkness, faint=_LINE_SHARE * level))
    if chosen is None:
        return None
    digit, box = chosen
    if max(inked.shape) > _SMALL_PX and _evidence(shade, inked, digit, box) < _LEAST_EVIDENCE:
        return None
    near = cv2.dilate(digit, np.ones((3, 3), np.uint8))
    return Ink(np.minimum(shade.darkness * near * np.float32(1 / pen), 1), box)


def _evidence(
    shade: Shade, inked: UInt8[np.ndarray, "height width"], digit: UInt8[np.ndarray, "height width"], box: Box
) -> float:
    """How far the ink stands out from the paper around it, in that paper's own deviations; 0 where it is no paper.

    Above 15 for every pen, pencil and paper tried; below 6 for grains of noise and slopes of light. What has much
    of its own brightness beside it is the rim of a table or a shadow.
    """
    margin = max(4, (box.width + box.height) // 8)
    around = np.s_[max(box.top - margin, 0) : box.bottom + margin, max(box.left - margin, 0) : box.right + margin]
    bare = cv2.dilate(inked[around], np.ones((5, 5), np.uint8)) == 0
    if not bare.any():
        return np.inf
    beside = shade.page[around][bare]
    ink = cv2.mean(shade.page, digit)[0]
    if np.mean(beside < ink + 0.15 * (float(np.max(beside)) - ink)) > 0.25:
        return 0
    darkness = shade.darkness[around][bare]
    paper = float(np.median(darkness))
    deviation = float(np.median(np.abs(darkness - paper))) / 0.674
    return (float(cv2.mean(shade.darkness, digit)[0]) - paper) / (deviation + 0.004)


def _pen_darkness(shade: Shade) -> float | None:
    """How dark the pen is at its full width; None for bare paper."""
    floor = max(_LEAST_DARKNESS, _NOISE_MARGIN * shade.noise)
    inked = shade.darkness[shade.darkness > floor]
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
    if count == 2 and max(mask.shape) <= _SMALL_PX:
        left, top, width, height, _ = parts[0].tolist()
        return (mask, Box(left, top, left + width, top + height)) if max(width, height) >= _LEAST_PX else None
    kept = _chosen(parts, labels)
    if not kept.any():
        return None
    boxes = parts[kept]
    left, top = int(boxes[:, 0].min()), int(boxes[:, 1].min())
    right = int((boxes[:, 0] + boxes[:, 2]).max())
    bottom = int((boxes[:, 1] + boxes[:, 3]).max())
    digit = mask if kept.all() else np.append(np.uint8(0), kept.astype(np.uint8))[labels]
    return digit, Box(left, top, right, bottom)


def _chosen(parts: Int32[np.ndarray, "n 5"], labels: Int32[np.ndarray, "height width"]) -> Bool[np.ndarray, " n"]:
    """Which components are the digit: the weightiest away from the edges, with its neighbours; none if all is dust."""
    height, width = labels.shape
    side = np.maximum(parts[:, 2], parts[:, 3])
    weight = parts[:, 4].astype(np.float64)
    usable: np.ndarray = side >= max(_LEAST_PX, _SPECK * max(height, width))
    inside = ~_is_frame(parts, labels)
    if max(height, width) > _SMALL_PX:
        inside &= ~_hugs_edge(parts, labels)
        middle = parts[:, :2] + parts[:, 2:4] / 2
        off = ((middle - (width / 2, height / 2)) / (width, height)) ** 2
        weight = weight * np.exp(-2 * off.sum(axis=1))
    usable &= inside
    if not usable.any():
        return usable
    weight = np.where(usable, weight, 0)
    main = int(np.argmax(weight))
    if np.count_nonzero(weight > 0.5 * weight[main]) > _MOST_ALIKE:
        return np.zeros_like(usable)
    usable |= parts[:, 4] >= 0.02 * parts[main, 4]
    usable &= inside & _neighbours(parts, main, reach=1.0 if max(height, width) <= _SMALL_PX else 0.5)
    return usable


def _is_frame(parts: Int32[np.ndarray, "n 5"], labels: Int32[np.ndarray, "height width"]) -> Bool[np.ndarray, " n"]:
    """Components that are a box drawn around another, however thick: at least three of its sides are straight."""
    frames = np.zeros(len(parts), bool)
    near, far = parts[:, :2], parts[:, :2] + parts[:, 2:4]
    side = parts[:, 2:4].max(axis=1)
    for number in np.argsort(-side)[:_FRAMES_TRIED]:
        within = (near > near[number]).all(axis=1) & (far < far[number]).all(axis=1)
        if (within & (side > 0.35 * side[number])).any():
            left, top, width, height, _ = parts[number].tolist()
            outline = labels[top : top + height, left : left + width] == number + 1
            band_x, band_y = max(width // 8, 2), max(height // 8, 2)
            rows, columns = (outline[:band_y], outline[-band_y:]), (outline[:, :band_x], outline[:, -band_x:])
            covered = [band.any(axis=0).mean() for band in rows] + [band.any(axis=1).mean() for band in columns]
            frames[number] = sum(share > 0.8 for share in covered) >= 3
    return frames


def _hugs_edge(parts: Int32[np.ndarray, "n 5"], labels: Int32[np.ndarray, "height width"]) -> Bool[np.ndarray, " n"]:
    """Components that lie along the picture's edge, as tables and cut-off neighbours do; strokes only run into it."""
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    touching = np.bincount(edge, minlength=len(parts) + 1)[1:]
    hugging: np.ndarray = touching > 0.4 * np.maximum(parts[:, 2], parts[:, 3])
    if hugging.all():  # perhaps a digit cut out along its outline; but a table runs along more of the edge
        height, width = labels.shape
        whole = (parts[:, 2] > 0.7 * width) & (parts[:, 3] > 0.7 * height)
        hugging &= ~(whole & (touching < 0.7 * (height + width)))
    return hugging


def _neighbours(parts: Int32[np.ndarray, "n 5"], main: int, *, reach: float) -> Bool[np.ndarray, " n"]:
    """The components near enough to the main one to be strokes of the same digit.

    A large one may lie as far off as `reach` times the main one's longer side: farther in a crop of one character,
    where a 5's bar may float high above the rest, than on a page, where it may be another's.
    """
    near, far = parts[:, :2], parts[:, :2] + parts[:, 2:4]
    gap = np.maximum(np.maximum(near - far[main], near[main] - far), 0).max(axis=1)
    reaches = np.where(parts[:, 4] > 0.15 * parts[main, 4], reach, 0.15) * parts[main, 2:4].max()
    return np.asarray(gap <= reaches)
