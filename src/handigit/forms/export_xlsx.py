"""Records as a workbook of three sheets: Records (a row per form), Fields (a row per field), Problems."""

from collections.abc import Sequence
from datetime import date, time
from decimal import Decimal
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import cv2

from handigit.forms.record import FieldOutcome, Record, RecordOutcome, Value
from handigit.forms.record_cells import cell_of, columns_of, facts_of

if TYPE_CHECKING:
    from xlsxwriter.worksheet import Worksheet

_FACTS: Final = ("Outcome", "Form", "Version", "Copy", "Source", "Pages", "Problems")
_FIELD_COLUMNS: Final = ("Source", "Page", "Form", "Copy", "Field", "Outcome", "Value", "As written", "Confidence",
                         "Decided by", "Read alone", "Alternatives", "Box", "Note")  # fmt: skip
_DOUBT_COLOUR: Final = "#FFE699"
_FAILED_COLOUR: Final = "#F8CBAD"
_CROP_ROW_PT: Final = 30
_WIDEST: Final = 40


def workbook(records: Sequence[Record], *, crops: bool = False) -> bytes:
    """The bytes of the workbook; `crops`: whether the sheet Fields shows the picture of each field."""
    from xlsxwriter import Workbook

    buffer = BytesIO()
    # Strings that look like formulas, numbers or addresses stay strings.
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_numbers": False, "strings_to_urls": False}
    with Workbook(buffer, options) as book:
        styles = _Styles(book)
        _records_sheet(book.add_worksheet("Records"), records, styles)
        _fields_sheet(book.add_worksheet("Fields"), records, styles, crops=crops)
        _problems_sheet(book.add_worksheet("Problems"), records, styles)
    return buffer.getvalue()


class _Styles:
    """The formats of cells, by type of value and by colour."""

    def __init__(self, book: Any) -> None:
        self._book = book
        self._made: dict[tuple[str, str], Any] = {}
        self.heading = book.add_format({"bold": True, "bottom": 1})

    def of(self, value: Value, colour: str = "") -> Any:
        kind = {date: "yyyy-mm-dd", time: "hh:mm", str: "@"}.get(type(value), "General")
        key = kind, colour
        if key not in self._made:
            self._made[key] = self._book.add_format({"num_format": kind} | ({"bg_color": colour} if colour else {}))
        return self._made[key]


def _records_sheet(sheet: "Worksheet", records: Sequence[Record], styles: _Styles) -> None:
    names = columns_of(records)
    _heading(sheet, [*_FACTS, *names], styles)
    for row, record in enumerate(records, start=1):
        colour = {RecordOutcome.DOUBT: _DOUBT_COLOUR, RecordOutcome.UNPLACED: _FAILED_COLOUR}.get(record.outcome, "")
        for column, text in enumerate(facts_of(record)):
            _write(sheet, row, column, text, styles, colour if column == 0 else "")
        for column, name in enumerate(names, start=len(_FACTS)):
            field = record.fields.get(name)
            doubted = field is not None and field.outcome is FieldOutcome.DOUBT
            _write(sheet, row, column, cell_of(record, name), styles, _DOUBT_COLOUR if doubted else "")


def _fields_sheet(sheet: "Worksheet", records: Sequence[Record], styles: _Styles, *, crops: bool) -> None:
    _heading(sheet, [*_FIELD_COLUMNS, *(["Picture"] if crops else [])], styles)
    row = 0
    for record in records:
        for field in record.fields.values():
            row += 1
            colour = _DOUBT_COLOUR if field.outcome is FieldOutcome.DOUBT else ""
            alone = field.alone
            values: list[Value] = [
                record.source,
                Decimal(field.page + 1),
                record.template,
                record.copy,
                field.name,
                field.outcome.value,
                cell_of(record, field.name),
                field.raw,
                Decimal(str(round(field.confidence, 4))),
                field.by,
                f"{alone.text} ({alone.confidence:.0%})" if alone else "",
                ", ".join(f"{text} ({share:.1%})" for text, share in field.alternatives),
                " ".join(map(str, field.box.as_list())) if field.box else "",
                field.note,
            ]
            for column, value in enumerate(values):
                _write(sheet, row, column, value, styles, colour)
            if crops and field.crop is not None:
                _picture(sheet, row, len(values), field.crop)


def _problems_sheet(sheet: "Worksheet", records: Sequence[Record], styles: _Styles) -> None:
    _heading(sheet, ["Source", "Form", "Copy", "Problem"], styles)
    row = 0
    for record in records:
        for problem in record.problems:
            row += 1
            for column, text in enumerate([record.source, record.template, record.copy, problem]):
                _write(sheet, row, column, text, styles)


def _heading(sheet: "Worksheet", names: Sequence[str], styles: _Styles) -> None:
    for column, name in enumerate(names):
        sheet.write_string(0, column, name, styles.heading)
        sheet.set_column(column, column, min(max(len(name) + 2, 11), _WIDEST))
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, 0, max(len(names) - 1, 0))


def _write(sheet: "Worksheet", row: int, column: int, value: Value, styles: _Styles, colour: str = "") -> None:
    style = styles.of(value, colour)
    if value is None or value == "":
        sheet.write_blank(row, column, None, style)
    elif isinstance(value, bool):
        sheet.write_string(row, column, "yes" if value else "no", style)
    elif isinstance(value, Decimal):
        sheet.write_number(row, column, float(value), style)
    elif isinstance(value, date | time):
        sheet.write_datetime(row, column, value, style)
    else:
        sheet.write_string(row, column, str(value), style)


def _picture(sheet: "Worksheet", row: int, column: int, crop: Any) -> None:
    _, data = cv2.imencode(".png", crop)
    scale = _CROP_ROW_PT * 96 / 72 / crop.shape[0]
    sheet.set_row(row, _CROP_ROW_PT + 2)
    options = {"image_data": BytesIO(data.tobytes()), "x_scale": scale, "y_scale": scale, "object_position": 1}
    sheet.insert_image(row, column, "field.png", options)
