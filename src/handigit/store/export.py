"""Readings as lines of text: a lean CSV for clerks, a full one and JSON lines for programs."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any, Final, Literal

from handigit.records import value_to_json
from handigit.spreadsheet import safe_cell
from handigit.store.types import Reading

Format = Literal["csv", "full", "jsonl"]
LEAN_HEADINGS: Final = ("source", "page", "place", "value", "outcome", "confidence", "corrected_by")
HEADINGS: Final = (
    "id",
    "at",
    "source",
    "page",
    "place",
    "outcome",
    "raw",
    "text",
    "value",
    "confidence",
    "corrected_outcome",
    "corrected_text",
    "corrected_value",
    "disputed",
    "left",
    "top",
    "right",
    "bottom",
    "model",
    "model_digest",
    "request_id",
    "picture",
)


def export_lines(readings: Iterable[Reading], *, format: Format, bom: bool = False) -> Iterator[str]:  # noqa: A002
    """Each reading as a line with its end; CSV (RFC 4180) begins with headings, after a byte order mark if `bom`."""
    if format == "jsonl":
        return (json.dumps(reading.as_dict(), ensure_ascii=False) + "\n" for reading in readings)
    headings, cells = (LEAN_HEADINGS, _lean_cells) if format == "csv" else (HEADINGS, _full_cells)
    return _csv_lines(readings, headings, cells, bom=bom)


def final_value(reading: Reading) -> str:
    """The current number as a program can compute with it, or as it is written where its value is not decidable.

    Leading zeros stay: a number that begins with them is an identifier. A doubt's best text counts, a blank is empty.
    """
    value = reading.value
    is_identifier = reading.raw.isascii() and reading.raw.isdigit()
    if isinstance(value, Decimal):
        return reading.raw if is_identifier else f"{value:f}"
    return value.isoformat() if value else reading.raw


def _csv_lines(
    readings: Iterable[Reading], headings: tuple[str, ...], cells: Callable[[Reading], list[Any]], *, bom: bool
) -> Iterator[str]:
    yield ("\ufeff" if bom else "") + _line(headings)
    for reading in readings:
        yield _line(cells(reading))


def _line(cells: Iterable[Any]) -> str:
    stream = io.StringIO()
    csv.writer(stream).writerow([safe_cell(cell) for cell in cells])
    return stream.getvalue()


def _lean_cells(reading: Reading) -> list[Any]:
    return [
        reading.provenance.source,
        reading.number.page + 1,
        reading.place,
        final_value(reading),
        reading.outcome.value,
        round(reading.number.confidence, 4),
        reading.corrected_by,
    ]


def _full_cells(reading: Reading) -> list[Any]:
    number, truth = reading.number, reading.truth
    return [
        reading.id,
        reading.at.isoformat(timespec="milliseconds"),
        reading.provenance.source,
        number.page,
        reading.place,
        number.outcome.value,
        number.raw,
        number.text,
        value_to_json(number.value),
        round(number.confidence, 6),
        truth.outcome.value if truth else "",
        truth.text if truth else "",
        value_to_json(truth.value) if truth else "",
        "yes" if reading.disputed else "",
        *(number.box.as_list() if number.box else [""] * 4),
        reading.provenance.model,
        reading.provenance.model_digest,
        reading.provenance.request_id,
        reading.picture,
    ]
