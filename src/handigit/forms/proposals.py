"""Fields proposed from a blank: combs, lone boxes, dotted lines, tick boxes and tables, to accept or to change.

A PDF's own form fields come first, with their names; fields found on the page complete them. Printed text beside a
field gives it a name where the PDF has text.
"""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Final

from handigit import open_pages
from handigit.forms.find_boxes import find_boxes
from handigit.forms.page_ink import Grey
from handigit.forms.pdf_fields import PdfPage, read_pdf
from handigit.forms.save import new_template
from handigit.forms.specs import Area, FieldSpec, Kind, PageSpec

_NAME_REACH: Final = 60.0
"""Distance in millimetres within which text names a field to its right."""
_SHORTEST_NAME: Final = 2


def propose(blank: str | Path, *, name: str | None = None, folder: str | Path | None = None) -> str:
    """The text of a template with the fields found on a blank, a PDF or a picture.

    Places are in millimetres for a PDF, else in pixels. `folder`: where the template will be, so that it can name the
    blank; None: beside it.

    Raises:
        ImageError: a blank that cannot be used.
    """
    path = Path(blank)
    pdf = read_pdf(path) if path.suffix.lower() == ".pdf" else []
    blank_name = os.path.relpath(path, folder) if folder is not None else path.name
    pages: list[PageSpec] = []
    fields: list[FieldSpec] = []
    for number, picture in enumerate(islice(open_pages(path), 100), start=1):
        sheet = pdf[number - 1] if number <= len(pdf) else None
        size = sheet.size_mm if sheet else (float(picture.shape[1]), float(picture.shape[0]))
        pages.append(PageSpec(size, "mm" if sheet else "px", blank=Path(blank_name).as_posix()))
        found = propose_page(picture, size, sheet)
        fields += [replace(one, page=number) for one in found]
    title = (name or path.stem).replace("-", " ").replace("_", " ")
    return new_template(_slug(name or path.stem), title, pages, _with_names(fields))


def propose_page(picture: Grey, size: tuple[float, float], sheet: PdfPage | None = None) -> list[FieldSpec]:
    """The fields found on one page, places in units of `size`; named by the text of the PDF where there is some."""
    scale = size[0] / picture.shape[1]
    given = list(sheet.fields) if sheet else []
    found = [_scaled(box, scale) for box in find_boxes(picture, per_mm=1 / scale if sheet else None)]
    fields = given + [one for one in found if not any(_overlap(one.box, other.box) > 0.3 for other in given)]
    if sheet:
        fields = [_as_date(replace(field, name=field.name or _name_beside(field, sheet))) for field in fields]
    return sorted(fields, key=lambda field: (round(field.box.top / max(size[1] / 60, 1)), field.box.left))


def _as_date(field: FieldSpec) -> FieldSpec:
    """A comb of six or eight cells beside the word date is a date."""
    patterns = {6: "DDMMYY", 8: "DDMMYYYY"}
    if "date" in field.name.split("_") and field.cells in patterns:
        return replace(field, kind=Kind.DATE, pattern=patterns[field.cells])
    return field


def _scaled(field: FieldSpec, scale: float) -> FieldSpec:
    box = field.box
    return replace(field, box=Area(box.left * scale, box.top * scale, box.right * scale, box.bottom * scale))


def _overlap(first: Area, second: Area) -> float:
    """The common area, as a fraction of the smaller one."""
    wide = min(first.right, second.right) - max(first.left, second.left)
    high = min(first.bottom, second.bottom) - max(first.top, second.top)
    smaller = min(first.width * first.height, second.width * second.height)
    return max(wide, 0.0) * max(high, 0.0) / max(smaller, 1e-9)


def _name_beside(field: FieldSpec, sheet: PdfPage) -> str:
    """The nearest text: to the left on the same line, just above, or, for tick boxes, to the right."""
    best, least = "", _NAME_REACH
    middle = (field.box.top + field.box.bottom) / 2
    for area, text in sheet.texts:
        level = abs((area.top + area.bottom) / 2 - middle) < 0.6 * max(field.box.height, area.height)
        above = 0 <= field.box.top - area.bottom < 1.2 * area.height + 2 and abs(area.left - field.box.left) < 8
        if level and area.right <= field.box.left + 1:
            distance = field.box.left - area.right
        elif level and field.kind is Kind.MARK and area.left >= field.box.right - 1:
            distance = (area.left - field.box.right) / 2
        elif above:
            distance = field.box.top - area.bottom
        else:
            continue
        if distance < least:
            best, least = text, distance
    slug = _slug(best)
    return slug if len(slug) >= _SHORTEST_NAME and not slug.isdecimal() else ""


def _with_names(fields: Sequence[FieldSpec]) -> list[FieldSpec]:
    """Every field with a name of its own."""
    taken: set[str] = set()
    named = []
    for number, field in enumerate(fields, start=1):
        base = field.name or f"field_{number}"
        name = next(name for name in _numbered(base) if name not in taken)
        taken.add(name)
        named.append(replace(field, name=name))
    return named


def _numbered(base: str) -> Iterable[str]:
    yield base
    number = 2
    while True:
        yield f"{base}_{number}"
        number += 1


def _slug(text: str) -> str:
    """Text as a name: lower case, underscores, no more than five words."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    name = "_".join(words[:5])
    return f"f_{name}" if name[:1].isdecimal() else name
