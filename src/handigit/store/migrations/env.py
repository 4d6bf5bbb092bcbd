"""Alembic's entry point: runs on the connection that `handigit.store.schema` provides, in its transaction."""

from alembic import context

from handigit.store.tables import metadata

# SQLite can change little with ALTER TABLE; with render_as_batch Alembic rebuilds the table instead.
context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
