"""Databases as earlier versions of Handigit left them, for upgrades of every revision."""

from sqlalchemy import insert

from handigit.store.database import Database
from handigit.store.dump import raise_counters, rows_of, tables_of
from handigit.store.schema import upgrade


def copy_as(source: Database, target: Database, revision: str) -> None:
    """Fill an empty database at a revision with all rows of a newer one, but for columns that it does not have."""
    upgrade(target, to=revision)
    with source.reading() as newer, target.writing() as older:
        tables = {table.name: table for table in tables_of(older)}
        for table in tables_of(newer):
            if table.name not in tables:
                continue
            columns = tables[table.name].columns.keys()
            rows = [{name: row[name] for name in columns} for row in rows_of(newer, table)]
            if rows:
                older.execute(insert(tables[table.name]), rows)
        raise_counters(older, {})
    target.checkpoint()
