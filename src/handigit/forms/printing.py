"""Forms as PDF, to print, fill in and scan: combs in grey, markers, a QR code per page, one copy per roster entry."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from handigit.atomic import write_file
from handigit.forms.errors import FormError, RosterError
from handigit.forms.layout import Code, Label, Marker, Shape, Stroke, fixed_shapes, varying_shapes
from handigit.forms.template import Template

if TYPE_CHECKING:
    from reportlab.pdfgen.canvas import Canvas

_MM_IN_POINTS: Final = 72 / 25.4
_ROSTER_KEY: Final = "id"


def print_form(
    template: Template | str | Path,
    path: str | Path | None = None,
    *,
    copies: int = 1,
    roster: str | Path | Sequence[Mapping[str, str]] | None = None,
) -> bytes:
    """Make the form as a PDF; return its bytes, and write them to `path` if there is one.

    `copies`: numbered copies; `roster`: one copy per entry of a CSV file (or list) with a column `id`, whose columns
    fill the placeholders of the form's texts, such as `{name}`. The QR code of each page holds its copy.

    Raises:
        FormError: a template in pixels, which has no size on paper.
        RosterError: a roster without ids, or with one twice.
        TemplateError: a template with faults.
    """
    form = template if isinstance(template, Template) else Template.load(template)
    if roster is not None:
        entries = [(entry[_ROSTER_KEY], entry) for entry in read_roster(roster)]
    else:
        entries = [(str(copy + 1), {}) for copy in range(copies)]
    data = print_copies(form, entries)
    if path is not None:
        with write_file(Path(path), error=FormError) as stream:
            stream.write(data)
    return data


def print_copies(form: Template, copies: Iterable[tuple[str, Mapping[str, str]]]) -> bytes:
    """Make a PDF of a form from the name of each copy and the values of its texts.

    What all copies have in common is in the file once.

    Raises:
        FormError: as `print_form`.
    """
    from reportlab.pdfgen.canvas import Canvas

    if any(page.units != "mm" for page in form.pages):
        raise FormError(
            f"the template {form.name!r} is in pixels, which have no size on paper; print its blank instead"
        )
    buffer = BytesIO()
    canvas = Canvas(buffer, pageCompression=1, invariant=1)
    canvas.setTitle(form.title)
    for page, spec in enumerate(form.pages, start=1):
        width, height = spec.size[0] * _MM_IN_POINTS, spec.size[1] * _MM_IN_POINTS
        canvas.beginForm(f"page-{page}", upperx=width, uppery=height)
        _draw(canvas, fixed_shapes(form, page), height=spec.size[1])
        canvas.endForm()
    for copy, values in copies:
        for page, spec in enumerate(form.pages, start=1):
            canvas.setPageSize((spec.size[0] * _MM_IN_POINTS, spec.size[1] * _MM_IN_POINTS))
            canvas.doForm(f"page-{page}")
            _draw(canvas, varying_shapes(form, page, copy=copy, values=values), height=spec.size[1])
            canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def read_roster(roster: str | Path | Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """The entries of a roster, each with an `id` of its own.

    Raises:
        RosterError: no entries, no column `id`, an id that is empty, has a colon or occurs twice.
    """
    if isinstance(roster, str | Path):
        with Path(roster).open(encoding="utf-8-sig", newline="") as file:
            entries = [{key: value or "" for key, value in row.items() if key} for row in csv.DictReader(file)]
    else:
        entries = [dict(entry) for entry in roster]
    name = roster if isinstance(roster, str | Path) else "the roster"
    if not entries:
        raise RosterError(f"{name}: has no entries; give one line per copy below a line of column names")
    seen: dict[str, int] = {}
    for line, entry in enumerate(entries, start=2):
        identity = entry.get(_ROSTER_KEY, "").strip()
        if not identity or ":" in identity:
            raise RosterError(f"{name}, line {line}: id is {identity!r}; each entry needs a column id without colons")
        if identity in seen:
            raise RosterError(f"{name}, line {line}: id {identity!r} is also on line {seen[identity]}; ids must differ")
        seen[identity] = line
        entry[_ROSTER_KEY] = identity
    return entries


def _draw(canvas: "Canvas", shapes: Iterable[Shape], *, height: float) -> None:
    """Draw shapes in millimetres from the top left; a PDF counts points from the bottom left."""
    canvas.saveState()
    canvas.scale(_MM_IN_POINTS, _MM_IN_POINTS)
    for shape in shapes:
        match shape:
            case Stroke((x1, y1), (x2, y2), width, grey):
                canvas.setStrokeGray(grey)
                canvas.setLineWidth(width)
                canvas.setLineCap(2)
                canvas.line(x1, height - y1, x2, height - y2)
            case Label((x, y), says, size, right, bold):
                canvas.setFillGray(0)
                canvas.setFont("Helvetica-Bold" if bold else "Helvetica", size / _MM_IN_POINTS)
                (canvas.drawRightString if right else canvas.drawString)(x, height - y, says)
            case Marker(identity, area):
                _draw_modules(canvas, marker_modules(identity), area.left, height - area.top, area.width)
            case Code(area, says):
                _draw_modules(canvas, code_modules(says), area.left, height - area.top, area.width)
    canvas.restoreState()


def marker_modules(identity: int) -> np.ndarray:
    """The dark modules of an ArUco marker, its border included."""
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    return np.equal(cv2.aruco.generateImageMarker(dictionary, identity, 6), 0)


def code_modules(text: str) -> np.ndarray:
    """The dark modules of a QR code, without its quiet zone."""
    import segno

    matrix: Any = segno.make_qr(text, error="m", boost_error=False).matrix
    return np.array([[bool(module) for module in row] for row in matrix])


def _draw_modules(canvas: "Canvas", modules: np.ndarray, left: float, top: float, side: float) -> None:
    """Draw dark modules, each run of a row as one rectangle."""
    canvas.setFillGray(0)
    step = side / len(modules)
    for row, line in enumerate(modules):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], line.astype(int), [0]])))
        for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            canvas.rect(
                left + start * step, top - (row + 1) * step, (stop - start) * step, step * 1.02, stroke=0, fill=1
            )
