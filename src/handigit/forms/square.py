"""A page squared by its own rules: two families of straight segments and their vanishing points."""

from typing import Final

import cv2
import numpy as np

from handigit.forms.page_ink import Grey, Matrix

_SHORTEST: Final = 1 / 30
"""Length of the shortest segment that counts, of the page's longer side."""
_STEEPEST: Final = 0.6
"""Slope from which a segment belongs to neither family."""
_ROUNDS: Final = 12


def square_up(mask: Grey) -> Matrix | None:
    """The homography that makes the rules of a page level and upright; None where there are too few.

    `mask`: 1 where there is ink. The slope of level rules is taken as linear in their height on the page, as it is
    under perspective; likewise that of upright rules.
    """
    height, width = mask.shape
    segments = cv2.createLineSegmentDetector().detect(mask * np.uint8(255))[0]
    if segments is None:
        return None
    ends = segments.reshape(-1, 4).astype(np.float64)
    length = np.hypot(ends[:, 2] - ends[:, 0], ends[:, 3] - ends[:, 1])
    ends, length = ends[length >= _SHORTEST * max(height, width)], length[length >= _SHORTEST * max(height, width)]
    across, down = ends[:, 2] - ends[:, 0], ends[:, 3] - ends[:, 1]
    middle_x, middle_y = (ends[:, 0] + ends[:, 2]) / 2, (ends[:, 1] + ends[:, 3]) / 2
    level, upright = np.abs(down) < _STEEPEST * np.abs(across), np.abs(across) < _STEEPEST * np.abs(down)
    if np.count_nonzero(level) < 4 or np.count_nonzero(upright) < 4:
        return None
    slope = _fit(middle_y[level] / height, down[level] / across[level], length[level])
    lean = _fit(middle_x[upright] / width, across[upright] / down[upright], length[upright])
    corners = [_crossing(x, y, slope, lean, mask.shape) for x, y in ((0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9))]
    target = np.array([[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]) * [width, height]
    return np.asarray(cv2.getPerspectiveTransform(np.array(corners, np.float32), target.astype(np.float32)), np.float64)


def _fit(place: np.ndarray, slope: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Slope at place 0 and its change to place 1, by least squares with Tukey's weights."""
    design = np.column_stack([np.ones_like(place), place])
    robust = weight.copy()
    centre = _weighted_median(slope, weight)
    solution = np.array([centre, 0.0])
    for turn in range(_ROUNDS):
        off = slope - design @ solution
        spread = max(1.5 * _weighted_median(np.abs(off), weight) * 1.48, 0.004) * (3 if turn == 0 else 2)
        robust = weight * np.clip(1 - (off / spread) ** 2, 0, None) ** 2
        if np.count_nonzero(robust) < 4:
            break
        # A little pull towards no perspective, so that rules in one place do not invent one.
        normal = design.T @ (design * robust[:, None]) + np.diag([0.0, 0.01 * robust.sum()])
        solution = np.linalg.solve(normal, design.T @ (robust * slope))
    return float(solution[0]), float(solution[1])


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


def _crossing(
    x: float, y: float, slope: tuple[float, float], lean: tuple[float, float], shape: tuple[int, ...]
) -> tuple[float, float]:
    """Where the level line through (middle, y) and the upright line through (x, middle) cross, in pixels."""
    height, width = shape
    rise, run = slope[0] + slope[1] * y, lean[0] + lean[1] * x
    # level: Y = y h + rise (X - w / 2); upright: X = x w + run (Y - h / 2)
    across = (x * width + run * (y * height - rise * width / 2 - height / 2)) / (1 - run * rise)
    return across, y * height + rise * (across - width / 2)
