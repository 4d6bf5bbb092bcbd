"""A backup: one folder with the database, the pictures, and a digest of every file; and the way back.

    backup.json      which step the database is at, and what kind it was
    SHA256SUMS       a line for every other file, as `sha256sum --check` reads them
    database.sqlite  where it was SQLite: a copy as of one moment
    tables/          where it was PostgreSQL: each table as JSON lines, all as of one moment
    pictures/        as in the store

Either kind can be restored into either database. Nothing of the old is touched before all of the new is verified.
"""

import hashlib
import itertools
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, MetaData, Table, func, insert, select, text

from handigit.store.database import Database
from handigit.store.errors import BrokenBackup, NotInStore, StoreError
from handigit.store.pictures import Pictures
from handigit.store.readings import count_readings
from handigit.store.schema import latest_revision, upgrade
from handigit.store.store import Store
from handigit.store.tables import inputs

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


ABOUT, SUMS, DATABASE, TABLES, PICTURES = "backup.json", "SHA256SUMS", "database.sqlite", "tables", "pictures"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds."""

    folder: Path
    readings: int
    pictures: int


def backup(store: Store, folder: Path) -> Backup:
    """Write a backup into a new folder, which is there whole or not at all, while the store goes on working.

    Raises:
        StoreError: the folder is there already, or a picture was deleted meanwhile.
    """
    if folder.exists():
        raise StoreError(f"{folder} is there already; a backup needs a new folder")
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        (part / PICTURES).mkdir(parents=True)
        _write_about(part, store.database)
        _write_database(part, store.database)
        done = _copy_out(part, store)
        (part / SUMS).write_text("".join(f"{_digest(path)}  {name}\n" for name, path in _files(part)), encoding="utf-8")
        part.replace(folder)
    except OSError as problem:
        raise StoreError(f"cannot write {folder}: {problem.strerror or problem}; choose another place") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Backup(folder, *done)


def restore(store: Store, folder: Path) -> Backup:
    """Put a backup in the place of all that the store holds, in one transaction.

    Raises:
        BrokenBackup: something of it is missing or altered; the store is as before.
    """
    about = _verify(folder)
    with tempfile.TemporaryDirectory(prefix="handigit-restore-") as scratch:
        staged = _stage(folder, about, Path(scratch))
        try:
            done = _copy_in(folder, staged, store)
            with staged.reading() as source, store.database.writing() as target:
                replace_all(source, target)
        finally:
            staged.close()
    store.sweep()
    store.database.checkpoint()
    return Backup(folder, *done)


def _write_about(part: Path, database: Database) -> None:
    about = {
        "format": FORMAT,
        "step": latest_revision(),
        "kind": DATABASE if database.is_sqlite else TABLES,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    (part / ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def _write_database(part: Path, database: Database) -> None:
    if database.is_sqlite:
        database.copy_to(part / DATABASE)
        return
    (part / TABLES).mkdir()
    with database.reading() as connection:
        write_rows(connection, part / TABLES)


def _copy_out(part: Path, store: Store) -> tuple[int, int]:
    """Copy the pictures that the copied database names; numbers of readings and pictures."""
    with tempfile.TemporaryDirectory(prefix="handigit-backup-") as scratch:
        staged = _stage(part, json.loads((part / ABOUT).read_text(encoding="utf-8")), Path(scratch))
        try:
            count, wanted = _content(staged)
        finally:
            staged.close()
    target = Pictures(part / PICTURES)
    for digest in wanted:
        _copy_picture(store.pictures, target, digest)
    return count, len(wanted)


def _copy_picture(source: Pictures, target: Pictures, digest: str) -> None:
    path = target.path(digest)
    path.parent.mkdir(exist_ok=True)
    try:
        shutil.copyfile(source.path(digest), path)
    except FileNotFoundError:
        raise StoreError(
            f"picture {digest[:16]}... is missing: if it was deleted while this backup ran, run it again; "
            "else see `handigit store check`"
        ) from None


def _copy_in(folder: Path, staged: Database, store: Store) -> tuple[int, int]:
    """Put the backup's pictures beside the store's own; only then may rows name them."""
    count, wanted = _content(staged)
    source = Pictures(folder / PICTURES)
    for digest in wanted:
        if not store.pictures.is_whole(digest):
            store.pictures.remove(digest)
            try:
                store.pictures.put(digest, source.read(digest))
            except NotInStore:
                raise BrokenBackup(f"{folder}: picture {digest[:16]}... is not in it; nothing was restored") from None
    return count, len(wanted)


def _content(staged: Database) -> tuple[int, list[str]]:
    """How many readings a database has, and the pictures it names."""
    with staged.reading() as connection:
        return count_readings(connection), list(connection.scalars(select(inputs.c.sha256)))


def _stage(folder: Path, about: dict[str, Any], scratch: Path) -> Database:
    """The backup's database as an SQLite file of the newest step, apart from everything."""
    path = scratch / DATABASE
    if about["kind"] == DATABASE:
        shutil.copyfile(folder / DATABASE, path)
    staged = Database(f"sqlite:///{path}")
    try:
        if about["kind"] == TABLES:
            upgrade(staged, to=about["step"])
            with staged.writing(durable=False) as connection:
                read_rows(connection, folder / TABLES)
        upgrade(staged)
        _check_staged(folder, staged)
    except (StoreError, OSError, ValueError, KeyError) as problem:
        staged.close()
        raise BrokenBackup(f"{folder}: its database cannot be used: {problem}") from None
    return staged


def _check_staged(folder: Path, staged: Database) -> None:
    with staged.reading() as connection:
        said = connection.scalar(text("PRAGMA integrity_check"))
        dangling = connection.execute(text("PRAGMA foreign_key_check")).first()
    if said != "ok":
        raise BrokenBackup(f"{folder}: {said}")
    if dangling:
        raise BrokenBackup(f"{folder}: a row of {dangling[0]} refers to nothing")


def _verify(folder: Path) -> dict[str, Any]:
    """What kind of backup it is, after every file's digest.

    Raises:
        BrokenBackup: it is none, of a newer kind, or a file is missing, altered, or not on the list.
    """
    try:
        sums = (line.partition("  ") for line in _text(folder / SUMS).splitlines())
        promised = {name: digest for digest, _, name in sums}
        present = dict(_files(folder))
        for name in sorted(promised.keys() ^ present.keys()):
            raise BrokenBackup(f"{folder}: {name} is {'missing' if name in promised else 'not on the list of files'}")
        for name, path in present.items():
            if _digest(path) != promised[name]:
                raise BrokenBackup(f"{folder}: {name} was altered; take another backup")
        about: dict[str, Any] = json.loads(_text(folder / ABOUT))
    except (OSError, ValueError) as problem:
        raise BrokenBackup(f"{folder} is no backup that can be read: {problem}") from None
    if about.get("format") != FORMAT or about.get("kind") not in (DATABASE, TABLES):
        raise BrokenBackup(f"{folder}: of format {about.get('format')!r}; this Handigit restores format {FORMAT}")
    return about


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file but the list itself, by its name in the list."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != folder / SUMS:
            yield path.relative_to(folder).as_posix(), path


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
