"""Kaggle's tables: `train.csv` (a label and 784 pixels a row), `test.csv` (no label), and the submission that answers.

It knows two ways of naming the columns, pixel0..pixel783 and 1x1..28x28; pixels run row by row, ink bright on 0.
"""

import csv
import warnings
from io import TextIOWrapper
from pathlib import Path

import numpy as np
from jaxtyping import Int16, Int64

from handigit.atomic import replacing
from handigit.data.dataset import Dataset
from handigit.errors import BadDataFile

LABEL = "label"
_BY_NUMBER = tuple(f"pixel{i}" for i in range(784))
_BY_PLACE = tuple(f"{row}x{column}" for row in range(1, 29) for column in range(1, 29))


def load_table(path: Path) -> Dataset:
    """A table of 28x28 images, taken as they are: such tables hold MNIST's normalisation already.

    Raises:
        BadDataFile: a missing column, or a cell that is no whole number in its range, named by row and column.
    """
    try:
        return _read_table(path)
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise BadDataFile(f"{path}: cannot be read as a table of text: {problem}; give a .csv in UTF-8") from None


def write_submission(path: Path, labels: Int64[np.ndarray, " n"]) -> None:
    """Kaggle's answer sheet: `ImageId,Label`, images counted from 1, whole or not at all.

    Raises:
        DataError: the file cannot be written.
    """
    rows = "".join(f"{number},{label}\n" for number, label in enumerate(labels.tolist(), start=1))
    with replacing(path) as stream:
        stream.write(f"ImageId,Label\n{rows}".encode())


def _read_table(path: Path) -> Dataset:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        columns = _read_header(lines, path)
        cells = _read_cells(lines, len(columns))
    if cells is None or cells.min(initial=0) < 0 or cells.max(initial=0) > 255 or (_labels(cells, columns) > 9).any():
        raise _first_fault(path, columns)
    if not len(cells):
        raise BadDataFile(f"{path}: has a header and no rows; give a table with images")
    labels = _labels(cells, columns).astype(np.int64) if columns[0] == LABEL else None
    return Dataset(path.stem, cells[:, -784:].astype(np.uint8).reshape(-1, 28, 28), labels)


def _read_header(lines: TextIOWrapper, path: Path) -> tuple[str, ...]:
    """The column names, of which there are 784, or 785 with the label first."""
    columns = tuple(name.strip() for name in next(csv.reader([lines.readline()]), []))
    pixels = columns[1:] if columns[:1] == (LABEL,) else columns
    if pixels in (_BY_NUMBER, _BY_PLACE):
        return columns
    named = _BY_PLACE if "1x1" in pixels else _BY_NUMBER
    missing = [name for name in named if name not in pixels]
    what = f"column {missing[0]!r} is missing" if missing else f"columns are not {named[0]} to {named[-1]} in order"
    more = f" (as are {len(missing) - 1} more)" if len(missing) > 1 else ""
    raise BadDataFile(f"{path}: {what}{more}; the first line must name: label (if known), pixel0, ... pixel783")


def _read_cells(lines: TextIOWrapper, columns: int) -> Int16[np.ndarray, "n columns"] | None:
    """All rows at once, by NumPy's parser in C; None if any cell or row is not as it should be."""
    with warnings.catch_warnings():
        # NumPy still reads 1.5 as 1 and only says that it is deprecated; an empty table is ours to speak of.
        warnings.simplefilter("error", DeprecationWarning)
        warnings.simplefilter("ignore", UserWarning)
        try:
            cells = np.loadtxt(lines, np.int16, delimiter=",", comments=None, quotechar='"', ndmin=2)
        except (ValueError, DeprecationWarning):
            return None
    if not cells.size:
        return np.empty((0, columns), np.int16)
    return cells if cells.shape[1] == columns else None


def _labels(cells: Int16[np.ndarray, "n columns"], columns: tuple[str, ...]) -> Int16[np.ndarray, " _"]:
    return cells[:, 0] if columns[0] == LABEL else np.empty(0, np.int16)


def _first_fault(path: Path, columns: tuple[str, ...]) -> BadDataFile:
    """Read again, slowly, to say where the first fault is."""
    with path.open(encoding="utf-8-sig", newline="") as lines:
        rows = csv.reader(lines)
        next(rows)
        for number, row in enumerate((row for row in rows if row), start=1):
            where = f"{path}: row {number} (line {rows.line_num})"
            if len(row) != len(columns):
                return BadDataFile(f"{where} has {len(row)} cells where the header names {len(columns)} columns")
            for column, cell in zip(columns, row, strict=True):
                most = 9 if column == LABEL else 255
                if not _is_whole(cell, most=most):
                    return BadDataFile(f"{where}, column {column!r}: {cell!r} is not a whole number from 0 to {most}")
    return BadDataFile(f"{path}: not a table of whole numbers; write it as Kaggle's train.csv is written")


def _is_whole(cell: str, *, most: int) -> bool:
    text = cell.strip()
    return text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= most
