"""A connection to SQLite or PostgreSQL that behaves the same: transactions that read, and transactions that write.

Here alone the two databases differ. It knows nothing of what is read and written.

SQLite: WAL with `BEGIN IMMEDIATE`, because a transaction that begins by reading and goes on to write fails with
"database is locked" at once when another has written in between, however long it would wait.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError

from handigit.store.errors import StoreError
from handigit.store.write_lock import Turn

BUSY_SECONDS = 30
_CONNECTIONS = 40
_SNAPSHOT = "REPEATABLE READ"
_QUEUE_LOCK = 0x68616E64  # any number that no other program takes as an advisory lock of this database
_PRAGMAS = ("journal_mode = WAL", "foreign_keys = ON", "secure_delete = ON", f"busy_timeout = {BUSY_SECONDS * 1000}")


class Database:
    """An engine with the store's manner of transactions.

    Raises:
        StoreError: a URL that names no database of a kind we know, or one that does not answer.
    """

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        # In SQLite every transaction sees one state; in PostgreSQL only those that ask for it.
        self._snapshots = self.engine if self.is_sqlite else self.engine.execution_options(isolation_level=_SNAPSHOT)
        self.path = Path(self.engine.url.database or "") if self.is_sqlite else None
        self._turn = Turn(self.path) if self.path else None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database from its first question to its last."""
        with _named_errors(), self._snapshots.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[Connection]:
        """A transaction that writes, alone among those that do; committed at its end, rolled back by an error.

        `durable`: on disk when the block has ended, even if the power fails then; else even if the program dies.
        """
        with _named_errors():
            if self._turn:
                with self._turn, self._writing_sqlite(durable) as connection:
                    yield connection
            else:
                with self.engine.begin() as connection:
                    # READ COMMITTED lets two reviewers find the same item free; whoever writes comes one by one.
                    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _QUEUE_LOCK})
                    yield connection

    @contextmanager
    def _writing_sqlite(self, durable: bool) -> Iterator[Connection]:
        with self.engine.connect() as connection:
            raw = connection.connection.driver_connection
            assert isinstance(raw, sqlite3.Connection)
            raw.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            connection = connection.execution_options(begin="IMMEDIATE")
            with connection.begin():
                yield connection

    def checkpoint(self) -> None:
        """Bring SQLite's write-ahead log into the file and empty it, so that what was deleted is not left in it.

        Whoever reads meanwhile is waited for, half a minute at most; a later checkpoint then does it.
        """
        if self._turn:
            with _named_errors(), self._turn, self._raw() as raw:
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def copy_to(self, path: Path) -> None:
        """A copy of an SQLite database as of one moment, in one file, while others go on writing."""
        with self._raw() as source, closing(sqlite3.connect(path)) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")

    @contextmanager
    def _raw(self) -> Iterator[sqlite3.Connection]:
        """SQLite's own connection, outside of any transaction."""
        pooled = self.engine.raw_connection()
        try:
            assert isinstance(pooled.driver_connection, sqlite3.Connection)
            yield pooled.driver_connection
        finally:
            pooled.close()

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()
        if self._turn:
            self._turn.close()


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError(f"{_shown(url)} is no database; {_FORMS}") from None
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise StoreError(f"no databases of kind {parsed.drivername!r}; {_FORMS}")
    if parsed.drivername == "sqlite":
        return _sqlite(parsed.database)
    try:
        return create_engine(parsed, pool_size=_CONNECTIONS, pool_pre_ping=True, hide_parameters=True)
    except (NoSuchModuleError, ModuleNotFoundError):
        raise StoreError("PostgreSQL needs psycopg: pip install 'handigit[postgres]'") from None


_FORMS = "write sqlite:///handigit.db or postgresql://user@host/name"


def _shown(url: str) -> str:
    """A URL without what may be a password."""
    return repr(url.rpartition("@")[2][:80])


def _sqlite(path: str | None) -> Engine:
    if not path or path == ":memory:":
        raise StoreError("an SQLite database in memory keeps nothing; name a file, as in sqlite:///handigit.db")
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise StoreError(f"{path}: its folder cannot be made: {problem.strerror}; choose another place") from None
    engine = create_engine(
        f"sqlite:///{path}", pool_size=_CONNECTIONS, connect_args={"timeout": BUSY_SECONDS}, hide_parameters=True
    )
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(raw: sqlite3.Connection, _: object) -> None:
    raw.isolation_level = None  # we say BEGIN ourselves, sqlite3 says it too late
    for pragma in _PRAGMAS:
        raw.execute(f"PRAGMA {pragma}")


def _on_begin(connection: Connection) -> None:
    how = connection.get_execution_options().get("begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {how}")


@contextmanager
def _named_errors() -> Iterator[None]:
    """Turn what the database says into our own error, without the values that it was asked about."""
    try:
        yield
    except DatabaseError as problem:
        reason = str(problem.orig).strip().splitlines()[0] if problem.orig else type(problem).__name__
        raise StoreError(f"the database refused: {reason}; `handigit store check` looks for the cause") from problem
