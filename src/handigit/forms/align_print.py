"""A page placed by its print: SIFT features (Lowe 2004), MAGSAC homography (Barath et al. 2020), ECC.

Enhanced correlation coefficient: Evangelidis and Psarakis 2008.
"""

from typing import Final

import cv2
import numpy as np

from handigit.forms.blank import Blank, sift
from handigit.forms.page_ink import Grey, Matrix, ink_of, resizing, shrink

MATCH_PX: Final = 1000
"""Longer side of the page in which features are looked for."""
_RATIO: Final = 0.8
"""Distance of the best match as a fraction of the second-best: Lowe's ratio test."""
_FEWEST: Final = 10
_REPROJECTION_PX: Final = 3.0
_REFINE_PX: Final = 700
_ITERATIONS: Final = 25


def place_by_print(blank: Blank, page: Grey) -> Matrix | None:
    """The homography from pixels of the blank to pixels of the page; None where too few features match."""
    points, descriptors = blank.features
    small, scale = shrink(page, MATCH_PX)
    found, described = sift().detectAndCompute(255 - ink_of(small), None)
    if descriptors is None or described is None or min(len(points), len(found)) < _FEWEST:
        return None
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(descriptors, described, k=2)
    good = [first for first, second in (pair for pair in pairs if len(pair) == 2)
            if first.distance < _RATIO * second.distance]  # fmt: skip
    if len(good) < _FEWEST:
        return None
    source = np.array([points[match.queryIdx].pt for match in good], np.float64)
    target = np.array([found[match.trainIdx].pt for match in good], np.float64)
    matrix, inliers = cv2.findHomography(
        source, target, cv2.USAC_MAGSAC, _REPROJECTION_PX, maxIters=5000, confidence=0.999
    )
    if matrix is None or int(inliers.sum()) < _FEWEST or not _is_plausible(matrix, blank):
        return None
    return np.asarray(resizing(1 / scale) @ matrix, np.float64)


def refine(blank: Blank, page_ink: Grey, matrix: Matrix) -> Matrix:
    """The homography after ECC on blurred ink; unchanged where that does not converge."""
    factor = min(1.0, _REFINE_PX / max(blank.paper.shape))
    there = _blurred(blank.ink, factor)
    # The page is first warped to the blank, so that the rest is small and equally scaled.
    height, width = blank.paper.shape
    warped = cv2.warpPerspective(page_ink, matrix, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    here = _blurred(np.asarray(warped, np.uint8), factor)
    mask = np.asarray(
        cv2.resize(blank.outside_fields, (there.shape[1], there.shape[0]), interpolation=cv2.INTER_NEAREST), np.uint8
    )
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _ITERATIONS, 1e-5)
    try:
        _, small = cv2.findTransformECC(
            there, here, np.eye(3, dtype=np.float32), cv2.MOTION_HOMOGRAPHY, criteria, inputMask=mask, gaussFiltSize=1
        )
    except cv2.error:
        return matrix
    change = resizing(1 / factor) @ small.astype(np.float64) @ resizing(factor)
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    moved = cv2.perspectiveTransform(corners[None], change)[0]
    if np.abs(moved - corners).max() > 2 * blank.field_px:
        return matrix
    return np.asarray(matrix @ change, np.float64)


def _blurred(ink: Grey, factor: float) -> Grey:
    small = cv2.resize(ink, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), 2.0), np.uint8)


def _is_plausible(matrix: Matrix, blank: Blank) -> bool:
    """Whether the page's corners make a convex quadrilateral of one orientation, not too small."""
    height, width = blank.paper.shape
    corners = np.array([[[0, 0], [width, 0], [width, height], [0, height]]], np.float64)
    moved = cv2.perspectiveTransform(corners, matrix)[0].astype(np.float32)
    if not np.isfinite(moved).all() or not cv2.isContourConvex(moved):
        return False
    return cv2.contourArea(moved, oriented=True) > 0.02 * MATCH_PX**2
