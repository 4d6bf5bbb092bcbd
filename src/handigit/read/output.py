"""Print or save readings: a table, JSON, JSON Lines, CSV or an Excel file."""

import csv
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol, runtime_checkable

from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.text import Text

from handigit.records import Number, Outcome, percent
from handigit.spreadsheet import Cell, safe_cell, write_xlsx

Format = Literal["table", "json", "jsonl", "csv", "xlsx"]
COLUMNS: Final = (
    *("source", "page", "outcome", "raw", "text", "value", "confidence"),
    *("left", "top", "right", "bottom", "alternatives", "model"),
)
_XLSX_COLUMNS: Final = ("File", "Page", "Value", "As written", "Digits", "Outcome", "Confidence", "Model")
_TABLE_COLUMNS: Final = ("value", "outcome", "confidence", "runner-up", "picture")
_DROPPED_FIRST: Final = (3, 2, 1)  # columns that a narrow terminal does without, in this order
_MIN_NAME: Final = 12
_GAP: Final = 2
_STYLES: Final = {
    Outcome.READ: "green",
    Outcome.DOUBT: "yellow",
    Outcome.BLANK: "dim",
    Outcome.NOT_A_NUMBER: "magenta",
}


@runtime_checkable
class TextSink(Protocol):
    """A text file, or the screen."""

    def write(self, text: str, /) -> Any: ...  # noqa: D102
    def flush(self) -> Any: ...  # noqa: D102


@dataclass(frozen=True)
class Reading:
    """One number, its source and the model that read it."""

    source: str
    number: Number
    model: str

    def as_dict(self) -> dict[str, Any]:
        """The JSON object for this number, the same in every interface."""
        return self.number.as_dict(source=self.source, model=self.model)


def print_readings(readings: Iterable[Reading], *, format: Format, console: Console) -> None:  # noqa: A002
    """Print results; JSON Lines and CSV as soon as each is available, tab-separated where the table is not on a screen.

    Raises:
        ValueError: `xlsx`, which needs a file.
    """
    if format == "table" and console.is_terminal:
        _print_table(list(readings), console)
    else:
        write_readings(readings, console.file, format=format)


def save_readings(readings: Iterable[Reading], path: Path, *, format: Format) -> None:  # noqa: A002
    """Write results to a file: text as UTF-8, line by line, so that an interrupted run keeps its results so far."""
    if format == "xlsx":
        write_xlsx(path, _XLSX_COLUMNS, map(_xlsx_row, readings))
        return
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        write_readings(readings, file, format=format)


def write_readings(readings: Iterable[Reading], file: TextSink, *, format: Format) -> None:  # noqa: A002
    """Write results as text.

    Raises:
        ValueError: `xlsx`, which is not text.
    """
    match format:
        case "jsonl":
            for reading in readings:
                _write(file, json.dumps(reading.as_dict()) + "\n")
        case "json":
            _write(file, json.dumps([reading.as_dict() for reading in readings], indent=2) + "\n")
        case "csv":
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            for reading in readings:
                writer.writerow(map(safe_cell, _csv_row(reading)))
                file.flush()
        case "table":
            _write_tabs(readings, file)
        case _:
            raise ValueError(f"{format}: not a text format; write it to a file")


def _write(file: TextSink, text: str) -> None:
    file.write(text)
    file.flush()


def _csv_row(reading: Reading) -> list[Any]:
    answer = reading.as_dict()
    sides = dict(zip(("left", "top", "right", "bottom"), answer["box"] or [""] * 4, strict=True))
    others = "; ".join(f"{text} {confidence:.4f}" for text, confidence in reading.number.alternatives)
    cells = answer | sides | {"confidence": f"{reading.number.confidence:.6f}", "alternatives": others}
    return [cells[column] for column in COLUMNS]


def _xlsx_row(reading: Reading) -> tuple[Cell, ...]:
    number = reading.number
    return (
        reading.source,
        number.page + 1,
        number.raw if number.value is None else number.value,
        number.raw,
        number.text,
        number.outcome.label,
        round(number.confidence, 4),
        reading.model,
    )


def _write_tabs(readings: Iterable[Reading], file: TextSink) -> None:
    """Tab-separated lines with a header, nothing shortened; no header without readings."""
    for index, reading in enumerate(readings):
        if index == 0:
            _write(file, "\t".join(_TABLE_COLUMNS) + "\n")
        _write(file, "\t".join(_cells(reading, _name(reading))) + "\n")


def _print_table(readings: Sequence[Reading], console: Console) -> None:
    """A table that fits the terminal: columns are dropped and names shortened, values never."""
    if not readings:
        return
    folder = _common_folder(readings)
    if folder:
        console.print(Text(f"{folder}{os.sep}", "dim"), soft_wrap=True)
    rows = [_cells(reading, _name(reading).removeprefix(f"{folder}{os.sep}")) for reading in readings]
    widths = [max(map(cell_len, column)) for column in zip(_TABLE_COLUMNS, *rows, strict=True)]
    shown = _shown_columns(widths, console.width)
    room = console.width - sum(widths[i] + _GAP for i in shown if i != 4)
    is_stacked = room < min(widths[4], _MIN_NAME)  # even so, the name needs a line of its own
    if is_stacked:
        shown.remove(4)
    widths[4] = min(widths[4], console.width - _GAP if is_stacked else room)
    console.print(_row(_TABLE_COLUMNS, widths, shown, ["bold"] * 5), soft_wrap=True)
    for reading, row in zip(readings, rows, strict=True):
        styles = ["bold", _STYLES[reading.number.outcome], "", "dim", ""]
        console.print(_row(row, widths, shown, styles), soft_wrap=True)
        if is_stacked:
            console.print(Text(" " * _GAP + _shorten(row[4], widths[4])), soft_wrap=True)


def _cells(reading: Reading, name: str) -> tuple[str, ...]:
    number = reading.number
    alternatives = ((_with_separators(text, number.raw), percent(p)) for text, p in number.alternatives[:1])
    runner_up = "".join(f"{text} {confidence}" for text, confidence in alternatives)
    return (
        (number.raw or number.text) if number.text else "-",
        number.outcome.label,
        percent(number.confidence) if number.text else "",
        runner_up,
        name if number.page == 0 else f"{name} page {number.page + 1}",
    )


def _with_separators(digits: str, raw: str) -> str:
    """Digits with the separators of `raw` ("850" like "3.50" is "8.50"), where there are as many digits."""
    if len(digits) != sum(letter.isdecimal() for letter in raw):
        return digits
    remaining = iter(digits)
    return "".join(next(remaining) if letter.isdecimal() else letter for letter in raw)


def _name(reading: Reading) -> str:
    """The source on one line: line breaks and other control characters are escaped."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "backslashreplace").decode()
        for letter in reading.source
    )


def _common_folder(readings: Sequence[Reading]) -> str:
    """The folder that contains all sources of a table with several; an empty string if there is none."""
    folders = {os.path.dirname(_name(reading)) for reading in readings}  # noqa: PTH120 - a source may be no path
    if len(readings) < 2 or "" in folders:
        return ""
    try:
        return os.path.commonpath(folders).rstrip(os.sep)
    except ValueError:  # absolute and relative paths
        return ""


def _shown_columns(widths: Sequence[int], width: int) -> list[int]:
    """Columns that fit, with at least `_MIN_NAME` characters of the name."""
    shown = list(range(len(widths)))
    if not widths[3]:
        shown.remove(3)
    for column in _DROPPED_FIRST:
        needed = sum(min(widths[i], _MIN_NAME) if i == 4 else widths[i] + _GAP for i in shown)
        if needed > width and column in shown:
            shown.remove(column)
    return shown


def _row(cells: Sequence[str], widths: Sequence[int], shown: Sequence[int], styles: Sequence[str]) -> Text:
    row = Text()
    for column in shown:
        cell = _shorten(cells[column], widths[column]) if column == 4 else cells[column]
        padding = " " * (widths[column] - cell_len(cell))
        parts = (padding, cell) if _TABLE_COLUMNS[column] == "confidence" else (cell, padding)
        for part in parts:
            row.append(part, styles[column] if part is cell else "")
        row.append(" " * _GAP)
    row.rstrip()
    return row


def _shorten(name: str, width: int) -> str:
    """A name with its middle left out; its end, with the page and suffix, is more telling than its start."""
    if cell_len(name) <= width or width < 4:
        return name
    tail = chop_cells(name[::-1], (width - 1) * 2 // 3)[0][::-1]
    return f"{chop_cells(name, width - 1 - cell_len(tail))[0]}…{tail}"
