"""Brings a database to the tables of this version, by Alembic's own means."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from floe_monitor.history.errors import HistoryUnavailableError

if TYPE_CHECKING:
    from sqlalchemy import Connection

MIGRATIONS = Path(__file__).parent / "migrations"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


@cache
def revisions() -> tuple[str, ...]:
    """Those this version knows, the newest first."""
    return tuple(each.revision for each in ScriptDirectory.from_config(_config()).walk_revisions())


def migrate(connection: Connection) -> None:
    """Within the connection's transaction. `HistoryUnavailableError` where a newer version has been here."""
    found = revision_of(connection)
    if found == revisions()[0]:
        return
    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def revision_of(connection: Connection) -> str | None:
    """The version of its tables, None where there are none. `HistoryUnavailableError` for an unknown one."""
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found not in revisions():
        raise HistoryUnavailableError(
            f"its tables are of a newer version of floe-monitor ({found}; this one knows {revisions()[0]}): "
            "run that version, or give `history.url` another database"
        )
    return found
