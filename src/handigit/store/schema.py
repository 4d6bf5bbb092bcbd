"""A database brought to the tables of this version, and the list of steps that lead there.

It knows Alembic, not the tables.
"""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from handigit.store.database import Database
from handigit.store.errors import StoreError


def latest_revision() -> str:
    """The step that this version of Handigit ends at."""
    head = _steps().get_current_head()
    assert head is not None
    return head


def current_revision(connection: Connection) -> str | None:
    """The step that a database has come to; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(database: Database, *, to: str = "head") -> None:
    """Take every step that the database lacks, all in one transaction; several processes may try at once.

    Raises:
        StoreError: the database has steps that this version does not know.
    """
    wanted = latest_revision() if to == "head" else to
    with database.reading() as connection:
        if current_revision(connection) == wanted:
            return
    with database.writing() as connection:
        _refuse_newer(current_revision(connection))
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, to)


def _refuse_newer(step: str | None) -> None:
    known = {script.revision for script in _steps().walk_revisions()}
    if step is not None and step not in known:
        raise StoreError(
            f"the database is at step {step}, this Handigit ends at {latest_revision()}: install the newer one"
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "handigit.store:migrations")
    return config


def _steps() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())
