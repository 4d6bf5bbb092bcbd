"""The batch that a record of a form belongs to: the files sent together."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; older records are in the batch of their request."""
    op.add_column("form_records", sa.Column("batch", sa.Text, nullable=False, server_default=""))
    op.execute("UPDATE form_records SET batch = request_id")
    op.create_index("ix_form_records_batch_id", "form_records", ["batch", "id"])
