"""Upgrading a database to the tables of this version, by Alembic's migrations."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from handigit.store.database import Database
from handigit.store.errors import StoreError


def latest_revision() -> str:
    """The newest revision that this version of Handigit has."""
    head = _scripts().get_current_head()
    assert head is not None
    return head


def revisions() -> list[str]:
    """Every revision, the oldest first."""
    return [script.revision for script in reversed(list(_scripts().walk_revisions()))]


def current_revision(connection: Connection) -> str | None:
    """The revision of a database; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(database: Database, *, to: str = "head") -> None:
    """Run every missing migration in one transaction; several processes may try at the same time.

    Raises:
        StoreError: the database has a revision that this version does not know.
    """
    target = latest_revision() if to == "head" else to
    with database.reading() as connection:
        if current_revision(connection) == target:
            return
    with database.writing() as connection:
        _refuse_newer(current_revision(connection))
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, to)


def _refuse_newer(revision: str | None) -> None:
    if revision is not None and revision not in revisions():
        raise StoreError(
            f"the database is at step {revision}, but this Handigit ends at {latest_revision()}; "
            "install the newer version that wrote it"
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "handigit.store:migrations")
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())
