"""Ink -> glyph: the only definition of the 28x28 picture that digit models see.

As MNIST was made (LeCun et al. 1998): the ink box scaled so that its longer side has 20 px, keeping its proportions,
and moved by whole pixels so that the centre of mass lies at the centre of the field.
"""

from dataclasses import dataclass
from typing import Final, cast

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from handigit.images.ink import Ink, find_ink
from handigit.images.paper import reduced, shade
from handigit.records import Box

FIELD_PX: Final = 28
INK_PX: Final = 20
_CENTRE: Final = FIELD_PX / 2
"""Index of the pixel on which MNIST puts the centre of mass: its training images lie within half a pixel of it."""
_STEPS: Final = np.arange(FIELD_PX, dtype=np.float32)
_WORK_PX: Final = 512
"""Longer side at which a larger page is searched."""


@dataclass(frozen=True, slots=True, eq=False)
class FoundDigit:
    """A digit found on a page: `glyph` 0..1, ink bright on 0; `box` around its ink in pixels of the page."""

    glyph: Float32[np.ndarray, "28 28"]
    box: Box


def find_digit(page: UInt8[np.ndarray, "height width"]) -> FoundDigit | None:
    """The digit on a page that holds one, ink dark on light; None for a page without ink."""
    small = reduced(page, _WORK_PX)
    shaded = shade(small)
    ink = find_ink(shaded) if shaded else None
    if ink is None:
        return None
    return FoundDigit(_normalised(ink), _scaled(ink.box, page.shape[1] / small.shape[1], page.shape))


def _normalised(ink: Ink) -> Float32[np.ndarray, "28 28"]:
    """The ink scaled and centred."""
    box = ink.box
    cut = ink.strength[box.top : box.bottom, box.left : box.right]
    scale = INK_PX / max(box.width, box.height)
    if scale != 1:
        size = max(1, round(box.width * scale)), max(1, round(box.height * scale))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        cut = cv2.resize(cut, size, interpolation=how)
    return _centred(cut)


def _centred(cut: Float32[np.ndarray, "height width"]) -> Float32[np.ndarray, "28 28"]:
    """The cut-out on an empty field, its centre of mass at the centre."""
    height, width = cut.shape
    mass = float(cut.sum())
    left = round(_CENTRE - float(cut.sum(axis=0) @ _STEPS[:width]) / mass)
    top = round(_CENTRE - float(cut.sum(axis=1) @ _STEPS[:height]) / mass)
    left, top = min(max(left, 0), FIELD_PX - width), min(max(top, 0), FIELD_PX - height)
    field = np.zeros((FIELD_PX, FIELD_PX), np.float32)
    field[top : top + height, left : left + width] = cut
    return field


def _scaled(box: Box, scale: float, shape: tuple[int, ...]) -> Box:
    """The box on the page that was reduced by `scale`, not reaching outside it."""
    height, width = shape
    return Box(
        left=min(int(box.left * scale), width - 1),
        top=min(int(box.top * scale), height - 1),
        right=min(round(np.ceil(box.right * scale)), width),
        bottom=min(round(np.ceil(box.bottom * scale)), height),
    )
