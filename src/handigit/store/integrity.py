"""Checks of a store: the database, the bytes of every picture, and the references between them. Changes nothing."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, exists, select, text

from handigit.records import Outcome
from handigit.store.deletion import count_entries
from handigit.store.errors import StoreDamaged
from handigit.store.pictures import Pictures
from handigit.store.readings import is_decided, is_disputed
from handigit.store.store import Store
from handigit.store.tables import inputs, metadata, queue, readings


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault. `harmless`: left over from a crash, or a matter of access rights; no data are lost."""

    what: str
    harmless: bool = False


def check(store: Store) -> tuple[Finding, ...]:
    """All findings, empty for a sound store. Reads every picture."""
    try:
        with store.database.reading() as connection:
            damage = connection.scalars(text("PRAGMA integrity_check")) if store.database.is_sqlite else ()
            return (
                *(Finding(f"database: {line}; restore the last backup") for line in damage if line != "ok"),
                *_dangling(connection),
                *_pictures(connection, store.pictures),
                *_unqueued(connection),
                *_access(store),
            )
    except StoreDamaged as problem:
        return (Finding(str(problem)),)


def _dangling(connection: Connection) -> Iterator[Finding]:
    """Rows that refer to a missing row."""
    for table in metadata.sorted_tables:
        for key in table.foreign_keys:
            column, target = key.parent, key.column
            missing = ~exists().where(target == column).correlate(table)
            dangling = connection.scalars(select(column).where(column.is_not(None), missing)).all()
            if dangling:
                yield Finding(f"{len(dangling)} rows of {table.name} refer to missing rows of {target.table.name}")


def _pictures(connection: Connection, pictures: Pictures) -> Iterator[Finding]:
    named = set(connection.scalars(select(inputs.c.sha256)))
    for digest in sorted(named):
        if not pictures.is_whole(digest):
            state = "altered" if pictures.path(digest).exists() else "missing"
            yield Finding(
                f"picture {digest} is {state}; bring it back with "
                "`handigit store restore BACKUP --pictures-only`, or delete its readings"
            )
    strays = [digest for digest in pictures.all() if digest not in named]
    count = count_entries(connection)
    if len(strays) > count:
        yield Finding(
            f"{len(strays)} pictures belong to no reading, but the database has only {count} entries; it "
            "may have been lost: restore the last backup before you sweep"
        )
    else:
        yield from (
            Finding(f"picture {digest} belongs to no reading; --sweep deletes it", harmless=True) for digest in strays
        )
    yield from (Finding(f"{part.name} is half-written; --sweep deletes it", harmless=True) for part in pictures.parts())


def _unqueued(connection: Connection) -> Iterator[Finding]:
    """Readings that need review but are not in the queue."""
    queued = exists().where(queue.c.reading == readings.c.id)
    needed = ((readings.c.outcome == Outcome.DOUBT.value) & ~is_decided()) | is_disputed()
    for reading in connection.scalars(select(readings.c.id).where(needed, ~queued)):
        yield Finding(f"reading {reading} should be in the review queue and is not")


def _access(store: Store) -> Iterator[Finding]:
    """Files that other users of this machine can read."""
    paths = [store.pictures.folder, *([store.database.path] if store.database.path else [])]
    for path in paths:
        if os.name != "nt" and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO) and not _is_shielded(path):
            yield Finding(f"other users can read {path}; run: chmod -R go= {path}", harmless=True)


def _is_shielded(path: Path) -> bool:
    """Whether the folder that holds a path keeps other users out."""
    return not path.resolve().parent.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
