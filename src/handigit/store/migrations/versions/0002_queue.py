"""The review queue, so that the next item is found without a scan of everything that is settled.

Existing doubts are queued. Existing `read` results are not: the control sample begins with new ones.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the table and queue the undecided doubts."""
    op.create_table(
        "queue",
        sa.Column("reading", _NUMBER, nullable=False, autoincrement=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("worth", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("reading", name="pk_queue"),
        sa.ForeignKeyConstraint(["reading"], ["readings.id"], name="fk_queue_reading"),
    )
    op.create_index("ix_queue_purpose_worth_reading", "queue", ["purpose", "worth", "reading"])
    op.execute(
        "INSERT INTO queue (reading, purpose, worth) SELECT id, 'doubt', 1 - confidence FROM readings "
        "WHERE outcome = 'doubt' AND NOT EXISTS (SELECT 1 FROM corrections c WHERE c.reading = readings.id "
        "AND NOT EXISTS (SELECT 1 FROM undos u WHERE u.correction = c.id))"
    )
