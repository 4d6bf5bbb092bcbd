"""Fields cut out of a page: level, upright, at the page's own resolution, with a margin around the printed box."""

from typing import Final

import cv2
import numpy as np

from handigit.forms.align import Placement
from handigit.forms.page_ink import Grey, transform
from handigit.forms.specs import Area, FieldSpec

MARGINS: Final = (0.1, 0.2, 0.3)
"""Margins of the crops of a field, in its heights."""
WRITING_MARGINS: Final = (0.2, False), (0.35, True), (0.5, True)
"""Margins of the crops of small writing, in its heights, and whether they are cut at the sides too: one is not, so
that a faint digit beside the others is seen."""
COMB_MARGINS: Final = (0.1, 0.25)
"""Margins of the crops of a comb, whose cells are read too."""
_RIM: Final = 0.2
"""Rim of a field that may be off the picture, in its heights: a photograph may end at the edge of a table."""
_TALLEST_PX: Final = 160
"""Height of the largest crop of a field."""
COMB_PX: Final = 72
"""The same for our own combs, whose cells are read too: larger crops cost time and are read no better."""


def cut(
    page: Grey,
    placement: Placement,
    field: FieldSpec,
    *,
    margin: float = 0.0,
    area: Area | None = None,
    tallest_px: int = _TALLEST_PX,
) -> Grey:
    """A field, or an area in it, with a margin in heights of the area; shrunk to `tallest_px` if it is higher.

    To the left and right the margin ends where a neighbour begins, whose digits would else be read too.
    """
    wide = (area or field.box).grown(margin * (area or field.box).height)
    if area is None:
        left, right = placement.room(field)
        wide = Area(
            max(wide.left, field.box.left - left), wide.top, min(wide.right, field.box.right + right), wide.bottom
        )
    corners = placement.corners(field, wide).astype(np.float32)
    high = np.linalg.norm(corners[3] - corners[0]) / 2 + np.linalg.norm(corners[2] - corners[1]) / 2
    scale = min(1.0, tallest_px / max(float(high), 1.0)) * high / wide.height
    width, height = max(2, round(wide.width * scale)), max(2, round(wide.height * scale))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, target)
    crop = cv2.warpPerspective(page, matrix, (width, height), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(crop, np.uint8)


def fraction_on_page(page: Grey, placement: Placement, field: FieldSpec) -> float:
    """The fraction of a field, without its rim, inside the picture, by a grid of points."""
    inside = field.box.grown(-_RIM * field.height)
    x, y = np.meshgrid(np.linspace(inside.left, inside.right, 9), np.linspace(inside.top, inside.bottom, 5))
    points = transform(placement.matrix, np.column_stack([x.ravel(), y.ravel()]))
    return float(((points >= 0) & (points < [page.shape[1], page.shape[0]])).all(axis=1).mean())
