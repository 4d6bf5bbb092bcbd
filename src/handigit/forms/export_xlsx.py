"""Records as a workbook of three sheets: Records (a row per form), Fields (a row per field), Problems."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import cv2

from handigit.forms.record import Field, FieldOutcome, Record, RecordOutcome, Value
from handigit.forms.record_cells import cell_of, facts_of
from handigit.spreadsheet import open_workbook

if TYPE_CHECKING:
    from xlsxwriter.worksheet import Worksheet

_FACTS: Final = ("Outcome", "Form", "Version", "Copy", "Source", "Pages", "Problems")
_FIELD_COLUMNS: Final = ("Source", "Page", "Form", "Copy", "Field", "Outcome", "Value", "As written", "Confidence",
                         "Decided by", "Read alone", "Alternatives", "Box", "Note")  # fmt: skip
_DOUBT_COLOUR: Final = "#FFE699"
_FAILED_COLOUR: Final = "#F8CBAD"
_CROP_ROW_PT: Final = 30
_WIDEST: Final = 40


def write_workbook(
    records: Iterable[Record], stream: IO[bytes], columns: Sequence[str], *, crops: bool = False
) -> None:
    """Write the workbook to an open file; `crops`: whether the sheet Fields shows the picture of each field.

    Rows and pictures are kept in temporary files until the end.

    Raises:
        OSError: no space for them.
    """
    with open_workbook(stream) as (book, folder):
        sheets = _Sheets(book, columns, folder if crops else None)
        for record in records:
            sheets.add(record)


class _Sheets:
    """The three sheets, which grow row by row; `pictures`: a folder for the pictures of fields, None without them."""

    def __init__(self, book: Any, columns: Sequence[str], pictures: Path | None) -> None:
        self._styles = _Styles(book)
        self._columns = columns
        self._pictures = pictures
        headings = {
            "Records": (*_FACTS, *columns),
            "Fields": (*_FIELD_COLUMNS, *(("Picture",) if pictures else ())),
            "Problems": ("Source", "Form", "Copy", "Problem"),
        }
        self._records, self._fields, self._problems = (book.add_worksheet(name) for name in headings)
        for sheet, names in zip(book.worksheets(), headings.values(), strict=True):
            _heading(sheet, names, self._styles)
        self._rows: Counter[Any] = Counter()

    def add(self, record: Record) -> None:
        """Write the rows of one record."""
        self._add_record(record)
        for field in record.fields.values():
            self._add_field(record, field)
        for problem in record.problems:
            row = self._next_row(self._problems)
            for column, text in enumerate([record.source, record.template, record.copy, problem]):
                _write(self._problems, row, column, text, self._styles)

    def _next_row(self, sheet: "Worksheet") -> int:
        self._rows[sheet] += 1
        return self._rows[sheet]

    def _add_record(self, record: Record) -> None:
        sheet, row = self._records, self._next_row(self._records)
        colour = {RecordOutcome.DOUBT: _DOUBT_COLOUR, RecordOutcome.UNPLACED: _FAILED_COLOUR}.get(record.outcome, "")
        for column, text in enumerate(facts_of(record)):
            _write(sheet, row, column, text, self._styles, colour if column == 0 else "")
        for column, name in enumerate(self._columns, start=len(_FACTS)):
            field = record.fields.get(name)
            doubted = field is not None and field.outcome is FieldOutcome.DOUBT
            _write(sheet, row, column, cell_of(record, name), self._styles, _DOUBT_COLOUR if doubted else "")

    def _add_field(self, record: Record, field: Field) -> None:
        sheet, row = self._fields, self._next_row(self._fields)
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
            _write(sheet, row, column, value, self._styles, colour)
        if self._pictures and field.crop is not None:
            _insert_picture(sheet, row, len(values), field.crop, self._pictures / f"{row}.png")


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


def _heading(sheet: "Worksheet", names: Sequence[str], styles: "_Styles") -> None:
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


def _insert_picture(sheet: "Worksheet", row: int, column: int, crop: Any, file: Path) -> None:
    """Insert a picture; it is read from `file` when the workbook is closed."""
    file.write_bytes(cv2.imencode(".png", crop)[1].tobytes())
    scale = _CROP_ROW_PT * 96 / 72 / crop.shape[0]
    sheet.set_row(row, _CROP_ROW_PT + 2)
    sheet.insert_image(row, column, str(file), {"x_scale": scale, "y_scale": scale, "object_position": 1})
