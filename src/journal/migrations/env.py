"""What Alembic runs for each command: revisions, in the transaction of the connection it is given.

Programs of all versions, those before Alembic too, look for the version in `meta`; it follows Alembic's.
"""

import logging
from collections.abc import Collection
from typing import Any

from alembic import context
from sqlalchemy import column, delete, insert, table

META = table("meta", column("key"), column("value"))


def _keep_version(ctx: Any, step: Any, heads: Collection[Any], run_args: Any) -> None:
    ctx.connection.execute(delete(META).where(META.c.key == "schema_version"))
    for version in heads:
        ctx.connection.execute(insert(META).values(key="schema_version", value=version))


logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)  # whoever migrates says so, in one line
context.configure(connection=context.config.attributes["connection"], on_version_apply=_keep_version)
context.run_migrations()
