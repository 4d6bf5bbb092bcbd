"""Whole tables from one database to another, or to JSON lines and back; and the counters of their ids."""

import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, MetaData, Table, func, insert, select, text

_REVISION_TABLE: Final = "alembic_version"
_BATCH: Final = 500

Row = dict[str, Any]


def tables_of(connection: Connection) -> list[Table]:
    """Every table of a database in order of their references."""
    metadata = MetaData()
    metadata.reflect(connection)
    return [table for table in metadata.sorted_tables if table.name != _REVISION_TABLE]


def rows_of(connection: Connection, table: Table) -> Iterator[Row]:
    """The rows of a table, a batch in memory at a time; times are the numbers that the database holds."""
    query = select(table).order_by(*table.primary_key.columns)
    for row in connection.execution_options(yield_per=_BATCH).execute(query).mappings():
        yield dict(row)


def write_rows(connection: Connection, folder: Path) -> None:
    """Write each table as the private file `folder/NAME.jsonl`, one row per line."""
    for table in tables_of(connection):
        handle = os.open(folder / f"{table.name}.jsonl", os.O_WRONLY | os.O_CREAT, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.writelines(json.dumps(row) + "\n" for row in rows_of(connection, table))


def read_rows(connection: Connection, folder: Path) -> None:
    """Fill the empty tables of a database from the files of `write_rows`."""
    for table in tables_of(connection):
        with (folder / f"{table.name}.jsonl").open(encoding="utf-8") as stream:
            _fill(connection, table, (json.loads(line) for line in stream))


def replace_all(source: Connection, target: Connection) -> None:
    """Replace all rows of a database by those of another one at the same revision."""
    tables = {table.name: table for table in tables_of(target)}
    for table in reversed(tables.values()):
        target.execute(table.delete())
    for table in tables_of(source):
        _fill(target, tables[table.name], rows_of(source, table))


def _fill(connection: Connection, table: Table, rows: Iterable[Row]) -> None:
    iterator = iter(rows)
    while batch := list(itertools.islice(iterator, _BATCH)):
        connection.execute(insert(table), batch)


def read_counters(connection: Connection) -> dict[str, int]:
    """The last id that each table has given, also to rows that were deleted since."""
    if connection.dialect.name == "sqlite":
        return {row[0]: row[1] for row in connection.execute(text("SELECT name, seq FROM sqlite_sequence"))}
    return {
        table.name: connection.scalar(text(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}"))  # noqa: S608 - the name is PostgreSQL's own
        or 0
        for table, sequence in _sequences(connection)
    }


def raise_counters(connection: Connection, counters: Mapping[str, int]) -> None:
    """Raise the counters of ids to at least these values and the largest ids; they are never set back."""
    current = read_counters(connection)
    if connection.dialect.name == "sqlite":
        for name in current.keys() | counters.keys():
            value = max(current.get(name, 0), counters.get(name, 0))
            connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": name})
            statement = text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :value)")
            connection.execute(statement, {"name": name, "value": value})
        return
    for table, sequence in _sequences(connection):
        largest = connection.scalar(select(func.max(table.c.id))) or 0
        if value := max(current[table.name], counters.get(table.name, 0), largest):
            statement = text("SELECT setval(CAST(:sequence AS regclass), :value)")
            connection.execute(statement, {"sequence": sequence, "value": value})


def _sequences(connection: Connection) -> list[tuple[Table, str]]:
    """PostgreSQL's tables with counted ids, and their sequences."""
    named = [
        (table, connection.scalar(text("SELECT pg_get_serial_sequence(:table, 'id')"), {"table": table.name}))
        for table in tables_of(connection)
        if "id" in table.c
    ]
    return [(table, sequence) for table, sequence in named if sequence]
