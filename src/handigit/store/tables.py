"""The tables as SQLAlchemy objects; `migrations/` creates them in a database.

Rows of `inputs`, `readings`, `corrections`, `undos`, `leases` and of the forms are only added until they are deleted.
`queue` lists what needs review and can be derived from the others.
"""

from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    UniqueConstraint,
    text,
)

from handigit.store.column_types import Id, SafeText, UtcMicros

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id() -> Column[int]:
    """A row id that counts up and is never reused, not even after a deletion."""
    return Column("id", Id, primary_key=True, autoincrement=True)


def _reference(table: str, name: str, *, key: str = "id", **kwargs: Any) -> Column[Any]:
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

_HAS_KEY: Final = text("key IS NOT NULL")

readings = Table(
    "readings",
    metadata,
    _id(),
    _reference("inputs", "input", key="sha256", index=True),
    _text("kind"),
    _text("source"),
    Column("page", Integer, nullable=False),
    Column("place", Integer, nullable=False),  # position on the page in reading order, from 1
    _text("outcome"),
    _text("text"),
    _text("raw"),
    Column("value", SafeText),  # decimal or ISO date; null where `raw` does not decide it
    _text("canonical"),  # equal for equal numbers; corrections are compared by it
    Column("confidence", Float, nullable=False),
    Column("box", JSON(none_as_null=True)),
    Column("digits", JSON, nullable=False),
    Column("alternatives", JSON, nullable=False),
    _text("model"),
    _text("model_digest"),
    _text("request_id"),
    Column("key", SafeText),  # of a file whose request may be repeated: who sent it, and their idempotency key
    Column("at", UtcMicros, nullable=False, index=True),
    Index(None, "outcome", "id"),
    Index(None, "key", "page", "place", unique=True, sqlite_where=_HAS_KEY, postgresql_where=_HAS_KEY),
    sqlite_autoincrement=True,
)

NUMBER_COLUMNS: Final = ("page", "outcome", "text", "raw", "value", "confidence", "box", "digits", "alternatives")
"""Columns of `readings` with the fields of `Number.to_json(full=True)`."""

leases = Table(
    "leases",
    metadata,
    _id(),
    _reference("readings", "reading", nullable=False),
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
    _id(),
    _reference("readings", "reading", nullable=False, index=True),
    _reference("leases", "lease", index=True),
    _text("outcome"),
    _text("text"),  # as typed
    Column("value", SafeText),
    _text("canonical"),
    _text("by"),
    _text("key"),
    Column("at", UtcMicros, nullable=False),
    UniqueConstraint("by", "key"),
    sqlite_autoincrement=True,
)

undos = Table(
    "undos",
    metadata,
    _reference("corrections", "correction", primary_key=True),
    _text("by"),
    Column("at", UtcMicros, nullable=False),
)

queue = Table(
    "queue",
    metadata,
    _reference("readings", "reading", primary_key=True),
    _text("purpose"),
    Column("worth", Float, nullable=False),
    Index(None, "purpose", "worth", "reading"),
)

users = Table(
    "users",
    metadata,
    _id(),
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
    _reference("users", "user", nullable=False, index=True),
    Column("at", UtcMicros, nullable=False),
    Column("until", UtcMicros, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    _id(),
    _text("name"),
    _text("secret", unique=True),
    _text("role"),
    Column("at", UtcMicros, nullable=False),
    Column("until", UtcMicros),
    Column("revoked_at", UtcMicros),
    sqlite_autoincrement=True,
)

failed_sign_ins = Table(
    "failed_sign_ins",
    metadata,
    Column("name_digest", SafeText, primary_key=True),  # SHA-256: names that are not accounts may be passwords
    Column("failures", Integer, nullable=False),
    Column("at", UtcMicros, nullable=False),
)

form_records = Table(
    "form_records",
    metadata,
    _id(),
    _text("template"),
    Column("version", Integer, nullable=False),
    _text("copy"),
    _text("outcome"),
    _text("source"),
    _text("request_id"),
    _text("key", unique=True),  # the same pages, template and model give one record
    Column("batch", SafeText, nullable=False, server_default=""),
    Column("state", SafeText, nullable=False, server_default=""),  # of its pages: placed, unplaced, blank ...
    Column("pages", Integer, nullable=False, server_default="0"),
    Column("missing", Integer, nullable=False, server_default="0"),  # pages of the form that were not in the pile
    Column("at", UtcMicros, nullable=False, index=True),
    Index(None, "template", "id"),
    Index(None, "batch", "id"),
    Index(None, "batch", "state", "id"),
    sqlite_autoincrement=True,
)

form_pages = Table(
    "form_pages",
    metadata,
    _reference("form_records", "record", primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    _reference("inputs", "input", key="sha256", nullable=False, index=True),
)

form_revisions = Table(
    "form_revisions",
    metadata,
    _id(),
    _reference("form_records", "record", nullable=False, index=True),
    Column("content", JSON, nullable=False),
    _text("by"),
    Column("at", UtcMicros, nullable=False),
    sqlite_autoincrement=True,
)

form_changes = Table(
    "form_changes",
    metadata,
    _id(),
    _reference("form_records", "record", nullable=False, index=True),
    _text("field"),
    Column("text", SafeText),  # null takes the reader's result back
    _text("by"),
    _text("key"),
    Column("at", UtcMicros, nullable=False),
    UniqueConstraint("by", "key"),
    sqlite_autoincrement=True,
)
