"""The print on each page of a form, as shapes in millimetres: lines, text, markers and the page's code."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from handigit.forms.specs import MARKER_MARGIN_MM, MARKER_MM, Area, FieldSpec, Grid, Kind
from handigit.forms.template import Template

GREY: Final = 0.6
"""Lightness of boxes and combs, 0 black to 1 white: visible to the writer, weaker than ink."""
_LINE_MM: Final = 0.25
_LABEL_PT: Final = 8.0


@dataclass(frozen=True, slots=True)
class Stroke:
    """A straight line."""

    start: tuple[float, float]
    end: tuple[float, float]
    width: float = _LINE_MM
    grey: float = GREY


@dataclass(frozen=True, slots=True)
class Label:
    """Text with its baseline beginning (or ending, if `right`) at `at`; `size` in points."""

    at: tuple[float, float]
    says: str
    size: float = _LABEL_PT
    right: bool = False
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Marker:
    """An ArUco marker of DICT_4X4_50."""

    identity: int
    area: Area


@dataclass(frozen=True, slots=True)
class Code:
    """A QR code, without its quiet zone."""

    area: Area
    says: str


Shape = Stroke | Label | Marker | Code


def page_code(template: Template, page: int, copy: str) -> str:
    """The content of a page's QR code: `HG1:name:version:page:copy`."""
    return f"HG1:{template.name}:{template.version}:{page}:{copy}"


def page_shapes(
    template: Template, page: int, *, copy: str = "1", values: Mapping[str, str] | None = None
) -> list[Shape]:
    """The shapes of one page, counted from 1; `values` fills the placeholders of its texts."""
    return [*fixed_shapes(template, page), *varying_shapes(template, page, copy=copy, values=values)]


def fixed_shapes(template: Template, page: int) -> list[Shape]:
    """The shapes that a page has in every copy."""
    spec = template.pages[page - 1]
    shapes: list[Shape] = []
    if spec.markers:
        shapes += [Marker(identity, area) for identity, area in enumerate(marker_areas(spec.size))]
    if spec.code is not None:
        shapes += [Label((spec.code.right + 6, spec.code.top + 8), template.title, 14, bold=True)]
        if len(template.pages) > 1:
            shapes.append(Label((spec.code.right + 6, spec.code.top + 14), f"page {page} of {len(template.pages)}"))
    for grid in template.grids:
        if grid.page == page:
            shapes += _grid(grid)
    for field in template.fields_on(page):
        shapes += _field(field)
    return [shape for shape in shapes if not (isinstance(shape, Label) and not shape.says)]


def varying_shapes(template: Template, page: int, *, copy: str, values: Mapping[str, str] | None = None) -> list[Shape]:
    """The shapes of a page that a copy has to itself: its code, and the texts of the form with their values."""
    spec = template.pages[page - 1]
    placeholders = _Missing(values or {})
    texts = [Label(text.at, text.says.format_map(placeholders).strip(), text.size) for text in spec.text]
    codes = [Code(spec.code, page_code(template, page, copy))] if spec.code is not None else []
    return [*codes, *(label for label in texts if label.says)]


def marker_areas(size: tuple[float, float]) -> tuple[Area, Area, Area, Area]:
    """Where the markers 0 to 3 are: left top, right top, right bottom, left bottom."""
    near, width, height = MARKER_MARGIN_MM, size[0], size[1]
    corners = ((near, near), (width - near - MARKER_MM, near),
               (width - near - MARKER_MM, height - near - MARKER_MM), (near, height - near - MARKER_MM))  # fmt: skip
    first, second, third, fourth = (Area(x, y, x + MARKER_MM, y + MARKER_MM) for x, y in corners)
    return first, second, third, fourth


class _Missing(dict[str, str]):
    """Placeholders that nothing fills are left out."""

    def __missing__(self, key: str) -> str:
        return ""


def _field(field: FieldSpec) -> Iterator[Shape]:
    if field.kind is Kind.IGNORE:
        return
    if field.kind is Kind.CHOICE:
        yield Label((min(24.0, field.box.left - 30), field.box.bottom - 1), field.label)
        for value, area in field.choices:
            yield from _frame(area)
            yield Label((area.right + 1.5, area.bottom - 1), value)
        return
    if not field.ruled:
        yield from _frame(field.box)
    yield from _dividers(field)
    beside = field.kind is Kind.MARK
    at = (field.box.right + 1.5, field.box.bottom - 1) if beside else (field.box.left, field.box.top - 1.5)
    yield Label(at, field.label)


def _frame(area: Area, width: float = _LINE_MM) -> Iterator[Stroke]:
    corners = area.corners
    for start, end in zip(corners, (*corners[1:], corners[0]), strict=True):
        yield Stroke(start, end, width)


def _dividers(field: FieldSpec) -> Iterator[Shape]:
    """The lines between the cells of a comb; short ones in a table, a heavier one at the decimal point."""
    cells, box = field.cells or 0, field.box
    top = box.top + 0.6 * box.height if field.ruled else box.top
    for place in range(1, cells):
        x = box.left + box.width * place / cells
        at_point = bool(field.places) and place == cells - (field.places or 0)
        yield Stroke((x, top), (x, box.bottom), 3 * _LINE_MM if at_point else _LINE_MM)


def _grid(grid: Grid) -> Iterator[Shape]:
    left, right, top, bottom = grid.columns[0], grid.columns[-1], grid.rows[0], grid.rows[-1]
    for y in grid.rows:
        yield Stroke((left, y), (right, y))
    for x in grid.columns:
        yield Stroke((x, top), (x, bottom))
    for text, x in zip(grid.labels, grid.columns, strict=False):
        yield Label((x + 1, top - 1.5), text, _LABEL_PT - 1)
    for text, y in zip(grid.row_labels, grid.rows[1:], strict=False):
        at = (left + 1.5, y - 3) if grid.labels_inside else (left - 1.5, y - 3)
        yield Label(at, text, right=not grid.labels_inside)
