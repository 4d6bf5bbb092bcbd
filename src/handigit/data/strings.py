"""Pictures of whole numbers with their texts, named in a CSV file: what a person's own number model is tuned on.

It knows files and texts, nothing of lines and models.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from handigit.errors import BadDataFile, DataError, ImageError
from handigit.images import Limits, open_pages

_TEXT_COLUMNS = ("text", "label")


@dataclass(frozen=True, slots=True, eq=False)
class LabelledString:
    """The first page of a picture, ink dark on light, and what is written there."""

    page: UInt8[np.ndarray, "height width"]
    text: str


def load_strings(table: Path, *, limits: Limits = Limits()) -> Iterator[LabelledString]:
    """The pictures that a CSV names in its column `file`, with the texts of its column `text` (or `label`).

    Names are looked for beside the table, and in a folder `images` there.

    Raises:
        BadDataFile: no such columns, or a row without a file or text.
        DataError: no such table, or a picture that is missing or cannot be read.
    """
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            column = next((name for name in _TEXT_COLUMNS if name in (rows.fieldnames or ())), None)
            if column is None or "file" not in (rows.fieldnames or ()):
                names = ", ".join(rows.fieldnames or ()) or "nothing"
                raise BadDataFile(f"{table}: its first row names {names}; name the columns file and text")
            for number, row in enumerate(rows, start=2):
                if not row["file"] or row[column] is None:
                    raise BadDataFile(f"{table}, line {number}: {row} lacks its file or its text; complete it")
                yield LabelledString(_page(table.parent, row["file"], limits), row[column])
    except OSError as problem:
        raise DataError(f"{table}: cannot be read: {problem.strerror}; give a CSV of files and texts") from None


def _page(folder: Path, name: str, limits: Limits) -> UInt8[np.ndarray, "height width"]:
    """The first page of the picture of that name."""
    found = next((place for place in (folder / name, folder / "images" / name) if place.is_file()), None)
    if found is None:
        raise DataError(f"{folder / name}: is not there; the CSV's names are looked for beside it and under images/")
    try:
        return next(iter(open_pages(found, limits=limits)))
    except ImageError as problem:
        raise DataError(str(problem)) from None
