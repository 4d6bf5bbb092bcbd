"""The idempotency key of a read request, so that a repeated one stores nothing twice."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, empty for older readings."""
    op.add_column("readings", sa.Column("key", sa.Text))
    op.create_index(
        "ix_readings_key_page_place",
        "readings",
        ["key", "page", "place"],
        unique=True,
        sqlite_where=sa.text("key IS NOT NULL"),
        postgresql_where=sa.text("key IS NOT NULL"),
    )
