"""Records of forms: their pages, their content as it was read and checked, and changes by people in their fields."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "form_records",
        sa.Column("id", _ID, nullable=False),
        sa.Column("template", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("copy", "outcome", "source", "request_id", "key")),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_form_records"),
        sa.UniqueConstraint("key", name="uq_form_records_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_form_records_at", "form_records", ["at"])
    op.create_index("ix_form_records_template_id", "form_records", ["template", "id"])
    op.create_table(
        "form_pages",
        sa.Column("record", _ID, nullable=False),
        sa.Column("number", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("input", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("record", "number", name="pk_form_pages"),
        sa.ForeignKeyConstraint(["record"], ["form_records.id"], name="fk_form_pages_record"),
        sa.ForeignKeyConstraint(["input"], ["inputs.sha256"], name="fk_form_pages_input"),
    )
    op.create_index("ix_form_pages_input", "form_pages", ["input"])
    _history("form_revisions", sa.Column("content", sa.JSON, nullable=False))
    _history(
        "form_changes",
        sa.Column("field", sa.Text, nullable=False),
        sa.Column("text", sa.Text),
        sa.Column("key", sa.Text, nullable=False),
        sa.UniqueConstraint("by", "key", name="uq_form_changes_by_key"),
    )


def _history(name: str, *columns: sa.Column[Any] | sa.Constraint) -> None:
    """A table of statements about records, with their author and time."""
    op.create_table(
        name,
        sa.Column("id", _ID, nullable=False),
        sa.Column("record", _ID, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        *columns,
        sa.PrimaryKeyConstraint("id", name=f"pk_{name}"),
        sa.ForeignKeyConstraint(["record"], ["form_records.id"], name=f"fk_{name}_record"),
        sqlite_autoincrement=True,
    )
    op.create_index(f"ix_{name}_record", name, ["record"])
