"""Transactions in SQLite or PostgreSQL, of two kinds: reading and writing.

Only this module and `engines` know how the two databases differ. SQLite runs in WAL mode with `BEGIN IMMEDIATE`,
because a transaction that begins by reading and then writes fails with "database is locked" at once when another has
written in between, no matter how long it would wait.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from handigit.store.engines import create_private, create_store_engine
from handigit.store.errors import StoreBusy, StoreDamaged, StoreError, StoreFull
from handigit.store.write_lock import WAIT_S, WriteLock

_SNAPSHOT: Final = "REPEATABLE READ"
_ADVISORY_LOCK: Final = 0x68616E64
"""Any number that no other program uses as an advisory lock in this database."""
_SQLITE_ERRORS: Final[dict[int, type[StoreError]]] = {
    sqlite3.SQLITE_BUSY: StoreBusy,
    sqlite3.SQLITE_LOCKED: StoreBusy,
    sqlite3.SQLITE_FULL: StoreFull,
    sqlite3.SQLITE_CORRUPT: StoreDamaged,
    sqlite3.SQLITE_NOTADB: StoreDamaged,
}
_POSTGRES_ERRORS: Final[dict[str, type[StoreError]]] = {  # SQLSTATE
    "55P03": StoreBusy,  # lock_not_available
    "53100": StoreFull,  # disk_full
    "XX001": StoreDamaged,  # data_corrupted
}
_ADVICE: Final = {
    StoreBusy: "try again in a few seconds",
    StoreFull: "delete readings, or free some disk space",
    StoreDamaged: "restore the last backup with `handigit store restore`",
    StoreError: "`handigit store check` looks for the cause",
}


class Database:
    """An engine with the store's two kinds of transaction.

    Raises:
        StoreError: a URL that names no supported database, or a folder that cannot be made.
    """

    def __init__(self, url: str, *, wait_s: float = WAIT_S) -> None:
        self.engine = create_store_engine(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        if self.is_sqlite:
            event.listen(self.engine, "begin", _on_begin)
        # Every SQLite transaction sees one snapshot; in PostgreSQL it must be requested.
        self._snapshots = self.engine if self.is_sqlite else self.engine.execution_options(isolation_level=_SNAPSHOT)
        self.path = Path(self.engine.url.database or "") if self.is_sqlite else None
        self._wait_s = wait_s
        self._lock = WriteLock(self.path, wait_s=wait_s) if self.path else None
        self._file_id = _file_id(self.path) if self.path else None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one snapshot from its first query to its last.

        Raises:
            StoreError: the database does not answer.
        """
        with _translated_errors(), self._snapshots.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[Connection]:
        """A transaction that writes, one at a time; committed at the end of the block, rolled back by an error.

        `durable`: survives a power failure once the block has ended; otherwise only the death of the program.

        Raises:
            StoreBusy: other writers did not finish within the deadline.
            StoreFull: the disk is full.
            StoreDamaged: the SQLite file was deleted or replaced since it was opened.
            StoreError: the database refuses for another reason.
        """
        with _translated_errors():
            if self._lock:
                self.check_file()
                with self._lock, self._writing_sqlite(durable) as connection:
                    yield connection
            else:
                with self.engine.begin() as connection:
                    # READ COMMITTED would let two reviewers find the same item free, so writers take turns.
                    connection.execute(text(f"SET LOCAL lock_timeout = {round(self._wait_s * 1000)}"))
                    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
                    yield connection

    def check_file(self) -> None:
        """Check that the path still leads to the SQLite file that was opened; writes to a deleted file are lost.

        Raises:
            StoreDamaged: the file was deleted or replaced.
        """
        if self.path and _file_id(self.path) != self._file_id:
            raise StoreDamaged(
                f"{self.path} was deleted or replaced while in use; stop the program, restore the file or the last "
                "backup, and start it again"
            )

    def checkpoint(self) -> None:
        """Move SQLite's write-ahead log into the database and truncate it, so that no deleted data remain in it.

        A reader that holds the log back is waited for within the deadline; the next checkpoint then does the work.
        """
        if self._lock:
            with _translated_errors(), self._lock, self._raw_connection() as raw:
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def copy_to(self, path: Path) -> None:
        """Copy an SQLite database as of one moment into one file while other programs keep writing."""
        create_private(path)
        with _translated_errors(), self._raw_connection() as source, closing(sqlite3.connect(path)) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")

    @contextmanager
    def _writing_sqlite(self, durable: bool) -> Iterator[Connection]:
        with self.engine.connect() as connection:
            raw = connection.connection.driver_connection
            assert isinstance(raw, sqlite3.Connection)
            raw.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            connection = connection.execution_options(begin="IMMEDIATE")
            with connection.begin():
                yield connection

    @contextmanager
    def _raw_connection(self) -> Iterator[sqlite3.Connection]:
        """SQLite's own connection, outside any transaction."""
        pooled = self.engine.raw_connection()
        try:
            assert isinstance(pooled.driver_connection, sqlite3.Connection)
            yield pooled.driver_connection
        finally:
            pooled.close()

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()
        if self._lock:
            self._lock.close()


def _file_id(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _on_begin(connection: Connection) -> None:
    mode = connection.get_execution_options().get("begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")


@contextmanager
def _translated_errors() -> Iterator[None]:
    """Raise a `StoreError` for the database's own errors, without the values of the query."""
    try:
        yield
    except PoolTimeout:
        raise StoreBusy(f"no database connection was free for {WAIT_S:g} s; try again in a few seconds") from None
    except (DatabaseError, sqlite3.DatabaseError) as problem:
        original: Any = problem.orig if isinstance(problem, DatabaseError) else problem
        reason = str(original).strip().splitlines()[0] if str(original or "").strip() else type(problem).__name__
        kind = _kind_of(original)
        raise kind(f"the database refused: {reason}; {_ADVICE[kind]}") from problem


def _kind_of(original: Any) -> type[StoreError]:
    primary_code = (getattr(original, "sqlite_errorcode", None) or 0) & 0xFF
    return _SQLITE_ERRORS.get(primary_code) or _POSTGRES_ERRORS.get(
        getattr(original, "sqlstate", None) or "", StoreError
    )
