"""Whether a store is sound: the database, every picture's bytes, and that each refers to the other.

It looks and changes nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, exists, select, text

from handigit.records import Outcome
from handigit.store.pictures import Pictures
from handigit.store.readings import decided, disputed
from handigit.store.store import Store
from handigit.store.tables import inputs, metadata, queue, readings


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be. `harmless`: left over from a crash; `Store.sweep` removes it."""

    what: str
    harmless: bool = False


def check(store: Store) -> tuple[Finding, ...]:
    """Everything that is wrong; empty for a sound store. It reads every picture."""
    with store.database.reading() as connection:
        return (
            *(_integrity(connection) if store.database.is_sqlite else ()),
            *_dangling(connection),
            *_pictures(connection, store.pictures),
            *_unqueued(connection),
        )


def _integrity(connection: Connection) -> Iterator[Finding]:
    for said in connection.scalars(text("PRAGMA integrity_check")):
        if said != "ok":
            yield Finding(f"database: {said}; restore the last backup")


def _dangling(connection: Connection) -> Iterator[Finding]:
    """Rows that refer to a row that is not there."""
    for table in metadata.sorted_tables:
        for key in table.foreign_keys:
            column, other = key.parent, key.column
            there = exists().where(other == column).correlate(table)
            lost = connection.scalars(select(column).where(column.is_not(None), ~there)).all()
            if lost:
                yield Finding(f"{len(lost)} rows of {table.name} refer to {other.table.name} that are not there")


def _pictures(connection: Connection, pictures: Pictures) -> Iterator[Finding]:
    named = set(connection.scalars(select(inputs.c.sha256)))
    for digest in sorted(named):
        if not pictures.is_whole(digest):
            how = "altered" if pictures.path(digest).exists() else "missing"
            yield Finding(f"picture {digest} is {how}; restore it from a backup")
    for digest in pictures.all():
        if digest not in named:
            yield Finding(f"picture {digest} belongs to no reading", harmless=True)
    for part in pictures.parts():
        yield Finding(f"{part.name} was left half-written", harmless=True)


def _unqueued(connection: Connection) -> Iterator[Finding]:
    """What a person should see and nobody will be shown."""
    waits = exists().where(queue.c.reading == readings.c.id)
    forgotten = (readings.c.outcome == Outcome.DOUBT.value) & ~decided()
    for reading in connection.scalars(select(readings.c.id).where(forgotten | disputed(), ~waits)):
        yield Finding(f"reading {reading} should wait for review and does not")
