"""SQLAlchemy engines for the two databases, from a URL."""

import os
import sqlite3
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from handigit.atomic import is_disk_full
from handigit.store.errors import StoreError
from handigit.store.write_lock import WAIT_S

_POOL_SIZE: Final = 40
_PRAGMAS: Final = (
    "journal_mode = WAL",
    "foreign_keys = ON",
    "secure_delete = ON",
    f"busy_timeout = {round(WAIT_S * 1000)}",
)
_FORMS: Final = "write sqlite:///handigit.db or postgresql://user@host/name"


def create_store_engine(url: str) -> Engine:
    """The engine of a database.

    Raises:
        StoreError: a URL that names no supported database, or a folder that cannot be made.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        # The part before "@" may hold a password.
        raise StoreError(f"{url.rpartition('@')[2][:80]!r} is not a database URL; {_FORMS}") from None
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername == "sqlite":
        return _create_sqlite_engine(parsed.database)
    if parsed.drivername != "postgresql+psycopg":
        raise StoreError(f"databases of kind {parsed.drivername!r} are not supported; {_FORMS}")
    try:
        return create_engine(
            parsed,
            pool_size=_POOL_SIZE,
            pool_timeout=WAIT_S,
            pool_pre_ping=True,
            connect_args={"connect_timeout": round(WAIT_S)},
            hide_parameters=True,
        )
    except (NoSuchModuleError, ModuleNotFoundError):
        raise StoreError('PostgreSQL needs psycopg: pip install "handigit[postgres]"') from None


def _create_sqlite_engine(path: str | None) -> Engine:
    if not path or path == ":memory:":
        raise StoreError("an SQLite database in memory keeps nothing; name a file, as in sqlite:///handigit.db")
    try:
        Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        create_private(Path(path))
    except OSError as problem:
        advice = "free some disk space" if is_disk_full(problem) else "choose another folder"
        raise StoreError(f"{path}: cannot be created: {problem.strerror}; {advice}") from None
    engine = create_engine(
        f"sqlite:///{path}",
        pool_size=_POOL_SIZE,
        pool_timeout=WAIT_S,
        connect_args={"timeout": WAIT_S},
        hide_parameters=True,
    )
    event.listen(engine, "connect", _on_connect)
    return engine


def create_private(path: Path) -> None:
    """Create a file that only its owner can read; SQLite's log files inherit the mode. An existing file stays."""
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _on_connect(raw: sqlite3.Connection, _: object) -> None:
    raw.isolation_level = None  # the sqlite3 module would send BEGIN too late
    for pragma in _PRAGMAS:
        raw.execute(f"PRAGMA {pragma}")
