"""The blank of a template's page as pixels: to which alignment and verdict compare a scan."""

from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from statistics import median
from typing import Final

import cv2
import numpy as np

from handigit import open_pages
from handigit.forms.errors import FormError
from handigit.forms.page_ink import Grey, ink_mask, ink_of, long_rules
from handigit.forms.specs import Area, FieldSpec
from handigit.forms.template import Template

FIELD_PX: Final = 24
"""Height of the typical field in the reference frame."""
_LONGEST_PX: Final = 1400
_SHORTEST_PX: Final = 600
_RENDER_PX: Final = 1754
"""Longer side of a printed form's own picture: A4 at 150 dpi."""
_RULE_HEIGHTS: Final = 2.5
"""Length of a long rule, in field heights."""


@dataclass(frozen=True, eq=False)
class Blank:
    """A page of a template in the reference frame: `scale` pixels per unit of the template.

    `paper`: its grey pixels; `fields`: the fields on it; `filled`: whether it is a filled form.
    """

    paper: Grey
    scale: float
    fields: tuple[FieldSpec, ...]
    filled: bool
    has_markers: bool
    size: tuple[float, float]

    @property
    def field_px(self) -> float:
        """Height of the typical field in pixels."""
        return (median(field.height for field in self.fields) if self.fields else self.size[1] / 40) * self.scale

    @property
    def tolerance_px(self) -> int:
        """Distance within which print agrees: 0.08 field heights."""
        return max(1, round(0.08 * self.field_px))

    @property
    def rule_px(self) -> int:
        """Length of a long rule."""
        return max(15, round(_RULE_HEIGHTS * self.field_px))

    @cached_property
    def ink(self) -> Grey:
        """Its ink, 0..255; of a filled form without the writing in its fields."""
        ink = ink_of(self.paper)
        return ink * self.outside_fields if self.filled else ink

    @cached_property
    def mask(self) -> Grey:
        """1 where something is printed."""
        mask = ink_mask(ink_of(self.paper))
        return mask * self.outside_fields if self.filled else mask

    @cached_property
    def outside_fields(self) -> Grey:
        """0 inside the fields, their printed edges excepted."""
        mask = np.ones(self.paper.shape, np.uint8)
        for field in self.fields:
            for area in [area for _, area in field.choices] or [field.box]:
                left, top, right, bottom = self.pixels(area.grown(-0.12 * field.height))
                mask[top:bottom, left:right] = 0
        return mask

    @cached_property
    def rules(self) -> tuple[Grey, Grey]:
        """Its long rules, horizontal and vertical."""
        return long_rules(ink_mask(ink_of(self.paper)), self.rule_px)

    @cached_property
    def features(self) -> tuple[tuple[cv2.KeyPoint, ...], np.ndarray | None]:
        """Its SIFT features, outside the fields if it is filled."""
        mask = self.outside_fields * np.uint8(255) if self.filled else None
        points, descriptors = sift().detectAndCompute(255 - ink_of(self.paper), mask)
        return tuple(points), descriptors

    def pixels(self, area: Area) -> tuple[int, int, int, int]:
        """An area in whole pixels, within the page."""
        height, width = self.paper.shape
        left, top, right, bottom = (round(side * self.scale) for side in area.as_list())
        return max(left, 0), max(top, 0), min(right, width), min(bottom, height)


def sift() -> cv2.SIFT:
    """The detector of printed features."""
    return cv2.SIFT.create(nfeatures=3000, contrastThreshold=0.02)


def load_blanks(template: Template) -> tuple[Blank, ...]:
    """The blank of each page: its file, or the form as `print_form` makes it.

    Raises:
        FormError: a page in pixels without a blank, a blank with too few pages.
        ImageError: a blank that cannot be used.
    """
    return tuple(_blank(template, page) for page in range(1, len(template.pages) + 1))


def _blank(template: Template, page: int) -> Blank:
    spec = template.pages[page - 1]
    picture = _picture_of_file(template, page) if spec.blank else _picture_of_print(template, page)
    scale = picture.shape[1] / spec.size[0]
    fields = template.fields_on(page)
    height = median(field.height for field in fields) if fields else spec.size[1] / 40
    wanted = min(max(FIELD_PX / height, _SHORTEST_PX / max(spec.size)), _LONGEST_PX / max(spec.size))
    size = round(spec.size[0] * wanted), round(spec.size[1] * wanted)
    how = cv2.INTER_AREA if wanted < scale else cv2.INTER_CUBIC
    paper = np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8)
    return Blank(paper, wanted, fields, spec.filled, spec.markers, spec.size)


def _picture_of_file(template: Template, page: int) -> Grey:
    spec = template.pages[page - 1]
    assert spec.blank is not None
    path = template.folder / spec.blank
    same = [index for index, page in enumerate(template.pages) if page.blank == spec.blank]
    place = same.index(page - 1)  # a document with several pages is the blank of as many pages of the form
    found = list(islice(open_pages(path), place, place + 1))
    if not found:
        raise FormError(f"{path}: has no page {place + 1}, which page {page} of the form needs; give another blank")
    return found[0]


def _picture_of_print(template: Template, page: int) -> Grey:
    if template.pages[page - 1].units != "mm":
        raise FormError(f"page {page} of {template.name!r} is in pixels and has no blank; name one: blank = FILE")
    return render_print(template, page, longest_px=_RENDER_PX)


def render_print(template: Template, page: int, *, longest_px: int, copy: str = "1") -> Grey:
    """The page of the form as `print_form` makes it, as pixels."""
    import pypdfium2  # type: ignore[import-untyped]

    from handigit.forms.printing import print_form

    data = print_form(template, roster=[{"id": copy}])
    with pypdfium2.PdfDocument(data) as document:
        sheet = document[page - 1]
        scale = longest_px / max(sheet.get_size())
        picture = sheet.render(scale=scale, grayscale=True).to_numpy()
    return np.ascontiguousarray(picture.reshape(picture.shape[:2]))
