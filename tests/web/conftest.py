"""A surface over a real state, behind a real socket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest

from floe_monitor.compute.models import CheckResult, ConnectionStatus, ErrorType
from floe_monitor.domain.events import ConfigReloaded, ProbeResult, ProfileReconciled
from floe_monitor.domain.health import Thresholds, advance
from floe_monitor.domain.liveness import LivenessLimits
from floe_monitor.domain.probe_policy import ProbePolicy
from floe_monitor.domain.state import ConfigStatus, MonitorState, TargetSnapshot
from floe_monitor.domain.targets import Target
from floe_monitor.domain.worker_counts import WorkerCounts
from floe_monitor.registry.discovery import PluginEntry
from floe_monitor.settings.http_models import HttpSettings
from floe_monitor.settings.models import TargetSettings
from floe_monitor.web.access_control import AccessControl
from floe_monitor.web.app import create_app
from floe_monitor.web.authentication import Authenticator
from floe_monitor.web.change_feed import ChangeFeed
from floe_monitor.web.health import Health
from floe_monitor.web.interfaces import ProbeRefusedError
from floe_monitor.web.listeners import listen
from floe_monitor.web.protocol import Limits
from floe_monitor.web.server import Service, serve

if TYPE_CHECKING:
    from floe_monitor.web.listener_identity import ListenerIdentity

NOW = 1_795_000_000.0


def make_target(name: str, plugin: str = "duckdb", problem: str | None = None, **settings: Any) -> Target:
    return Target(
        name=name,
        entry=PluginEntry(plugin, f"floe-monitor-{plugin}", "0.1.0", "module:Plugin", None, problem),
        settings=TargetSettings(plugin=plugin, **settings),
        policy=ProbePolicy(30.0, 5.0, Thresholds(), "thread"),
        fingerprint=name,
        profile_config=None,
    )


def make_result(
    target: str, status: ConnectionStatus = ConnectionStatus.HEALTHY, **fields: Any
) -> ProbeResult:
    healthy = status is ConnectionStatus.HEALTHY
    values: dict[str, Any] = {
        "plugin": "duckdb",
        "duration": 0.012,
        "started_at": NOW,
        "correlation_id": "c0ffee00",
        "message": "" if healthy else "connection refused",
        "error_type": None if healthy else ErrorType.CONNECTION,
        "checks": (CheckResult("connect", status, 8.0), CheckResult("query", ConnectionStatus.HEALTHY, 2.0)),
    }
    return ProbeResult(target=target, status=status, **{**values, **fields})


def after_results(target: Target, results: list[ProbeResult]) -> TargetSnapshot:
    snapshot = TargetSnapshot(target)
    for result in results:
        health, _ = advance(snapshot.health, result.status, result.finished_at, Thresholds())
        snapshot = snapshot.after(result, health, keep=20, now=0.0)
    return snapshot


class Page:
    """A metrics page that counts its renders and can be held."""

    def __init__(self) -> None:
        self.renders = 0
        self.delay = 0.0
        self.body = b"floe_compute_target_up 1\n"

    def render(self, *, openmetrics: bool = False) -> tuple[bytearray, str]:
        self.renders += 1
        time.sleep(self.delay)
        body = bytearray(self.body)
        if openmetrics:
            return body + b"# EOF\n", "application/openmetrics-text; version=1.0.0; charset=utf-8"
        return body, "text/plain; version=0.0.4; charset=utf-8"


@dataclass
class Controls:
    """Answers for the daemon."""

    state: MonitorState
    validated: list[str] = field(default_factory=list)
    reloads: int = 0
    problems: tuple[str, ...] = ()
    refuse: str = ""
    delay: float = 0.0

    async def validate(self, name: str) -> ProbeResult:
        self.validated.append(name)
        await anyio.sleep(self.delay)
        if self.refuse:
            raise ProbeRefusedError(self.refuse)
        if name not in self.state.targets:
            raise KeyError(name)
        return make_result(name, trigger="request")

    async def reload(self) -> ConfigReloaded:
        self.reloads += 1
        return ConfigReloaded(NOW, self.problems, added=() if self.problems else ("new",))


def entering(app: Any, listener: ListenerIdentity) -> Any:
    async def entered(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "state": dict(listener.state)}, receive, send)

    return entered


@dataclass
class Surface:
    """Everything behind the routes."""

    state: MonitorState
    page: Page
    control: Controls
    limits: LivenessLimits = field(default_factory=lambda: LivenessLimits(stuck=4))
    environ: dict[str, str] = field(default_factory=dict)
    history: Any = None
    past: Any = None
    events: list[Any] = field(default_factory=list)
    streams: int = 4

    def __post_init__(self) -> None:
        self.feed = ChangeFeed(self.state, kept=50)

    def app(self, listener: ListenerIdentity | None = None, **http: Any) -> Any:
        """`listener`: where the server does not say by which listener a request comes in."""
        self.access = AccessControl(HttpSettings.model_validate(http), Authenticator(self.environ))
        app = create_app(
            self.state,
            self.page,
            self.control,
            health=Health(self.state, lambda: self.limits),
            access=self.access,
            publish=self.events.append,
            history=self.history,
            past=self.past,
            feed=self.feed,
            streams=self.streams,
        )
        return app if listener is None else entering(app, listener)

    def add(self, target: Target, *results: ProbeResult) -> TargetSnapshot:
        snapshot = after_results(target, list(results))
        self.state.targets[target.name] = snapshot
        return snapshot

    def stale(self, name: str) -> None:
        self.state.targets[name] = self.state.targets[name].as_stale(NOW, 0.0)


class Started:
    """As much of a task status as `serve` uses."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    def started(self, value: None = None) -> None:
        self.event.set()


Serving = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def surface() -> Surface:
    state = MonitorState(started_at=NOW - 60, config=ConfigStatus(NOW - 60, NOW - 60))
    state.scheduler_beat = time.monotonic()
    state.first_round_done = True
    state.workers = {"duckdb": WorkerCounts(busy=2, stuck=1, limit=16)}
    state.profiles = {"floe_project": ProfileReconciled("floe_project", "unchanged", NOW)}
    made = Surface(state, Page(), Controls(state))
    made.add(
        make_target("dev", labels={"team": "core"}, connection={"path": ":memory:"}),
        make_result("dev", ConnectionStatus.UNHEALTHY),
        make_result("dev", started_at=NOW + 30),
    )
    made.add(
        make_target(
            "warehouse",
            plugin="postgres",
            connection={"host": "db", "password": "canary-literal", "dsn": "postgresql://u:canary-dsn@h/d"},
            credentials={"password": {"env": "WAREHOUSE_PASSWORD"}},
        ),
        make_result("warehouse", ConnectionStatus.UNHEALTHY, plugin="postgres"),
    )
    made.add(
        make_target("lake"),
        make_result("lake", ConnectionStatus.DEGRADED, message="extension iceberg is missing"),
    )
    made.add(make_target("fresh"))
    return made


@pytest.fixture
def serving() -> Serving:
    @asynccontextmanager
    async def running(
        app: Any, *, limits: Limits | None = None, grace: float = 1.0
    ) -> AsyncIterator[httpx.AsyncClient]:
        listener = listen("127.0.0.1", 0)
        started = Started()
        service = Service(app, (listener,), limits or Limits())
        # Not a task group: fixtures are set up and torn down in different tasks.
        task = asyncio.create_task(serve(service, grace=grace, task_status=started))
        try:
            await started.event.wait()
            async with httpx.AsyncClient(base_url=listener.url, timeout=10) as client:
                yield client
        finally:
            task.cancel()
            await asyncio.wait([task])

    return running


@pytest.fixture
def target_of() -> Callable[..., Target]:
    return make_target


@pytest.fixture
def result_of() -> Callable[..., ProbeResult]:
    return make_result
