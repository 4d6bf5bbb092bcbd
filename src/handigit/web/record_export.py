"""Stored records as a file, one at a time: any number of them takes little memory."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from tempfile import TemporaryFile
from typing import IO, Final

import numpy as np

from handigit.forms import Record
from handigit.forms.record_cells import columns_of
from handigit.images import open_pages
from handigit.store import FormRecord, Store
from handigit.web.exports import MAX_PICTURES, Guard, at_most
from handigit.web.problems import INVALID, Problem

_MAX_RECORDS: Final = 20_000
_LESS: Final = "select a batch or a template"


def write_stored(
    found: Iterable[FormRecord],
    file: IO[bytes],
    format: str,  # noqa: A002
    *,
    bom: bool,
    guard: Guard,
    with_crops: Callable[[Record, Mapping[int, str]], Record] | None = None,
) -> None:
    """Write stored records to an open file in one of the formats of `handigit.forms.export`.

    All are first written to a temporary file, because the names of all columns come before the first row. `guard`:
    the records pass it again when they are read from there. `with_crops` adds pictures to a record of these pages.

    Raises:
        Problem: too many records or pictures.
        ExportError: Parquet without pyarrow.
    """
    from handigit.forms.export_files import write_records

    with TemporaryFile("w+", encoding="utf-8") as lines:
        columns = columns_of(_noted(at_most(_MAX_RECORDS, found, what=f"records; {_LESS}"), lines))
        lines.seek(0)
        records = guard(_again(lines, with_crops))
        write_records(records, file, format, columns=columns, bom=bom, crops=with_crops is not None)


def _noted(found: Iterable[FormRecord], lines: IO[str]) -> Iterator[Record]:
    """The records; each is also written to a file, with the pictures of its pages."""
    for stored in found:
        lines.write(json.dumps([stored.content, sorted(stored.pictures.items())]) + "\n")
        yield Record.from_json(stored.content)


def _again(lines: IO[str], with_crops: Callable[[Record, Mapping[int, str]], Record] | None) -> Iterator[Record]:
    pictures = 0
    for line in lines:
        content, pages = json.loads(line)
        record = Record.from_json(content)
        if with_crops:
            pictures += len(record.fields)
            if pictures > MAX_PICTURES:
                raise Problem(INVALID, f"more than {MAX_PICTURES:,} pictures of fields; {_LESS}, or leave crops out")
            record = with_crops(record, dict(pages))
        yield record


def add_crops(store: Store, record: Record, pictures: Mapping[int, str]) -> Record:
    """The record with the picture of each field, cut out of its stored pages, of which one is decoded at a time."""
    fields = dict(record.fields)
    for (_, digest), page in zip(sorted(pictures.items()), record.pages, strict=False):
        wanted = [field for field in fields.values() if field.page == page.page and field.box is not None]
        if not wanted:
            continue
        (pixels,) = open_pages(store.picture(digest))
        for field in wanted:
            assert field.box
            crop = pixels[max(field.box.top, 0) : field.box.bottom, max(field.box.left, 0) : field.box.right]
            fields[field.name] = replace(field, crop=np.ascontiguousarray(crop) if crop.size else None)
    return replace(record, fields=fields)
