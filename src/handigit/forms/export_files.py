"""Records as XLSX, CSV, JSON lines, Parquet. Identifiers stay text, dates are dates, and no cell is a formula."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from handigit.atomic import write_file
from handigit.forms.errors import ExportError
from handigit.forms.record import Record
from handigit.forms.record_cells import cell_of, columns_of, facts_of, text_of

FORMATS: Final = ("xlsx", "csv", "jsonl", "parquet")
_FACTS: Final = ("outcome", "form", "version", "copy", "source", "pages", "problems")


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
    data = encode(rows, format or target.suffix.lstrip(".").lower(), bom=bom, crops=crops)
    with write_file(target, error=ExportError) as stream:
        stream.write(data)
    return len(rows)


def encode(records: Sequence[Record], format: str, *, bom: bool = True, crops: bool = False) -> bytes:  # noqa: A002
    """The bytes of the file that `export` writes.

    Raises:
        ExportError: as `export`.
    """
    if format == "xlsx":
        from handigit.forms.export_xlsx import workbook

        return workbook(records, crops=crops)
    if format not in _WRITERS:
        raise ExportError(f"no format {format!r}; there are: {', '.join(FORMATS)}")
    data = _WRITERS[format](records)
    return b"\xef\xbb\xbf" + data if format == "csv" and bom else data


def as_csv(records: Sequence[Record]) -> bytes:
    """A row per record, UTF-8 without a mark."""
    names = columns_of(records)
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow([*_FACTS, *names])
    for record in records:
        writer.writerow([*map(text_of, facts_of(record)), *(text_of(cell_of(record, name)) for name in names)])
    return buffer.getvalue().encode()


def _jsonl(records: Sequence[Record]) -> bytes:
    return "".join(record.json_line() + "\n" for record in records).encode()


def _parquet(records: Sequence[Record]) -> bytes:
    """A column per field; every field as text beside its outcome, so that columns have one type."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise ExportError("Parquet needs pyarrow: pip install pyarrow; or choose csv, jsonl or xlsx") from None
    names = columns_of(records)
    table = {fact: [facts_of(record)[index] for record in records] for index, fact in enumerate(_FACTS)}
    for name in names:
        table[name] = [text_of(cell_of(record, name)) for record in records]
        table[f"{name}.outcome"] = [
            field.outcome.value if (field := record.fields.get(name)) else "" for record in records
        ]
    sink = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(table), sink)
    return sink.getvalue()


_WRITERS: Final[dict[str, Callable[[Sequence[Record]], bytes]]] = {"csv": as_csv, "jsonl": _jsonl, "parquet": _parquet}
