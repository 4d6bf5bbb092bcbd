"""Pictures of whole numbers with their texts, listed in a CSV file: training data for a number model."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from handigit.data.table import guess_separator, read_text
from handigit.errors import BadDataFile, DataError, ImageError
from handigit.images import Limits, open_pages

_TEXT_COLUMNS = ("text", "label")


@dataclass(frozen=True, slots=True, eq=False)
class LabelledString:
    """The first page of a picture, ink dark on light, and the text written on it."""

    page: UInt8[np.ndarray, "height width"]
    text: str


def load_strings(table: Path, *, limits: Limits = Limits()) -> Iterator[LabelledString]:
    """The pictures in a CSV's column `file`, with the texts of its column `text` (or `label`).

    The whole table is checked before the first picture is decoded. Files are looked up in the table's folder, then in
    its sub-folder `images`.

    Raises:
        BadDataFile: not a table, no such columns, or a row without a file or text.
        DataError: the table or a picture is missing or cannot be read.
    """
    rows = list(_read_rows(table))
    return (LabelledString(_first_page(path, limits), text) for path, text in rows)


def _read_rows(table: Path) -> Iterator[tuple[Path, str]]:
    """Each row's picture and text."""
    try:
        content = read_text(table)
    except OSError as error:
        raise DataError(f"{table}: cannot be read: {error.strerror}; give a CSV of files and texts") from None
    rows = csv.DictReader(io.StringIO(content), delimiter=guess_separator(content))
    columns = [name.strip().lower() for name in rows.fieldnames or ()]
    text_column = next((name for name in _TEXT_COLUMNS if name in columns), None)
    if text_column is None or "file" not in columns:
        raise BadDataFile(f"{table}: its first row is {', '.join(columns) or 'empty'}; name the columns file and text")
    rows.fieldnames = columns
    try:
        for number, row in enumerate(rows, start=2):
            if not row["file"] or row[text_column] is None:
                raise BadDataFile(f"{table}, line {number}: {dict(row)} lacks its file or its text; complete it")
            yield _find_picture(table.parent, row["file"]), row[text_column]
    except csv.Error as error:
        raise BadDataFile(f"{table}, line {rows.line_num}: {error}; save it as CSV in UTF-8") from None


def _find_picture(folder: Path, name: str) -> Path:
    path = next((path for path in (folder / name, folder / "images" / name) if path.is_file()), None)
    if path is None:
        raise DataError(f"{folder / name}: not found; files are looked up in the table's folder and its images/")
    return path


def _first_page(path: Path, limits: Limits) -> UInt8[np.ndarray, "height width"]:
    try:
        return next(iter(open_pages(path, limits=limits)))
    except ImageError as error:
        raise DataError(str(error)) from None
