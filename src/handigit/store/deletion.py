"""Deletion that deletes: rows, what hangs on them, and the pictures that nothing else was read from.

Rows go first, in one transaction. Files go in a second one that looks again which are wanted, because `Store.add`
puts a picture there before it holds the turn to write. A crash between the two leaves files that nothing names;
`sweep` finds them.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, Connection, delete, exists, select

from handigit.store.pictures import Pictures
from handigit.store.tables import corrections, inputs, leases, queue, readings, undos
from handigit.store.types import Deleted

_BATCH = 500


def delete_readings(connection: Connection, doomed: Sequence[int]) -> Deleted:
    """Delete rows of readings by their ids, with all that hangs on them, and the rows of pictures left over."""
    gone = pictures = 0
    for start in range(0, len(doomed), _BATCH):
        batch = doomed[start : start + _BATCH]
        possible = connection.scalars(select(readings.c.input).where(readings.c.id.in_(batch)).distinct()).all()
        gone += _delete_batch(connection, readings.c.id.in_(batch), batch)
        unused = ~exists().where(readings.c.input == inputs.c.sha256)
        named = [digest for digest in possible if digest]
        pictures += connection.execute(delete(inputs).where(inputs.c.sha256.in_(named), unused)).rowcount
    return Deleted(gone, pictures)


def _delete_batch(connection: Connection, condition: ColumnElement[bool], batch: Sequence[int]) -> int:
    said = select(corrections.c.id).where(corrections.c.reading.in_(batch))
    connection.execute(delete(undos).where(undos.c.correction.in_(said)))
    for table in (corrections, leases, queue):
        connection.execute(delete(table).where(table.c.reading.in_(batch)))
    return connection.execute(delete(readings).where(condition)).rowcount


def remove_unwanted(connection: Connection, pictures: Pictures, digests: Iterable[str]) -> int:
    """Delete the files of these pictures that no row names; call it while holding the turn to write."""
    removed = 0
    for digest in digests:
        if not connection.scalar(select(exists().where(inputs.c.sha256 == digest))):
            pictures.remove(digest)
            removed += 1
    return removed
