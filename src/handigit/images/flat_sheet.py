"""A sheet found in a photo, seen from above: its perspective undone, and its boxes mapped back."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float64

from handigit.images.polarity import reduce_large
from handigit.images.sheet import RIM, Grey, find_sheet, paint_over_table
from handigit.records import Box


@dataclass(frozen=True, slots=True, eq=False)
class FlatSheet:
    """A page of nothing but its sheet, perspective undone, a large one reduced.

    `to_source`: homography to the picture as given.
    """

    page: Grey
    to_source: Float64[np.ndarray, "3 3"]

    def to_original(self, box: Box, *, size: tuple[int, int]) -> Box:
        """The box in the picture, whose `size` is (height, width), around a box of `page`."""
        corners = np.array([[x, y, 1] for x in (box.left, box.right) for y in (box.top, box.bottom)], np.float64)
        x, y, w = self.to_source @ corners.T
        x, y, (height, width) = np.round(x / w, 3), np.round(y / w, 3), size
        left, right = (int(np.clip(end, 0, width)) for end in (math.floor(x.min()), math.ceil(x.max())))
        top, bottom = (int(np.clip(end, 0, height)) for end in (math.floor(y.min()), math.ceil(y.max())))
        return Box(left, top, right, bottom)


def flatten_sheet(page: Grey, *, has_table: bool = True) -> FlatSheet:
    """The sheet on a page, seen from above; all of the page if no table is in view, as `has_table` may tell."""
    given = page
    page = reduce_large(given)
    to_source = np.diag([given.shape[1] / page.shape[1], given.shape[0] / page.shape[0], 1.0])
    sheet = find_sheet(page) if has_table else None
    if sheet is None:
        return FlatSheet(page, to_source)
    if sheet.corners is None:
        return FlatSheet(paint_over_table(page, sheet), to_source)
    centre = sheet.corners.mean(axis=0)
    corners = (centre + (sheet.corners - centre) * (1 - RIM)).astype(np.float32)
    top, right, bottom, left = (float(np.hypot(*side)) for side in corners - np.roll(corners, -1, axis=0))
    width, height = max(round(max(top, bottom)), 8), max(round(max(left, right)), 8)
    square = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, square)
    flat = cv2.warpPerspective(page, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return FlatSheet(np.asarray(flat, np.uint8), to_source @ np.linalg.inv(matrix))
