"""Readings as an XLSX workbook: identifiers as text, numbers as numbers, dates as dates, and crops if wanted."""

import io
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import IO, Final

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from handigit.records import OUTCOME_WORDS
from handigit.spreadsheet import Cell, write_xlsx
from handigit.store.errors import NotInStore
from handigit.store.store import EVERYTHING, Store
from handigit.store.training_export import crop_number
from handigit.store.types import Filter, Reading

HEADINGS: Final = ("Source", "Page", "Place", "Value", "Outcome", "Confidence", "Corrected by")
_MAX_DIGITS: Final = 15
"""Excel's numbers are doubles: more digits, such as those of an account, would be rounded."""
_CROP_HEIGHT_PX: Final = 32
_MAX_CROP_WIDTH_PX: Final = 400


def export_xlsx(
    store: Store,
    target: Path | IO[bytes],
    filter: Filter = EVERYTHING,  # noqa: A002
    *,
    crops: bool = False,
    guard: Callable[[Iterator[Reading]], Iterator[Reading]] = iter,
) -> None:
    """Write the selected readings in the order in which they were read, one row per number.

    The column `Value` is the current number: a person's before the reader's. `crops` adds a picture of each number.
    The readings pass through `guard`, which may end the export by an error.

    Raises:
        OSError: no space for temporary files.
    """
    headings = (*HEADINGS, "Picture") if crops else HEADINGS
    write_xlsx(target, headings, _rows(store, guard(store.in_order(filter)), crops=crops), sheet="Readings")


def _rows(store: Store, readings: Iterator[Reading], *, crops: bool) -> Iterator[tuple[Cell, ...]]:
    cropper = _Cropper(store)
    for reading in readings:
        row = (
            reading.provenance.source,
            reading.number.page + 1,
            reading.place,
            _value_cell(reading),
            OUTCOME_WORDS[reading.outcome],
            round(reading.number.confidence, 4),
            reading.corrected_by,
        )
        yield (*row, cropper.crop(reading)) if crops else row


def _value_cell(reading: Reading) -> Cell:
    """A number or date where the value is decidable and a cell holds it exactly, else the text as it is written."""
    value, raw = reading.value, reading.raw
    if isinstance(value, date):
        return value
    is_identifier = raw.isdigit() and (len(raw) > _MAX_DIGITS or (len(raw) > 1 and raw.startswith("0")))
    if isinstance(value, Decimal) and not is_identifier and len(value.as_tuple().digits) <= _MAX_DIGITS:
        return value
    return raw or None


class _Cropper:
    """Cuts numbers out of stored pages; remembers the last page, because its numbers follow one another."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._digest: str | None = None
        self._page: UInt8[np.ndarray, "height width"] | None = None

    def crop(self, reading: Reading) -> bytes | None:
        """The number's picture as a small PNG; None without a stored page."""
        if reading.picture != self._digest:
            self._digest, self._page = reading.picture, self._load(reading.picture)
        if self._page is None:
            return None
        crop = Image.fromarray(crop_number(self._page, reading.number.box))
        width = round(crop.width * _CROP_HEIGHT_PX / crop.height)
        stream = io.BytesIO()
        crop.resize((min(max(width, 1), _MAX_CROP_WIDTH_PX), _CROP_HEIGHT_PX)).save(stream, "PNG")
        return stream.getvalue()

    def _load(self, digest: str | None) -> UInt8[np.ndarray, "height width"] | None:
        try:
            return np.asarray(Image.open(io.BytesIO(self._store.picture(digest))).convert("L")) if digest else None
        except NotInStore:
            return None
