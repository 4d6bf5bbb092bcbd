"""Ink of a page with uneven light divided out, and the long rules in it."""

from typing import Final

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

Grey = UInt8[np.ndarray, "_ _"]
Matrix = Float64[np.ndarray, "3 3"]

_BACKGROUND_PX: Final = 240
"""Longer side of the copy on which the paper's brightness is estimated."""
_WEAKEST: Final = 26
"""Ink weaker than this of 255 is paper, even without noise."""


def shrink(page: Grey, longest_px: int) -> tuple[Grey, float]:
    """The page no longer than this, and the factor by which it was scaled (1 at most)."""
    scale = min(1.0, longest_px / max(page.shape))
    if scale == 1.0:
        return page, 1.0
    size = max(1, round(page.shape[1] * scale)), max(1, round(page.shape[0] * scale))
    return np.asarray(cv2.resize(page, size, interpolation=cv2.INTER_AREA), np.uint8), scale


def ink_of(page: Grey) -> Grey:
    """How much of the paper's light each pixel lacks, 0 (paper) to 255."""
    small, _ = shrink(page, _BACKGROUND_PX)
    kernel = np.ones((9, 9), np.uint8)
    paper = cv2.medianBlur(cv2.morphologyEx(small, cv2.MORPH_CLOSE, kernel), 9)
    paper = cv2.resize(paper, (page.shape[1], page.shape[0]), interpolation=cv2.INTER_LINEAR)
    light = np.maximum(paper.astype(np.float32), 16)
    lacking = (light - page.astype(np.float32)) * (255 / light)
    return np.asarray(np.clip(lacking, 0, 255), np.uint8)


def ink_mask(ink: Grey) -> Grey:
    """1 where there is ink, above the noise of the paper."""
    values = ink[ink < 128]
    noise = float(np.median(values)) / 0.674 if len(values) else 0.0
    return (ink > max(_WEAKEST, 3.5 * noise)).astype(np.uint8)


def long_rules(mask: Grey, length_px: int) -> tuple[Grey, Grey]:
    """Where the horizontal and the vertical rules of at least this length are, on a level page."""
    across = cv2.dilate(mask, np.ones((3, 1), np.uint8))
    down = cv2.dilate(mask, np.ones((1, 3), np.uint8))
    horizontal = cv2.morphologyEx(across, cv2.MORPH_OPEN, np.ones((1, length_px), np.uint8))
    vertical = cv2.morphologyEx(down, cv2.MORPH_OPEN, np.ones((length_px, 1), np.uint8))
    thick = max(7, length_px // 8)
    return _thin(horizontal, (thick, 1)), _thin(vertical, (1, thick))


def _thin(rules: Grey, longest: tuple[int, int]) -> Grey:
    """Without the parts that are thicker than a rule: filled areas, pictures."""
    solid = cv2.morphologyEx(rules, cv2.MORPH_OPEN, np.ones(longest, np.uint8))
    return np.asarray(cv2.subtract(rules, solid), np.uint8)


def grow(mask: Grey, radius_px: int) -> Grey:
    """The mask with everything within this distance."""
    side = 2 * radius_px + 1
    return np.asarray(cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))), np.uint8)


def resizing(factor: float) -> Matrix:
    """The matrix from pixels to those of a picture resized by a factor; whole coordinates are the middles of pixels."""
    half = (factor - 1) / 2
    return np.array([[factor, 0, half], [0, factor, half], [0, 0, 1]])


def to_pixels(scale: float) -> Matrix:
    """The matrix from units of a template to pixels of which `scale` are a unit; see `resizing` for their middles."""
    return np.array([[scale, 0, -0.5], [0, scale, -0.5], [0, 0, 1]])


def transform(matrix: Matrix, points: Float64[np.ndarray, "n 2"]) -> Float64[np.ndarray, "n 2"]:
    """Points after a homography."""
    extended = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return np.asarray(extended[:, :2] / extended[:, 2:])
