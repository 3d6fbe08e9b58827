from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, text

from floe_monitor.history import schema, tables
from floe_monitor.history.errors import HistoryUnavailableError

if TYPE_CHECKING:
    from pathlib import Path


def test_the_steps_lead_to_the_tables(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/history.db")
    with engine.begin() as connection:
        assert schema.revision_of(connection) is None
        schema.migrate(connection)
        assert schema.revision_of(connection) == schema.revisions()[0]
        schema.migrate(connection)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []


def test_tables_of_a_newer_version_are_left_alone(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/history.db")
    with engine.begin() as connection:
        schema.migrate(connection)
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with engine.begin() as connection, pytest.raises(HistoryUnavailableError, match=r"newer.*9999"):
        schema.migrate(connection)
