"""The tables, as SQLAlchemy knows them; `migrations/` is how a database came to have them.

It knows columns, keys and indexes, and nothing of what is asked of them. Rows of `inputs`, `readings`, `corrections`,
`undos` and `leases` are only ever added, until they are deleted for good; `queue` is what still waits for a person,
and can be derived from the others.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
DAY = timedelta(days=1) // MICROSECOND
"""One day as a `UtcMicros` counts it."""


class UtcMicros(TypeDecorator[datetime]):
    """An aware datetime as microseconds since 1970 in UTC: the same order and arithmetic in every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - its shape
        """To the database."""
        return None if value is None else (value - EPOCH) // MICROSECOND

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - its shape
        """From the database."""
        return None if value is None else EPOCH + value * MICROSECOND


class SafeText(TypeDecorator[str]):
    """Text that any database takes: PostgreSQL knows no NUL, UTF-8 no half of a surrogate pair."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - its shape
        """To the database."""
        return None if value is None else value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


class Id(TypeDecorator[int]):
    """A row's number: 64 bits; one that no row can have asks for row 0, which is not there either."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """SQLite counts up only what is declared as just INTEGER."""
        return dialect.type_descriptor(Integer() if dialect.name == "sqlite" else BigInteger())

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - its shape
        """To the database."""
        return value if value is None or abs(value) < 2**63 else 0


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _number() -> Column[int]:
    """A row's number, counted up and never given twice, not even after a deletion."""
    return Column("id", Id, primary_key=True, autoincrement=True)


def _of(table: str, name: str, *, key: str = "id", **kwargs: Any) -> Column[Any]:
    return Column(name, ForeignKey(f"{table}.{key}"), **kwargs)


def _text(name: str, **kwargs: Any) -> Column[str]:
    return Column(name, SafeText, nullable=False, **kwargs)


inputs = Table(
    "inputs",
    metadata,
    Column("sha256", SafeText, primary_key=True),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("at", UtcMicros, nullable=False),
)

readings = Table(
    "readings",
    metadata,
    _number(),
    _of("inputs", "input", key="sha256", index=True),
    _text("kind"),
    _text("source"),
    Column("page", Integer, nullable=False),
    _text("outcome"),
    _text("text"),
    _text("raw"),
    Column("confidence", Float, nullable=False),
    Column("box", JSON(none_as_null=True)),
    Column("digits", JSON, nullable=False),
    Column("alternatives", JSON, nullable=False),
    _text("model"),
    _text("model_digest"),
    _text("request_id"),
    Column("at", UtcMicros, nullable=False, index=True),
    Index(None, "outcome", "id"),
    sqlite_autoincrement=True,
)

leases = Table(
    "leases",
    metadata,
    _number(),
    _of("readings", "reading", nullable=False),
    _text("reviewer"),
    _text("purpose"),
    Column("at", UtcMicros, nullable=False),
    Column("until", UtcMicros, nullable=False),
    Index(None, "reading", "until"),
    Index(None, "until"),
    sqlite_autoincrement=True,
)

corrections = Table(
    "corrections",
    metadata,
    _number(),
    _of("readings", "reading", nullable=False, index=True),
    _of("leases", "lease", index=True),
    _text("outcome"),
    _text("text"),
    _text("by"),
    _text("key"),
    Column("at", UtcMicros, nullable=False),
    UniqueConstraint("by", "key"),
    sqlite_autoincrement=True,
)

undos = Table(
    "undos",
    metadata,
    _of("corrections", "correction", primary_key=True),
    _text("by"),
    Column("at", UtcMicros, nullable=False),
)

queue = Table(
    "queue",
    metadata,
    _of("readings", "reading", primary_key=True),
    _text("purpose"),
    Column("worth", Float, nullable=False),
    Index(None, "purpose", "worth", "reading"),
)

users = Table(
    "users",
    metadata,
    _number(),
    _text("name", unique=True),
    _text("password"),
    _text("role"),
    Column("at", UtcMicros, nullable=False),
    Column("removed_at", UtcMicros),
    sqlite_autoincrement=True,
)

sessions = Table(
    "sessions",
    metadata,
    Column("secret", SafeText, primary_key=True),
    _of("users", "user", nullable=False, index=True),
    Column("at", UtcMicros, nullable=False),
    Column("until", UtcMicros, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    _number(),
    _text("name"),
    _text("secret", unique=True),
    _text("role"),
    Column("at", UtcMicros, nullable=False),
    Column("until", UtcMicros),
    Column("revoked_at", UtcMicros),
    sqlite_autoincrement=True,
)
