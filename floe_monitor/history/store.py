"""Writes a history, batch by batch, each in one transaction. For the writer's thread alone.

After any exception the store is closed and opened anew: what is in memory is then read from the database
again, so that both never differ.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from floe_monitor.domain.declarations import Declarations
from floe_monitor.history import tables
from floe_monitor.history.database import file_of, writing
from floe_monitor.history.json_rows import (
    declarations_from_json,
    declarations_to_json,
    incident_from_json,
    incident_to_json,
    state_from_json,
    state_to_json,
)
from floe_monitor.history.rollup_tables import RollupTables
from floe_monitor.history.schema import migrate
from floe_monitor.history.sqlite_file import SqliteFile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import URL, Connection, Engine, Table

    from floe_monitor.domain.incidents import Incident
    from floe_monitor.domain.saved_state import SavedTarget
    from floe_monitor.history.batch import Batch, ResultRow

States = dict[str, "SavedTarget"]
"""By target."""
_AT_ONCE = 500
"""Names in one statement: databases bound how many values it may have."""


class HistoryStore:
    """`monitor` names who writes: several may share a server, each with rows of its own."""

    def __init__(self, url: URL, monitor: str) -> None:
        self.url = url
        self._name = monitor
        path = file_of(url)
        self.file = None if path is None else SqliteFile(path)
        self._engine: Engine | None = None
        self._connection: Connection | None = None
        self._targets: dict[str, int] = {}
        self._monitor = 0
        self._rollups: RollupTables | None = None

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    @property
    def connection(self) -> Connection:
        assert self._connection is not None  # noqa: S101 - the writer opens it before anything else
        return self._connection

    @property
    def rollups(self) -> RollupTables:
        """Hours and days. Their first use, outside of a transaction, reads the results of the last hour."""
        if self._rollups is None:
            self._rollups = RollupTables(self.connection, self._monitor)
        return self._rollups

    def open(self) -> None:
        """Raises `HistoryUnavailableError`, or the database's own exception."""
        if self.file is not None:
            self.file.acquire()
        self._engine = writing(self.url)
        self._connection = self._engine.connect()
        with self.connection.begin():
            migrate(self.connection)
            self._monitor = self._numbers(tables.monitors, [self._name])[self._name]
        if self.file is not None:
            self.file.opened()

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(DBAPIError):
                connection.close()
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None
        self._targets.clear()
        self._rollups = None

    def release(self) -> None:
        """Let another process write."""
        self.close()
        if self.file is not None:
            self.file.close()

    def saved_state(self) -> tuple[States, list[Incident], Declarations]:
        """What the last process with this name has left: states, open incidents, oldest first, and what was
        declared."""
        with self.connection.begin():
            of_target = (
                select(tables.targets.c.name, tables.states.c.body)
                .join_from(tables.states, tables.targets, tables.states.c.target == tables.targets.c.id)
                .where(tables.states.c.monitor == self._monitor)
            )
            states: States = {}
            for name, body in self.connection.execute(of_target):
                state = state_from_json(body)
                if state is not None:
                    states[name] = state
            open_ones = (
                select(tables.incidents.c.body)
                .where(tables.incidents.c.monitor == self._monitor, tables.incidents.c.ended_at.is_(None))
                .order_by(tables.incidents.c.began_at)
            )
            found = [incident_from_json(body) for body in self.connection.execute(open_ones).scalars()]
            of_monitor = tables.declarations.c.monitor == self._monitor
            body = self.connection.execute(select(tables.declarations.c.body).where(of_monitor)).scalar()
        declared = None if body is None else declarations_from_json(body)
        open_incidents = [incident for incident in found if incident is not None]
        return states, open_incidents, declared or Declarations()

    def write(self, batch: Batch, states: States) -> None:
        """One transaction: all of it, or nothing."""
        _ = self.rollups
        with self.connection.begin():
            self._know(row.target for row in batch.results)
            self._know([*(row.target for row in batch.transitions), *states])
            self._insert_results(batch.results)
            if batch.transitions:
                self.connection.execute(
                    tables.insert_new(tables.transitions),
                    [
                        {
                            "target": self._targets[row.target],
                            "at": round(row.at * 1000),
                            "monitor": self._monitor,
                            "status_before": int(row.before),
                            "status_after": int(row.after),
                            "lasted": round(row.lasted * 1000),
                            "error_type": row.error_type,
                            "message": row.message,
                        }
                        for row in batch.transitions
                    ],
                )
            self._write_incidents(batch.incidents.values())
            self._write_states(states)
            if batch.declared is not None:
                row = {"monitor": self._monitor, "body": declarations_to_json(batch.declared)}
                self.connection.execute(tables.upsert(tables.declarations), row)

    def _insert_results(self, rows: list[ResultRow]) -> None:
        if not rows:
            return
        known = [(self._targets[row.target], row) for row in rows]
        self.connection.execute(
            tables.insert_new(tables.results),
            [
                {
                    "at": round(row.at * 1000),
                    "target": target,
                    "monitor": self._monitor,
                    "status": row.status,
                    "duration": round(row.duration * 1e6),
                    "error_type": row.error_type,
                    "maintenance": int(row.maintained),
                }
                for target, row in known
            ],
        )
        self.rollups.add(
            [(target, row.at, row.status, row.duration, int(row.maintained)) for target, row in known]
        )

    def _write_incidents(self, changed: Iterable[Incident]) -> None:
        rows = [
            {
                "id": incident.id,
                "monitor": self._monitor,
                "began_at": round(incident.began_at * 1000),
                "ended_at": None if incident.ended_at is None else round(incident.ended_at * 1000),
                "body": incident_to_json(incident),
            }
            for incident in changed
        ]
        if rows:
            self.connection.execute(tables.upsert(tables.incidents), rows)

    def _write_states(self, states: States) -> None:
        rows = [
            {
                "target": self._targets[name],
                "monitor": self._monitor,
                "last_at": round(state.last_at * 1000),
                "body": state_to_json(state),
            }
            for name, state in states.items()
        ]
        if rows:
            self.connection.execute(tables.upsert(tables.states), rows)

    def _know(self, names: Iterable[str]) -> None:
        """All that are new at once: at the start of a monitor of ten thousand targets each of them is."""
        new = sorted({name for name in names if name not in self._targets})
        for begin in range(0, len(new), _AT_ONCE):
            self._targets.update(self._numbers(tables.targets, new[begin : begin + _AT_ONCE]))

    def _numbers(self, table: Table, names: list[str]) -> dict[str, int]:
        self.connection.execute(tables.insert_name(table), [{"name": name} for name in names])
        found = self.connection.execute(select(table.c.name, table.c.id).where(table.c.name.in_(names)))
        return {row.name: row.id for row in found}
