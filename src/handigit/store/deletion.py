"""Deletion of readings: their rows, everything that refers to them, and pictures that no other reading uses.

Rows are deleted first, in one transaction. Files are deleted in a second one that checks again which are still in
use, because `Store.add` writes a picture before it holds the write lock. A crash between the two leaves unused files,
which `Store.sweep` removes.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import ColumnElement, Connection, delete, exists, func, select, union_all

from handigit.store.database import Database
from handigit.store.errors import RetentionRefused, StoreError, StoreFull
from handigit.store.pictures import Pictures
from handigit.store.tables import corrections, form_pages, form_records, inputs, leases, queue, readings, undos
from handigit.store.types import Deleted

Result = TypeVar("Result")
BATCH: Final = 500
"""Readings per statement; SQLite takes at most 32,766 parameters."""
_SMALL_STORE: Final = 10
"""Retention may empty a store of fewer entries: there is little to lose to a wrong clock."""
RESERVE_BYTES: Final = 4 * 2**20
"""Deleting 500 readings with their corrections writes about 1 MB to SQLite's log."""


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


class Deletions:
    """Deleting readings and files of one store, each batch in transactions of its own."""

    def __init__(self, database: Database, pictures: Pictures) -> None:
        self._database = database
        self._pictures = pictures
        home = database.path.parent if database.path else pictures.folder.parent
        self._reserve = Reserve(home / "handigit-reserve")
        self._reserve.fill()

    def delete(self, ids: Sequence[int]) -> Deleted:
        """As `Store.delete`."""
        batches = (ids[start : start + BATCH] for start in range(0, len(ids), BATCH))
        return _sum([self._delete(readings.c.id.in_(batch)) for batch in batches])

    def delete_older(self, before: datetime) -> Deleted:
        """Delete every reading older than `before`."""
        parts = []
        while (part := self._delete(readings.c.at < before)).readings:
            parts.append(part)
        return _sum(parts)

    def check_retention(self, before: datetime) -> None:
        """Check that a deletion by age does not look like the result of a wrong clock.

        Raises:
            RetentionRefused: as `Store.forget`.
        """
        both = union_all(select(readings.c.at), select(form_records.c.at)).subquery()
        with self._database.reading() as connection:
            total, newest = connection.execute(select(func.count(), func.max(both.c.at)).select_from(both)).one()
            old = connection.scalar(select(func.count()).select_from(both).where(both.c.at < before)) or 0
        if old == 0 or total < _SMALL_STORE:
            return
        now = datetime.now(UTC)
        if now - newest > 2 * max(now - before, timedelta(0)) or old > total / 2:
            raise RetentionRefused(
                f"{old:,} of {total:,} readings and forms are older than {before:%Y-%m-%d}, the newest is of "
                f"{newest:%Y-%m-%d}; check the clock, then delete them with `handigit store retain --yes`"
            )

    def sweep(self, *, force: bool) -> int:
        """As `Store.sweep`."""
        strays = list(self._pictures.all())
        with self._database.writing() as connection:
            unused = find_unused(connection, strays)
            count = count_entries(connection)
            if len(unused) > count and not force:
                raise StoreError(
                    f"{len(unused)} pictures belong to no reading, but the database has only {count} entries; it may "
                    "have been lost: restore the last backup first, or add --yes to delete the pictures"
                )
            removed = remove_unused_files(connection, self._pictures, unused)
        return removed + self._pictures.drop_parts()

    def _delete(self, condition: ColumnElement[bool]) -> Deleted:
        """Delete one batch; with the disk full, each step once more in the space of the reserve."""
        try:
            deleted, digests = self._with_reserve(partial(self._delete_rows, condition))
            self._with_reserve(partial(self._remove_files, digests))
            with suppress(StoreFull):  # the log then waits for the next checkpoint
                self._with_reserve(self._database.checkpoint)
            return deleted
        finally:
            self._reserve.fill()

    def _with_reserve(self, step: Callable[[], Result]) -> Result:
        try:
            return step()
        except StoreFull:
            if not self._reserve.release():
                raise
            return step()

    def _delete_rows(self, condition: ColumnElement[bool]) -> tuple[Deleted, list[str]]:
        """Delete a batch's rows; also the digests of its pictures."""
        with self._database.writing() as connection:
            query = select(readings.c.id, readings.c.input).where(condition).limit(BATCH)
            rows = connection.execute(query).all()
            return delete_readings(connection, [row.id for row in rows]), sorted(
                {row.input for row in rows if row.input}
            )

    def _remove_files(self, digests: Sequence[str]) -> None:
        with self._database.writing() as connection:
            remove_unused_files(connection, self._pictures, digests)


def _sum(parts: Sequence[Deleted]) -> Deleted:
    return Deleted(sum(part.readings for part in parts), sum(part.pictures for part in parts))


class Reserve:
    """A file of zeros beside the database, because SQLite needs room even to delete; releasing it frees its space."""

    def __init__(self, path: Path, *, size: int = RESERVE_BYTES) -> None:
        self._path = path
        self._size = size

    def fill(self) -> None:
        """Allocate the file if it is missing; on a full disk, leave it for later."""
        if self._path.exists():
            return
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
            with os.fdopen(handle, "wb") as stream:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(handle, 0, self._size)
                else:
                    stream.write(bytes(self._size))  # written, because a sparse file would hold no space
        except OSError:
            self.release()

    def release(self) -> bool:
        """Delete the file; whether there was one."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True
