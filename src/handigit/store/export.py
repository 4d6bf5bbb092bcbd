"""Readings as lines of text: CSV for spreadsheets, JSON lines for programs.

It knows formats, not where readings come from.

A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula and runs it; file names are chosen by
strangers (CWE-1236). Such a cell gets an apostrophe before it, and so does what would begin a cell if the file were
cut at another separator (`;`, tab), as spreadsheets of other countries do. Plain numbers are left alone.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from handigit.store.types import Reading

Format = Literal["csv", "jsonl"]

HEADINGS = (
    "id",
    "at",
    "source",
    "page",
    "outcome",
    "text",
    "confidence",
    "corrected_outcome",
    "corrected_text",
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

_PLAIN_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)*")
# Full-width forms too: spreadsheets of East Asia take them for the same signs.
_FORMULA = re.compile(r"(^|[;,\t\r\n\"])([\s\0]*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])")


def lines(readings: Iterable[Reading], *, format: Format) -> Iterator[str]:  # noqa: A002
    """Each reading as a line with its end; CSV (RFC 4180, a line of headings first) or JSON (as `Reading.as_dict`)."""
    if format == "jsonl":
        return (json.dumps(reading.as_dict(), ensure_ascii=False) + "\n" for reading in readings)
    return _csv(readings)


def safe_cell(value: object) -> str:
    """A value as the text of a cell that no spreadsheet runs; numbers, leading zeros too, stay as they are."""
    text = "" if value is None else str(value)
    return text if _PLAIN_NUMBER.fullmatch(text) else _FORMULA.sub(r"\1\2'", text)


def _csv(readings: Iterable[Reading]) -> Iterator[str]:
    yield _line(HEADINGS)
    for reading in readings:
        yield _line(_cells(reading))


def _line(cells: Iterable[Any]) -> str:
    stream = io.StringIO()
    csv.writer(stream).writerow([safe_cell(cell) for cell in cells])
    return stream.getvalue()


def _cells(reading: Reading) -> list[Any]:
    number, truth = reading.number, reading.truth
    return [
        reading.id,
        reading.at.isoformat(timespec="milliseconds"),
        reading.provenance.source,
        number.page,
        number.outcome.value,
        number.text,
        round(number.confidence, 6),
        truth.outcome.value if truth else "",
        truth.text if truth else "",
        "yes" if reading.disputed else "",
        *(number.box.as_list() if number.box else [""] * 4),
        reading.provenance.model,
        reading.provenance.model_digest,
        reading.provenance.request_id,
        reading.picture,
    ]
