"""Alembic's way in: runs the steps on the connection that `handigit.store.schema` hands over, in its transaction."""

from alembic import context

from handigit.store.tables import metadata

# As part of one ALTER TABLE, SQLite can do little; Alembic then makes the table anew.
context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
