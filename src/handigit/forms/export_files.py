"""Records as XLSX, CSV, JSON lines, Parquet. Identifiers stay text, dates are dates, and no cell is a formula."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Final

from handigit.atomic import write_file
from handigit.forms.errors import ExportError
from handigit.forms.record import Record
from handigit.forms.record_cells import cell_of, columns_of, facts_of, text_of

FORMATS: Final = ("xlsx", "csv", "jsonl", "parquet")
_FACTS: Final = ("outcome", "form", "version", "copy", "source", "pages", "problems")
_ROW_GROUP: Final = 1000
"""Rows of a Parquet file that are written at a time."""


def export(
    records: Iterable[Record],
    path: str | Path,
    *,
    format: str | None = None,  # noqa: A002
    bom: bool = True,
    crops: bool = False,
) -> int:
    """Write records to a file and return how many there were.

    `format`: xlsx, csv, jsonl or parquet; None: by the file's name. `bom`: whether a CSV begins with the mark by which
    spreadsheets know UTF-8. `crops`: whether an XLSX has the picture of each field, for which the reader must keep
    them.

    Raises:
        ExportError: an unknown format, or Parquet without pyarrow.
    """
    target = Path(path)
    rows = list(records)
    format = format or target.suffix.lstrip(".").lower()  # noqa: A001
    with write_file(target, error=ExportError) as stream:
        write_records(rows, stream, format, columns=columns_of(rows), bom=bom, crops=crops)
    return len(rows)


def write_records(
    records: Iterable[Record],
    stream: IO[bytes],
    format: str,  # noqa: A002
    *,
    columns: Sequence[str],
    bom: bool = True,
    crops: bool = False,
) -> None:
    """Write records to an open binary file one by one, so that any number fits into memory.

    `columns`: the names by `columns_of`; the rest as in `export`.

    Raises:
        ExportError: as `export`.
    """
    if format == "xlsx":
        from handigit.forms.export_xlsx import write_workbook

        write_workbook(records, stream, columns, crops=crops)
        return
    if format not in _WRITERS:
        raise ExportError(f"no format {format!r}; there are: {', '.join(FORMATS)}")
    if format == "csv" and bom:
        stream.write(b"\xef\xbb\xbf")
    _WRITERS[format](records, stream, columns)


def _write_csv(records: Iterable[Record], stream: IO[bytes], columns: Sequence[str]) -> None:
    """A row per record, UTF-8."""
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
    writer = csv.writer(text)
    writer.writerow([*_FACTS, *columns])
    for record in records:
        writer.writerow([*map(text_of, facts_of(record)), *(text_of(cell_of(record, name)) for name in columns)])
    text.detach()


def _write_jsonl(records: Iterable[Record], stream: IO[bytes], columns: Sequence[str]) -> None:  # noqa: ARG001
    stream.writelines(record.json_line().encode() + b"\n" for record in records)


def _write_parquet(records: Iterable[Record], stream: IO[bytes], columns: Sequence[str]) -> None:
    """A column per field; every field as text beside its outcome, so that columns have one type."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise ExportError("Parquet needs pyarrow: pip install pyarrow; or choose csv, jsonl or xlsx") from None
    names = [*_FACTS, *(name + suffix for name in columns for suffix in ("", ".outcome"))]
    schema = pyarrow.schema([(name, pyarrow.string()) for name in names])
    rows = (_texts_of(record, columns) for record in records)
    with pyarrow.parquet.ParquetWriter(stream, schema) as writer:
        while group := list(islice(rows, _ROW_GROUP)):
            writer.write_table(pyarrow.table(list(zip(*group, strict=True)), schema=schema))


def _texts_of(record: Record, columns: Sequence[str]) -> list[str]:
    """A record's facts, then the text and the outcome of each column."""
    row = facts_of(record)
    for name in columns:
        field = record.fields.get(name)
        row += [text_of(cell_of(record, name)), field.outcome.value if field else ""]
    return row


_WRITERS: Final[dict[str, Callable[[Iterable[Record], IO[bytes], Sequence[str]], None]]] = {
    "csv": _write_csv,
    "jsonl": _write_jsonl,
    "parquet": _write_parquet,
}
