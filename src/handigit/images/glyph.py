"""Ink -> glyph: the only definition of the 28x28 picture that digit models see.

As in MNIST (LeCun et al. 1998): the ink box is scaled so that its longer side has 20 px, with its proportions kept, and
moved by whole pixels so that the centre of mass is at the centre of the field.
"""

from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from handigit.images.background import estimate_background
from handigit.images.ink import Ink, find_ink
from handigit.images.polarity import downscale, polarity_is_doubtful, reduce_large
from handigit.images.sheet import without_table
from handigit.records import Box

FIELD_PX: Final = 28
INK_PX: Final = 20
_CENTRE: Final = FIELD_PX / 2
"""Pixel index of MNIST's centre of mass: that of its training images is within half a pixel of it."""
_WORK_PX: Final = 512
"""Longer side to which a larger page is reduced for the search."""
_PEN_PX: Final = 1.8
"""Minimum width of a stroke in a glyph. MNIST training digits redrawn with a thin pen (1 to 4 % of their height) were
read right in 98.3 % with it and in 96.0 % without; 1.2 and 2.2 were no better."""
_EDGE: Final = 0.3
"""Strength at which a widened stroke ends."""
_MIN_SLANT: Final = 0.3
"""Minimum slant (offset per height) of a digit that is also classified upright."""
_CLEAR_PX: Final = 48
"""Longer side of a digit on the reduced page below which it is searched again at full size."""
_TINY_PX: Final = 12
"""Longer side up to which a picture is enlarged first: its strokes are a pixel wide, and digits fill it."""
_MAX_FRAMED_PX: Final = INK_PX + 2
"""Longer side of a digit in a 28x28 frame: 20 px as in MNIST, and a blur."""


_BLACK: Final = 64
_MIN_TONE: Final = 0.15
_MIN_TONES: Final = 0.6
"""Grey levels from black (and white), the fraction of the page that each must have, and both together."""


@dataclass(frozen=True, slots=True, eq=False)
class FoundDigit:
    """A digit found on a page: `glyph` 0..1, ink bright on 0; `box` around its ink in pixels of the page."""

    glyph: Float32[np.ndarray, "28 28"]
    box: Box


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """The ways to see a picture.

    `found`: the digit cut out, None without ink. `frame`: a picture of a glyph's size. `inverted`: the digit cut out
    with light ink, if the picture's polarity is doubtful.
    """

    found: FoundDigit | None
    frame: UInt8[np.ndarray, "28 28"] | None
    inverted: FoundDigit | None = None

    @property
    def oversized(self) -> bool:
        """Whether the digit cut out of a frame is larger than digits in frames are, and so perhaps not all digit."""
        box = self.found.box if self.found and self.frame is not None else None
        return box is not None and max(box.width, box.height) > _MAX_FRAMED_PX

    def others(self) -> tuple[Float32[np.ndarray, "28 28"], ...]:
        """Further glyphs: the digit upright if it leans, with light ink if that is possible, and the frame.

        A frame is also inverted if its polarity is doubtful; a blank one is left out. It is stretched from its
        faintest to its strongest shade, so that brightness and contrast do not matter.
        """
        upright = deslant(self.found.glyph) if self.found else None
        glyphs = () if upright is None else (upright,)
        if self.inverted is not None:
            glyphs = (*glyphs, self.inverted.glyph)
        return glyphs + self._frame_glyphs()

    def _frame_glyphs(self) -> tuple[Float32[np.ndarray, "28 28"], ...]:
        if self.frame is None or not np.ptp(self.frame):
            return ()
        light = self.frame.astype(np.float32) - self.frame.min()
        light /= light.max()
        return (1 - light, light) if polarity_is_doubtful(self.frame) else (1 - light,)


def views_of(page: UInt8[np.ndarray, "height width"], *, clean: UInt8[np.ndarray, "h w"] | None = None) -> Views:
    """The ways to see a page of one digit, ink dark on light; `clean`: the page reduced, without a table, if known."""
    if max(page.shape) <= _TINY_PX:
        return _views_of_tiny(page)
    clean = without_table(reduce_large(page)) if clean is None else clean
    found = _find_on_paper(clean)
    if page.shape == (FIELD_PX, FIELD_PX):
        return Views(found, clean)
    # Without dark ink, light ink counts only in two tones: a lit part beside a shadow is not a digit.
    inverted = _find_on_paper(255 - clean) if found and polarity_is_doubtful(clean) else None
    found = found or _find_in_two_tones(clean)
    if found and clean.shape != page.shape:
        found = replace(found, box=_scale_box(found.box, page.shape[1] / clean.shape[1], page.shape))
    return Views(found, None, inverted)


def _views_of_tiny(page: UInt8[np.ndarray, "height width"]) -> Views:
    """The views of a picture of a few pixels, such as the 8x8 ones of scikit-learn: a digit that fills a frame."""
    scale = INK_PX / max(page.shape)
    height, width = (max(1, round(scale * side)) for side in page.shape)
    top, left = (FIELD_PX - height) // 2, (FIELD_PX - width) // 2
    frame = np.full((FIELD_PX, FIELD_PX), page.max(), np.uint8)
    frame[top : top + height, left : left + width] = cv2.resize(page, (width, height), interpolation=cv2.INTER_LINEAR)
    views = views_of(frame)
    if views.found is None:
        return views
    box = views.found.box
    inside = Box(max(box.left - left, 0), max(box.top - top, 0), box.right - left, box.bottom - top)
    return replace(views, found=replace(views.found, box=_scale_box(inside, 1 / scale, page.shape)))


def find_digit(page: UInt8[np.ndarray, "height width"]) -> FoundDigit | None:
    """The digit on a page of one, ink dark on light or, where that shows none, light on dark; None for a blank page."""
    page = without_table(page)
    found = _find_on_paper(page)
    return found or _find_in_two_tones(page)


def _find_in_two_tones(page: UInt8[np.ndarray, "height width"]) -> FoundDigit | None:
    """The digit as light ink on a page of two tones, where it shows no dark ink; None for other pages."""
    return _find_on_paper(255 - page) if _has_two_tones(page) else None


def _has_two_tones(page: UInt8[np.ndarray, "height width"]) -> bool:
    """Whether most of the page is nearly black or white, with enough of both: a digit that fills a tight crop."""
    dark, light = float((page < _BLACK).mean()), float((page > 255 - _BLACK).mean())
    return min(dark, light) > _MIN_TONE and dark + light > _MIN_TONES


def _find_on_paper(page: UInt8[np.ndarray, "height width"]) -> FoundDigit | None:
    small = downscale(page, _WORK_PX)
    background = estimate_background(small)
    ink = find_ink(background) if background else None
    if ink is None:
        return None
    scale = page.shape[1] / small.shape[1]
    box = _scale_box(ink.box, scale, page.shape)
    if scale > 1 and max(ink.box.width, ink.box.height) < _CLEAR_PX and (closer := _find_at_full_size(page, box)):
        return closer
    return FoundDigit(normalise(ink), box)


def _find_at_full_size(page: UInt8[np.ndarray, "height width"], box: Box) -> FoundDigit | None:
    """The digit in that box of a large page, searched at full size."""
    margin = max(box.width, box.height) // 2
    left, top = max(box.left - margin, 0), max(box.top - margin, 0)
    digit = _find_on_paper(page[top : box.bottom + margin, left : box.right + margin])
    return FoundDigit(digit.glyph, digit.box.moved(left, top)) if digit else None


def _scale_box(box: Box, scale: float, shape: tuple[int, ...]) -> Box:
    """The box on the page that was reduced by `scale`, clipped to it."""
    height, width = shape
    return Box(
        left=min(int(box.left * scale), width - 1),
        top=min(int(box.top * scale), height - 1),
        right=min(round(np.ceil(box.right * scale)), width),
        bottom=min(round(np.ceil(box.bottom * scale)), height),
    )


def normalise(ink: Ink) -> Float32[np.ndarray, "28 28"]:
    """The ink scaled and centred as in MNIST, thin strokes widened to those of MNIST's thinnest pens."""
    ink = _thicken(ink)
    box = ink.box
    cut = ink.strength[box.top : box.bottom, box.left : box.right]
    scale = INK_PX / max(box.width, box.height)
    if scale != 1:
        size = max(1, round(box.width * scale)), max(1, round(box.height * scale))
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        cut = np.minimum(cv2.resize(cut, size, interpolation=interpolation), 1)
    return _centre(cut)


def _thicken(ink: Ink) -> Ink:
    """The ink of a wider pen, if its strokes would be narrower than `_PEN_PX` in the glyph.

    Area averaging makes a thin stroke faint, and models trained on MNIST have seen no faint strokes.
    """
    scale = INK_PX / max(ink.box.width, ink.box.height)
    if scale >= 1:
        return ink
    stroke = (ink.strength > 0.5).view(np.uint8)
    inner = cv2.erode(stroke, np.ones((3, 3), np.uint8))
    area, rim = cv2.countNonZero(stroke), cv2.countNonZero(cv2.subtract(stroke, inner))
    on_each_side = round((_PEN_PX / scale - 2 * area / max(rim, 1)) / 2)
    if on_each_side <= 0:
        return ink
    pen = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * on_each_side + 1,) * 2)
    wider = cv2.dilate(cv2.copyMakeBorder(ink.strength, *(on_each_side,) * 4, cv2.BORDER_CONSTANT), pen)
    left, top, width, height = cv2.boundingRect((wider > _EDGE).view(np.uint8))
    return Ink(wider, Box(left, top, left + width, top + height))


def deslant(glyph: Float32[np.ndarray, "28 28"]) -> Float32[np.ndarray, "28 28"] | None:
    """The glyph sheared upright by its second moments (LeCun et al. 1998); None if it does not lean to the side."""
    moments = cv2.moments(glyph)
    if moments["mu02"] <= 0:
        return None
    slant = -moments["mu11"] / moments["mu02"]
    if abs(slant) < _MIN_SLANT:
        return None
    wide = np.pad(glyph, ((0, 0), (FIELD_PX, FIELD_PX)))
    middle = moments["m01"] / moments["m00"]
    upright = cv2.warpAffine(wide, np.array([[1, slant, -slant * middle], [0, 1, 0]]), wide.shape[::-1])
    x, y, width, height = cv2.boundingRect((upright > _EDGE).view(np.uint8))
    return normalise(Ink(upright, Box(x, y, x + width, y + height))) if width and height else None


def _centre(cut: Float32[np.ndarray, "height width"]) -> Float32[np.ndarray, "28 28"]:
    """The cut-out on an empty field, its centre of mass at the centre."""
    height, width = cut.shape
    corner = np.zeros((FIELD_PX, FIELD_PX), np.float32)
    corner[:height, :width] = cut
    moments = cv2.moments(corner)
    left = round(_CENTRE - moments["m10"] / moments["m00"])
    top = round(_CENTRE - moments["m01"] / moments["m00"])
    left, top = min(max(left, 0), FIELD_PX - width), min(max(top, 0), FIELD_PX - height)
    field = np.zeros_like(corner)
    field[top : top + height, left : left + width] = cut
    return field
