"""Readings and their pictures, corrections and leases."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "inputs",
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_inputs"),
    )
    _readings()
    _leases()
    _corrections()


def _readings() -> None:
    op.create_table(
        "readings",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("input", sa.Text),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("kind", "source")),
        sa.Column("page", sa.Integer, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("outcome", "text", "raw")),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("box", sa.JSON),
        *(sa.Column(name, sa.JSON, nullable=False) for name in ("digits", "alternatives")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("model", "model_digest", "request_id")),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_readings"),
        sa.ForeignKeyConstraint(["input"], ["inputs.sha256"], name="fk_readings_input"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_readings_input", "readings", ["input"])
    op.create_index("ix_readings_at", "readings", ["at"])
    op.create_index("ix_readings_outcome_id", "readings", ["outcome", "id"])


def _leases() -> None:
    op.create_table(
        "leases",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("reading", _NUMBER, nullable=False),
        sa.Column("reviewer", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_leases"),
        sa.ForeignKeyConstraint(["reading"], ["readings.id"], name="fk_leases_reading"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_leases_reading_until", "leases", ["reading", "until"])
    op.create_index("ix_leases_until", "leases", ["until"])


def _corrections() -> None:
    op.create_table(
        "corrections",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("reading", _NUMBER, nullable=False),
        sa.Column("lease", _NUMBER),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("outcome", "text", "by", "key")),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_corrections"),
        sa.ForeignKeyConstraint(["reading"], ["readings.id"], name="fk_corrections_reading"),
        sa.ForeignKeyConstraint(["lease"], ["leases.id"], name="fk_corrections_lease"),
        sa.UniqueConstraint("by", "key", name="uq_corrections_by_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_corrections_reading", "corrections", ["reading"])
    op.create_index("ix_corrections_lease", "corrections", ["lease"])
    op.create_table(
        "undos",
        sa.Column("correction", _NUMBER, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("correction", name="pk_undos"),
        sa.ForeignKeyConstraint(["correction"], ["corrections.id"], name="fk_undos_correction"),
    )
