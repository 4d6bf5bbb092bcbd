"""The form fields of a PDF, with their names and places, and its text."""

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from handigit.errors import UnreadableImage
from handigit.forms.specs import Area, FieldSpec, Kind

_MM: Final = 25.4 / 72
_GAP_MM: Final = 2.5
"""Space between words of one text."""


@dataclass(frozen=True, slots=True)
class PdfPage:
    """One page: size in millimetres, form fields, and texts with their places, left top at the origin."""

    size_mm: tuple[float, float]
    fields: tuple[FieldSpec, ...]
    texts: tuple[tuple[Area, str], ...]


def read_pdf(path: Path) -> list[PdfPage]:
    """The pages of a PDF.

    Raises:
        UnreadableImage: not a PDF, or one with a password.
    """
    import pypdfium2  # type: ignore[import-untyped]

    try:
        with pypdfium2.PdfDocument(path) as document:
            document.init_forms()
            return [_page(document[number]) for number in range(len(document))]
    except (pypdfium2.PdfiumError, OSError) as problem:
        raise UnreadableImage(
            f"{path}: cannot be read as a PDF ({problem}); save it again without a password"
        ) from None


def _page(page: Any) -> PdfPage:
    width, height = page.get_size()
    return PdfPage((round(width * _MM, 2), round(height * _MM, 2)), tuple(_widgets(page, height)),
                   tuple(_texts(page, height)))  # fmt: skip


def _texts(page: Any, height: float) -> list[tuple[Area, str]]:
    """The runs of text, those of one line with small gaps joined."""
    text_page = page.get_textpage()
    runs = []
    for index in range(text_page.count_rects()):
        left, bottom, right, top = text_page.get_rect(index)
        text = text_page.get_text_bounded(left, bottom, right, top).strip()
        if text:
            runs.append((Area(left * _MM, (height - top) * _MM, right * _MM, (height - bottom) * _MM), text))
    joined: list[tuple[Area, str]] = []
    for area, text in runs:
        if joined:
            last, before = joined[-1]
            if abs(last.bottom - area.bottom) < 1 and 0 <= area.left - last.right < _GAP_MM:
                joined[-1] = (Area(last.left, min(last.top, area.top), area.right, last.bottom), f"{before} {text}")
                continue
        joined.append((area, text))
    return joined


def _widgets(page: Any, height: float) -> list[FieldSpec]:
    """The form fields of a page."""
    import pypdfium2.raw as pdfium  # type: ignore[import-untyped]

    kinds = {
        pdfium.FPDF_FORMFIELD_TEXTFIELD: Kind.NUMBER,
        pdfium.FPDF_FORMFIELD_CHECKBOX: Kind.MARK,
        pdfium.FPDF_FORMFIELD_RADIOBUTTON: Kind.MARK,
        pdfium.FPDF_FORMFIELD_SIGNATURE: Kind.PRESENT,
    }
    form = page.formenv
    if form is None:
        return []
    found = []
    for index in range(pdfium.FPDFPage_GetAnnotCount(page)):
        widget = pdfium.FPDFPage_GetAnnot(page, index)
        try:
            kind = kinds.get(pdfium.FPDFAnnot_GetFormFieldType(form, widget))
            rect = pdfium.FS_RECTF()
            if kind is not None and pdfium.FPDFAnnot_GetRect(widget, ctypes.byref(rect)):
                sides = (rect.left, height - rect.top, rect.right, height - rect.bottom)
                area = Area(*(round(side * _MM, 2) for side in sides))
                if area.width > 0 and area.height > 0:
                    found.append(FieldSpec(name=_field_name(form, widget), kind=kind, box=area))
        finally:
            pdfium.FPDFPage_CloseAnnot(widget)
    return found


def _field_name(form: Any, widget: Any) -> str:
    import pypdfium2.raw as pdfium

    length = pdfium.FPDFAnnot_GetFormFieldName(form, widget, None, 0)
    buffer = ctypes.create_string_buffer(length)
    characters = ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort))
    pdfium.FPDFAnnot_GetFormFieldName(form, widget, characters, length)
    name = buffer.raw[:length].decode("utf-16-le", "replace").rstrip("\0")
    return "_".join(name.lower().replace(".", " ").split())
