"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NO_ROWID = {"sqlite_with_rowid": False}


def upgrade() -> None:
    for name in ("targets", "monitors"):
        op.create_table(
            name,
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("name", sa.Text, nullable=False, unique=True),
        )
    op.create_table(
        "results",
        sa.Column("at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("target", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("monitor", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("status", sa.SmallInteger, nullable=False),
        sa.Column("duration", sa.BigInteger, nullable=False),
        sa.Column("error_type", sa.Text),
        sa.Column("maintenance", sa.SmallInteger, nullable=False),
        **_NO_ROWID,
    )
    op.create_table(
        "transitions",
        sa.Column("target", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("monitor", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("status_before", sa.SmallInteger, nullable=False),
        sa.Column("status_after", sa.SmallInteger, nullable=False),
        sa.Column("lasted", sa.BigInteger, nullable=False),
        sa.Column("error_type", sa.Text),
        sa.Column("message", sa.Text, nullable=False),
        **_NO_ROWID,
    )
    op.create_table(
        "incidents",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("monitor", sa.Integer, nullable=False),
        sa.Column("began_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("incidents_by_time", "incidents", ["began_at"])
    for name in ("hourly", "daily"):
        op.create_table(
            name,
            sa.Column("target", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("start", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("monitor", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("healthy", sa.Integer, nullable=False),
            sa.Column("degraded", sa.Integer, nullable=False),
            sa.Column("unhealthy", sa.Integer, nullable=False),
            sa.Column("maintenance", sa.Integer, nullable=False),
            sa.Column("healthy_seconds", sa.Integer, nullable=False),
            sa.Column("degraded_seconds", sa.Integer, nullable=False),
            sa.Column("unhealthy_seconds", sa.Integer, nullable=False),
            sa.Column("maintenance_seconds", sa.Integer, nullable=False),
            sa.Column("latency", sa.LargeBinary, nullable=False),
            **_NO_ROWID,
        )
    op.create_table(
        "states",
        sa.Column("target", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("monitor", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("last_at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        **_NO_ROWID,
    )
    op.create_table(
        "rollups",
        sa.Column("monitor", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("hourly_until", sa.BigInteger, nullable=False),
        sa.Column("daily_until", sa.BigInteger, nullable=False),
    )
