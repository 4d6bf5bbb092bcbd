"""Backups: one folder with the database, the pictures, and a digest of every file; and restoring them.

    backup.json      revision and kind of the database, pictures that could not be saved
    SHA256SUMS       one line for every other file, as `sha256sum --check` reads them
    database.sqlite  from SQLite: a copy as of one moment
    tables/          from PostgreSQL: each table as JSON lines and the id counters, all as of one moment
    pictures/        as in the store

Either kind can be restored into either database. The old content is untouched until all of the new is verified.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, select, text

from handigit.atomic import write_file, write_folder
from handigit.store.database import Database
from handigit.store.deletion import delete_readings
from handigit.store.dump import raise_counters, read_counters, read_rows, replace_all, write_rows
from handigit.store.errors import BrokenBackup, NotInStore, StoreError
from handigit.store.pictures import Pictures
from handigit.store.readings import count_readings
from handigit.store.schema import latest_revision, upgrade
from handigit.store.store import Store
from handigit.store.tables import inputs, readings

MANIFEST, SUMS, DATABASE, TABLES, PICTURES = "backup.json", "SHA256SUMS", "database.sqlite", "tables", "pictures"
FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Omitted:
    """Pictures that are not in a backup, by SHA-256.

    `missing` and `broken` files were so in the store. `deleted` ones were deleted, with their readings, while the
    backup was running; restoring deletes those readings again.
    """

    missing: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()

    @property
    def damaged(self) -> tuple[str, ...]:
        """The pictures that the store should have and has not."""
        return (*self.missing, *self.broken)


@dataclass(frozen=True, slots=True)
class Backup:
    """The content of a backup."""

    folder: Path
    readings: int
    pictures: int
    omitted: Omitted


@dataclass(frozen=True, slots=True)
class RestoredPictures:
    """Pictures brought back from a backup, and those that it does not have either, by SHA-256."""

    restored: int
    still_missing: tuple[str, ...]


def backup(store: Store, folder: Path) -> Backup:
    """Write a backup into a new, private folder, whole or not at all, while the store stays in use.

    A picture that is missing or broken is named in the result and in the manifest.

    Raises:
        StoreError: the folder exists already, or the disk refuses.
    """
    with write_folder(folder, error=StoreError, private=True) as part:
        _write_database(part, store.database)
        kind = DATABASE if store.database.is_sqlite else TABLES
        with _stage(part, kind, latest_revision()) as (staged, _):
            count, named = _content(staged)
            omitted = _copy_pictures(store, part / PICTURES, named)
        manifest = {
            "format": FORMAT,
            "step": latest_revision(),
            "kind": kind,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "omitted": asdict(omitted),
        }
        _write_text(part / MANIFEST, json.dumps(manifest, indent=2) + "\n")
        _write_text(part / SUMS, "".join(f"{_digest(path)}  {name}\n" for name, path in _files(part)))
    pictures = len(named) - len(omitted.damaged) - len(omitted.deleted)
    return Backup(folder, count, pictures, omitted)


def restore(store: Store, folder: Path) -> Backup:
    """Replace everything in the store by a backup, in one transaction.

    Ids that the store or the backup has given are never given again.

    Raises:
        BrokenBackup: part of it is missing or altered; the store is unchanged.
    """
    manifest = _verify(folder)
    omitted = Omitted(**{kind: tuple(digests) for kind, digests in manifest.get("omitted", {}).items()})
    with _stage(folder, manifest["kind"], manifest["step"]) as (staged, counters):
        count, named = _content(staged)
        pictures = _copy_back(folder, set(named) - {*omitted.damaged, *omitted.deleted}, store)
        with staged.reading() as source, store.database.writing() as target:
            replace_all(source, target)
            raise_counters(target, counters)
            lost = select(readings.c.id).where(readings.c.input.in_(omitted.deleted))
            count -= delete_readings(target, target.scalars(lost).all()).readings
    store.sweep(force=True)
    store.database.checkpoint()
    return Backup(folder, count, pictures, omitted)


def restore_pictures(store: Store, folder: Path) -> RestoredPictures:
    """Bring back from a backup those pictures that the store has lost; nothing else changes."""
    source = Pictures(folder / PICTURES)
    with store.database.reading() as connection:
        damaged = [d for d in connection.scalars(select(inputs.c.sha256)) if not store.pictures.is_whole(d)]
    still_missing = []
    for digest in damaged:
        try:
            store.pictures.put(digest, source.read_verified(digest))
        except NotInStore:
            still_missing.append(digest)
    return RestoredPictures(len(damaged) - len(still_missing), tuple(still_missing))


def _write_database(part: Path, database: Database) -> None:
    if database.is_sqlite:
        database.copy_to(part / DATABASE)
        return
    (part / TABLES).mkdir(mode=0o700)
    with database.reading() as connection:
        write_rows(connection, part / TABLES)
        _write_text(part / TABLES / "counters.json", json.dumps(read_counters(connection)))


def _copy_pictures(store: Store, folder: Path, named: list[str]) -> Omitted:
    """Copy pictures, each verified by its digest; returns those that could not be copied."""
    folder.mkdir(mode=0o700)
    target = Pictures(folder)
    missing: list[str] = []
    broken: list[str] = []
    for digest in named:
        try:
            content = store.pictures.read_verified(digest)
        except NotInStore:
            (broken if store.pictures.path(digest).exists() else missing).append(digest)
            continue
        with write_file(target.path(digest), error=StoreError, private=True) as stream:
            stream.write(content)
    with store.database.reading() as connection:
        still_named = set(connection.scalars(select(inputs.c.sha256).where(inputs.c.sha256.in_(missing))))
    return Omitted(
        missing=tuple(digest for digest in missing if digest in still_named),
        broken=tuple(broken),
        deleted=tuple(digest for digest in missing if digest not in still_named),
    )


def _copy_back(folder: Path, digests: set[str], store: Store) -> int:
    """Put the backup's pictures into the store before any row names them; returns their number."""
    source = Pictures(folder / PICTURES)
    for digest in sorted(digests):
        try:
            store.pictures.put(digest, source.read_verified(digest))
        except NotInStore:
            raise BrokenBackup(
                f"{folder}: picture {digest[:16]}... is missing or broken in it; nothing was restored"
            ) from None
    return len(digests)


def _content(staged: Database) -> tuple[int, list[str]]:
    """The number of readings in a database, and the pictures it names."""
    with staged.reading() as connection:
        return count_readings(connection), list(connection.scalars(select(inputs.c.sha256)))


class _stage:  # noqa: N801 - a context manager
    """A backup's database as a temporary SQLite file of the latest revision, with its id counters."""

    def __init__(self, folder: Path, kind: str, revision: str) -> None:
        self._folder, self._kind, self._revision = folder, kind, revision
        self._scratch = tempfile.TemporaryDirectory(prefix="handigit-")
        self._database: Database | None = None

    def __enter__(self) -> tuple[Database, dict[str, int]]:
        path = Path(self._scratch.name) / DATABASE
        try:
            if self._kind == DATABASE:
                shutil.copyfile(self._folder / DATABASE, path)
            self._database = Database(f"sqlite:///{path}")
            if self._kind == TABLES:
                upgrade(self._database, to=self._revision)
                with self._database.writing(durable=False) as connection:
                    read_rows(connection, self._folder / TABLES)
                    raise_counters(connection, _read_counters_file(self._folder / TABLES))
            upgrade(self._database)
            with self._database.reading() as connection:
                _check_staged(self._folder, connection)
                return self._database, read_counters(connection)
        except (StoreError, OSError, ValueError, KeyError) as problem:
            self.__exit__()
            raise BrokenBackup(f"{self._folder}: its database cannot be used: {problem}") from None

    def __exit__(self, *error: object) -> None:
        if self._database:
            self._database.close()
        self._scratch.cleanup()


def _read_counters_file(tables: Path) -> dict[str, int]:
    """The counters beside the tables; backups of before have none."""
    path = tables / "counters.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _check_staged(folder: Path, connection: Connection) -> None:
    result = connection.scalar(text("PRAGMA integrity_check"))
    if result != "ok":
        raise BrokenBackup(f"{folder}: {result}")
    if dangling := connection.execute(text("PRAGMA foreign_key_check")).first():
        raise BrokenBackup(f"{folder}: a row of {dangling[0]} refers to a missing row")


def _verify(folder: Path) -> dict[str, Any]:
    """The manifest, after the digest of every file was compared.

    Raises:
        BrokenBackup: it is not a backup, is of a newer format, or a file is missing, altered or unlisted.
    """
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
        expected = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
        present = dict(_files(folder))
        for name in sorted(expected.keys() ^ present.keys()):
            raise BrokenBackup(f"{folder}: {name} is {'missing' if name in expected else 'not in ' + SUMS}")
        for name, path in present.items():
            if _digest(path) != expected[name]:
                raise BrokenBackup(f"{folder}: {name} was altered; use another backup")
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise BrokenBackup(f"{folder} is not a readable backup: {problem}") from None
    if manifest.get("format") != FORMAT or manifest.get("kind") not in (DATABASE, TABLES):
        raise BrokenBackup(
            f"{folder}: of format {manifest.get('format')!r}, but this Handigit restores format {FORMAT}; "
            "install the version that wrote it"
        )
    return manifest


def _write_text(path: Path, content: str) -> None:
    with write_file(path, error=StoreError, private=True) as stream:
        stream.write(content.encode())


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file except the list itself, with its name in the list."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != folder / SUMS:
            yield path.relative_to(folder).as_posix(), path


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
