"""Revisions, applied in the caller's transaction, so that a database is of one version or of another at any moment.

Alembic is loaded here and by the revisions only: a database that is up to date is opened without it.
"""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def alembic_config(connection: Connection) -> Config:
    """Return Alembic's settings, which need no file, for commands that work on a connection."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "src.journal:migrations")
    return config


def migrate(connection: Connection, found: int, wanted: int) -> None:
    """Bring a database from a version to another, newer or older, whether Alembic knew its version or not.

    Raises:
        ConfigError: something it holds has no place in the older version.
    """
    config = alembic_config(connection)
    command.stamp(config, str(found), purge=True)
    if wanted > found:
        command.upgrade(config, str(wanted))
    else:
        command.downgrade(config, str(wanted) if wanted else "base")
