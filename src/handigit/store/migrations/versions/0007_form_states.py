"""The state of a record's pages, their number, and the number of missing ones, so that batches are listed by them."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_RECORDS = sa.table("form_records", *(sa.column(name) for name in ("id", "state", "pages", "missing")))
_REVISIONS = sa.table("form_revisions", sa.column("id"), sa.column("record"), sa.column("content", sa.JSON))


def upgrade() -> None:
    """Add the columns and fill them from the last content of each record."""
    op.add_column("form_records", sa.Column("state", sa.Text, nullable=False, server_default=""))
    for name in ("pages", "missing"):
        op.add_column("form_records", sa.Column(name, sa.Integer, nullable=False, server_default="0"))
    op.create_index("ix_form_records_batch_state_id", "form_records", ["batch", "state", "id"])
    connection = op.get_bind()
    last = sa.select(sa.func.max(_REVISIONS.c.id)).group_by(_REVISIONS.c.record)
    ids = connection.scalars(last.order_by(sa.func.max(_REVISIONS.c.id))).all()
    for revision_id in ids:
        row = connection.execute(sa.select(_REVISIONS).where(_REVISIONS.c.id == revision_id)).one()
        pages = row.content.get("pages", [])
        values = {"state": pages[0]["state"] if pages else "", "pages": len(pages),
                  "missing": len(row.content.get("missing", []))}  # fmt: skip
        connection.execute(sa.update(_RECORDS).where(_RECORDS.c.id == row.record).values(values))
