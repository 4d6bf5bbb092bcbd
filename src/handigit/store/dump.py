"""Whole tables out of one database and into another, whichever kind they are.

It asks the database itself which tables and columns it has, so that databases of older steps go through as well; it
knows nothing of what the rows mean.
"""

import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, MetaData, Table, func, insert, select, text

_STEP_TABLE = "alembic_version"
_BATCH = 500

Row = dict[str, Any]


def tables_of(connection: Connection) -> list[Table]:
    """Every table of a database, those first to which others refer."""
    metadata = MetaData()
    metadata.reflect(connection)
    return [table for table in metadata.sorted_tables if table.name != _STEP_TABLE]


def rows_of(connection: Connection, table: Table) -> Iterator[Row]:
    """Each row of a table, few in memory at a time; moments are the numbers that the database holds."""
    query = select(table).order_by(*table.primary_key.columns)
    for row in connection.execution_options(yield_per=_BATCH).execute(query).mappings():
        yield dict(row)


def write_rows(connection: Connection, folder: Path) -> None:
    """Each table as `folder/NAME.jsonl`, one row a line."""
    for table in tables_of(connection):
        with (folder / f"{table.name}.jsonl").open("w", encoding="utf-8") as stream:
            stream.writelines(json.dumps(row) + "\n" for row in rows_of(connection, table))


def read_rows(connection: Connection, folder: Path) -> None:
    """Fill the empty tables of a database with what `write_rows` has written."""
    for table in tables_of(connection):
        with (folder / f"{table.name}.jsonl").open(encoding="utf-8") as stream:
            fill(connection, table, (json.loads(line) for line in stream))


def replace_all(source: Connection, target: Connection) -> None:
    """Put the rows of one database in the place of another's, which is at the same step."""
    tables = tables_of(target)
    for table in reversed(tables):
        target.execute(table.delete())
    for theirs in tables_of(source):
        ours = next(table for table in tables if table.name == theirs.name)
        fill(target, ours, rows_of(source, theirs))
    _count_on(target, tables)


def fill(connection: Connection, table: Table, rows: Iterable[Row]) -> None:
    """Insert rows as they are."""
    coming = iter(rows)
    while batch := list(itertools.islice(coming, _BATCH)):
        connection.execute(insert(table), batch)


def _count_on(connection: Connection, tables: Iterable[Table]) -> None:
    """Let PostgreSQL's counters go on after the numbers that came with the rows; SQLite's do by themselves."""
    if connection.dialect.name != "postgresql":
        return
    for table in (table for table in tables if "id" in table.columns):
        last = connection.scalar(select(func.max(table.c.id)))
        if last is not None:
            setting = text("SELECT setval(pg_get_serial_sequence(:table, 'id'), :last)")
            connection.execute(setting, {"table": table.name, "last": last})
