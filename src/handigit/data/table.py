"""Tables of 28x28 images: Kaggle's `train.csv` and `test.csv`, also without a header or with labels last.

A row has 784 pixels, row by row, ink bright on 0, and perhaps a label before or after them. Text may be UTF-8, UTF-16
with a byte order mark (Excel's "Unicode text") or cp1252, with commas, semicolons or tabs.
"""

import csv
import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int16, Int64

from handigit.atomic import write_file
from handigit.data.dataset import CLASSES, Dataset
from handigit.errors import BadDataFile

PIXELS = 784
_LABEL_NAMES = frozenset({"label", "labels", "class", "digit", "target", "y"})
_PIXEL_NAMES = (
    tuple(f"pixel{i}" for i in range(PIXELS)),  # Kaggle
    tuple(f"pixel{i}" for i in range(1, PIXELS + 1)),  # OpenML
    tuple(f"{row}x{column}" for row in range(1, 29) for column in range(1, 29)),
    tuple(str(i) for i in range(PIXELS)),  # pandas without column names
)
_BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}


@dataclass(frozen=True)
class _Columns:
    """A table's column names and the index of its label column: 0, 784, or None."""

    names: tuple[str, ...]
    label: int | None
    has_header: bool


def load_table(path: Path) -> Dataset:
    """A table of 28x28 images, used unchanged: such tables already hold MNIST's normalisation.

    Raises:
        BadDataFile: a missing column, or a cell that is not an integer in its range, named by row and column.
    """
    try:
        text = read_text(path)
        separator = guess_separator(text)
        columns = _find_columns(text, separator, path)
        cells = _parse_cells(text, separator, columns)
    except (OSError, csv.Error) as error:
        raise BadDataFile(f"{path}: cannot be read as a table of text: {error}; give a .csv in UTF-8") from None
    if cells is None or not _in_range(cells, columns):
        raise _first_bad_cell(text, separator, columns, path)
    if not len(cells):
        raise BadDataFile(f"{path}: has a header and no rows; give a table with images")
    if columns.label is None:
        return Dataset(path.stem, cells.astype(np.uint8).reshape(-1, 28, 28), None)
    labels, pixels = cells[:, columns.label], np.delete(cells, columns.label, axis=1)
    return Dataset(path.stem, pixels.astype(np.uint8).reshape(-1, 28, 28), labels.astype(np.int64))


def read_text(path: Path) -> str:
    """A text file's content in whichever encoding it has: UTF-8, UTF-16 with a byte order mark, or cp1252.

    Raises:
        OSError: it cannot be read.
        BadDataFile: it is not text.
    """
    content = path.read_bytes()
    marked = next((name for mark, name in _BYTE_ORDER_MARKS.items() if content.startswith(mark)), None)
    for encoding in (marked,) if marked else ("utf-8", "cp1252"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text.replace("\r\n", "\n").replace("\r", "\n")
    raise BadDataFile(f"{path}: cannot be read as a table of text; save it as CSV in UTF-8")


def guess_separator(text: str) -> str:
    """The most frequent of comma, semicolon and tab in the first line."""
    first = text.partition("\n")[0]
    return max(",;\t", key=first.count)


def write_submission(path: Path, labels: Int64[np.ndarray, " n"]) -> None:
    """Kaggle's answer sheet, written atomically: `ImageId,Label`, images counted from 1.

    Raises:
        DataError: the file cannot be written.
    """
    rows = "".join(f"{number},{label}\n" for number, label in enumerate(labels.tolist(), start=1))
    with write_file(path) as stream:
        stream.write(f"ImageId,Label\n{rows}".encode())


def _find_columns(text: str, separator: str, path: Path) -> _Columns:
    """The columns, from the header or, without one, from the number of cells and the range of their values."""
    first = next(csv.reader(io.StringIO(text), delimiter=separator), [])
    names = tuple(name.strip().lower() for name in first)
    if len(names) in (PIXELS, PIXELS + 1) and len(set(names)) < PIXELS and all(_is_integer(n, most=255) for n in names):
        return _columns_without_header(text, separator, len(names))
    label = next((i for i in (0, len(names) - 1) if names and names[i] in _LABEL_NAMES), None)
    pixels = names if label is None else names[:label] + names[label + 1 :]
    if pixels in _PIXEL_NAMES:
        return _Columns(names, label, has_header=True)
    expected = _PIXEL_NAMES[2] if "1x1" in pixels else _PIXEL_NAMES[0]
    missing = [name for name in expected if name not in pixels]
    problem = f"columns are not {expected[0]} to {expected[-1]} in order"
    if missing:
        problem = f"column {missing[0]!r} is missing"
    more = f" (as are {len(missing) - 1} more)" if len(missing) > 1 else ""
    raise BadDataFile(
        f"{path}: {problem}{more}; the first line must name the label (if known) and pixel0, ... pixel783, or hold "
        "numbers alone"
    )


def _columns_without_header(text: str, separator: str, count: int) -> _Columns:
    """Columns by position. MNIST's corner pixels are always 0, so the outer column that varies is the label."""
    if count == PIXELS:
        return _Columns(_PIXEL_NAMES[0], None, has_header=False)
    rows = [row for row in csv.reader(io.StringIO(text), delimiter=separator) if len(row) == count]
    first, last = (len({row[i].strip() for row in rows}) for i in (0, -1))
    if last > first:
        return _Columns((*_PIXEL_NAMES[0], "label"), PIXELS, has_header=False)
    return _Columns(("label", *_PIXEL_NAMES[0]), 0, has_header=False)


def _parse_cells(text: str, separator: str, columns: _Columns) -> Int16[np.ndarray, "n columns"] | None:
    """All rows, by NumPy's parser in C; None if any cell or row is malformed."""
    lines = io.StringIO(text)
    if columns.has_header:
        next(csv.reader(iter([lines.readline()]), delimiter=separator), None)
    with warnings.catch_warnings():
        # NumPy still reads 1.5 as 1 with a deprecation warning; an empty table gets our own message.
        warnings.simplefilter("error", DeprecationWarning)
        warnings.simplefilter("ignore", UserWarning)
        try:
            cells = np.loadtxt(lines, np.int16, delimiter=separator, comments=None, quotechar='"', ndmin=2)
        except (ValueError, DeprecationWarning):
            return None
    if not cells.size:
        return np.empty((0, len(columns.names)), np.int16)
    return cells if cells.shape[1] == len(columns.names) else None


def _in_range(cells: Int16[np.ndarray, "n columns"], columns: _Columns) -> bool:
    labels = cells[:, columns.label] if columns.label is not None else np.empty(0, np.int16)
    return bool(cells.min(initial=0) >= 0 and cells.max(initial=0) <= 255 and labels.max(initial=0) < CLASSES)


def _first_bad_cell(text: str, separator: str, columns: _Columns, path: Path) -> BadDataFile:
    """The error that names the first malformed cell or row, found by a second, slower reading."""
    rows = csv.reader(io.StringIO(text), delimiter=separator)
    if columns.has_header:
        next(rows)
    try:
        for number, row in enumerate((row for row in rows if row), start=1):
            where = f"{path}: row {number} (line {rows.line_num})"
            if len(row) != len(columns.names):
                return BadDataFile(f"{where} has {len(row)} cells; expected {len(columns.names)}")
            for index, (column, cell) in enumerate(zip(columns.names, row, strict=True)):
                most = CLASSES - 1 if index == columns.label else 255
                if not _is_integer(cell, most=most):
                    return BadDataFile(f"{where}, column {column!r}: {cell!r} is not an integer from 0 to {most}")
    except csv.Error as error:
        return BadDataFile(f"{path}: line {rows.line_num}: {error}; write it as Kaggle's train.csv is written")
    return BadDataFile(f"{path}: not a table of integers; write it as Kaggle's train.csv is written")


def _is_integer(cell: str, *, most: int) -> bool:
    text = cell.strip()
    return text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= most
