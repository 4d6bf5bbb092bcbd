"""Rows of values for spreadsheets: Excel files, and CSV cells that no spreadsheet runs as a formula."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

Cell = str | int | float | Decimal | date | bytes | None
MAX_TEXT = 32_767  # Excel's limit for one cell
_MIN_WIDTH, _MAX_WIDTH = 8, 48  # characters
_PICTURE_WIDTH_PX, _PICTURE_HEIGHT_PX = 160, 32
_PLAIN_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)*")
# Full-width signs too: spreadsheets in East Asia treat them alike.
_FORMULA = re.compile(r"(^|[;,\t\r\n\"])([\s\0]*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])")


def write_xlsx(
    target: Path | IO[bytes], columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, sheet: str = "Numbers"
) -> None:
    """Write one sheet with a frozen header row; rows are consumed one by one, and kept in temporary files.

    A `str` becomes a text cell, so that leading zeros survive and nothing is run as a formula. Numbers become number
    cells, dates date cells, and `bytes` (a PNG) a picture.

    Raises:
        OSError: no space for them.
    """
    widths = [len(column) for column in columns]
    with open_workbook(str(target) if isinstance(target, Path) else target) as (book, _):
        page = book.add_worksheet(sheet)
        formats = {name: book.add_format({"num_format": name}) for name in ("@", "yyyy-mm-dd")}
        page.write_row(0, 0, columns, book.add_format({"bold": True}))
        for line, row in enumerate(rows, start=1):
            for column, value in enumerate(row):
                if isinstance(value, str):
                    page.write_string(line, column, _printable(value), formats["@"])
                elif isinstance(value, bytes):
                    _insert_picture(page, line, column, value)
                elif isinstance(value, date):
                    page.write_datetime(line, column, value, formats["yyyy-mm-dd"])
                elif isinstance(value, Decimal):
                    name = _decimal_format(value)
                    formats[name] = formats.get(name) or book.add_format({"num_format": name})
                    page.write_number(line, column, value, formats[name])
                elif value is not None:
                    page.write_number(line, column, value)
                widths[column] = max(widths[column], _width(value))
        page.freeze_panes(1, 0)
        for column, width in enumerate(widths):
            page.set_column(column, column, min(max(width + 1, _MIN_WIDTH), _MAX_WIDTH))


@contextmanager
def open_workbook(target: str | IO[bytes]) -> Iterator[tuple[Any, Path]]:
    """A workbook of xlsxwriter, written to `target` once the block ends without an error, and a folder for pictures.

    Rows, which must be written in order, are kept in that temporary folder, too. Strings that look like formulas,
    numbers or addresses stay strings.

    Raises:
        OSError: no space for them.
    """
    from xlsxwriter import Workbook
    from xlsxwriter.exceptions import FileCreateError

    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False,
               "strings_to_numbers": False}  # fmt: skip
    with TemporaryDirectory() as folder:
        book = Workbook(target, options | {"tmpdir": folder})
        try:
            yield book, Path(folder)
        except BaseException:
            book.fileclosed = True  # or it would be written when it is collected
            raise
        try:
            book.close()
        except FileCreateError as problem:
            raise problem.args[0] from None


def _insert_picture(page: Any, line: int, column: int, png: bytes) -> None:
    """Insert a PNG, scaled to fit its cell; the size is in bytes 16 to 24 of the file."""
    width, height = int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
    scale = min(1, _PICTURE_WIDTH_PX / max(width, 1), _PICTURE_HEIGHT_PX / max(height, 1))
    page.set_row_pixels(line, _PICTURE_HEIGHT_PX + 4)
    place = {"image_data": BytesIO(png), "x_scale": scale, "y_scale": scale, "x_offset": 2, "y_offset": 2}
    page.insert_image(line, column, "crop.png", place)


def _decimal_format(value: Decimal) -> str:
    """An Excel number format with as many decimal places as the value, so that 3.50 is not shown as 3.5."""
    exponent = value.as_tuple().exponent
    return "0." + "0" * -exponent if isinstance(exponent, int) and exponent < 0 else "0"


def _width(value: Cell) -> int:
    if isinstance(value, bytes):
        return _PICTURE_WIDTH_PX // 7  # pixels per character in Excel's default font
    return 0 if value is None else len(str(value))


def _printable(text: str) -> str:
    """The text without control characters, which XML cannot contain."""
    return "".join(letter for letter in text if letter.isprintable() or letter in "\t\n")[:MAX_TEXT]


def safe_cell(value: object) -> str:
    """A value as CSV text. Text that a spreadsheet would run as a formula (CWE-1236) gets an apostrophe in front.

    So does text after `;` or a tab, where spreadsheets of other countries begin a new cell. Numbers are unchanged.
    """
    text = "" if value is None else str(value)
    return text if _PLAIN_NUMBER.fullmatch(text) else _FORMULA.sub(r"\1\2'", text)
