"""Deletion of readings: their rows, everything that refers to them, and pictures that no other reading uses.

Rows are deleted first, in one transaction. Files are deleted in a second one that checks again which are still in
use, because `Store.add` writes a picture before it holds the write lock. A crash between the two leaves unused files,
which `Store.sweep` removes.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import Connection, delete, exists, func, select

from handigit.store.pictures import Pictures
from handigit.store.tables import corrections, form_pages, form_records, inputs, leases, queue, readings, undos
from handigit.store.types import Deleted

BATCH: Final = 500
"""Readings per statement; SQLite takes at most 32,766 parameters."""


def delete_readings(connection: Connection, ids: Sequence[int]) -> Deleted:
    """Delete readings by id, the rows that refer to them, and the rows of pictures that are no longer used."""
    deleted = pictures = 0
    for start in range(0, len(ids), BATCH):
        batch = ids[start : start + BATCH]
        digests = connection.scalars(select(readings.c.input).where(readings.c.id.in_(batch)).distinct()).all()
        deleted += _delete_batch(connection, batch)
        pictures += delete_unused_inputs(connection, [digest for digest in digests if digest])
    return Deleted(deleted, pictures)


def delete_unused_inputs(connection: Connection, digests: Sequence[str]) -> int:
    """Delete the rows of those pictures that neither a reading nor a form uses; returns their number."""
    by_reading = exists().where(readings.c.input == inputs.c.sha256)
    by_form = exists().where(form_pages.c.input == inputs.c.sha256)
    unused = delete(inputs).where(inputs.c.sha256.in_(digests), ~by_reading, ~by_form)
    return connection.execute(unused).rowcount


def _delete_batch(connection: Connection, batch: Sequence[int]) -> int:
    affected = select(corrections.c.id).where(corrections.c.reading.in_(batch))
    connection.execute(delete(undos).where(undos.c.correction.in_(affected)))
    for table in (corrections, leases, queue):
        connection.execute(delete(table).where(table.c.reading.in_(batch)))
    return connection.execute(delete(readings).where(readings.c.id.in_(batch))).rowcount


def find_unused(connection: Connection, digests: Iterable[str]) -> list[str]:
    """Those of the pictures that no row names."""
    return [d for d in digests if not connection.scalar(select(exists().where(inputs.c.sha256 == d)))]


def remove_unused_files(connection: Connection, pictures: Pictures, digests: Iterable[str]) -> int:
    """Delete those picture files that no row names; call it inside a writing transaction."""
    unused = find_unused(connection, digests)
    for digest in unused:
        pictures.remove(digest)
    return len(unused)


def count_entries(connection: Connection) -> int:
    """The number of readings and form records."""
    counts = (connection.scalar(select(func.count()).select_from(table)) or 0 for table in (readings, form_records))
    return sum(counts)
