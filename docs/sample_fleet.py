"""The sample fleet of which the pictures are taken: states as a daemon has them, a past of each target."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import anyio

from floe_monitor.compute.models import CheckResult, ConnectionStatus, ErrorType
from floe_monitor.domain.availability import Availability
from floe_monitor.domain.events import ProbeFinished, ProbeResult, ProfileReconciled
from floe_monitor.domain.health import Health, HealthStatus, Thresholds, Transition
from floe_monitor.domain.incident_recorder import IncidentRecorder
from floe_monitor.domain.maintenance import Maintenance
from floe_monitor.domain.probe_policy import ProbePolicy
from floe_monitor.domain.resources import Resource
from floe_monitor.domain.state import ConfigStatus, MonitorState, TargetSnapshot
from floe_monitor.domain.targets import Target
from floe_monitor.domain.uptime import LENGTHS, PastChange, Period, Strip, TargetPast
from floe_monitor.domain.worker_counts import WorkerCounts
from floe_monitor.registry.discovery import PluginEntry
from floe_monitor.settings.models import TargetSettings
from floe_monitor.web.change_feed import ChangeFeed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from floe_monitor.domain.uptime import Unit

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus
FLEET = (
    ("analytics-prod", "snowflake", "core", ("network", "login", "warehouse", "query", "privileges"), 0.41),
    ("analytics-dev", "snowflake", "core", ("network", "login", "warehouse", "query"), 0.38),
    ("finance", "postgres", "finance", ("network", "connect", "query", "create"), 0.018),
    ("ledger", "postgres", "finance", ("network", "connect", "query", "create"), 0.022),
    ("events", "clickhouse", "growth", ("network", "connect", "query", "cluster"), 0.009),
    ("marketing", "bigquery", "growth", ("token", "query", "dataset"), 0.62),
    ("lake", "duckdb", "platform", ("file", "connect", "query", "extension:iceberg", "catalog"), 0.12),
    ("orders", "redshift", "growth", ("network", "connect", "query", "privileges"), 0.055),
    ("features", "databricks", "ml", ("network", "token", "warehouse", "query", "catalog"), 0.83),
    ("federation", "trino", "platform", ("network", "connect", "query", "catalog:hive"), 0.14),
    ("batch", "spark", "ml", ("network", "connect", "query"), 0.36),
    ("sandbox", "duckdb", "platform", ("file", "connect", "query"), 0.006),
)


@dataclass(frozen=True, slots=True)
class Case:
    """One fault of one target."""

    status: ConnectionStatus
    check: str
    error: ErrorType | None
    message: str
    since: float


def make_target(name: str, plugin: str, team: str) -> Target:
    return Target(
        name=name,
        entry=PluginEntry(plugin, f"floe-monitor-{plugin}", "0.1.0", "module:Plugin", None, None),
        settings=TargetSettings(
            plugin=plugin, labels={"team": team, "env": "dev" if "dev" in name else "prod"}
        ),
        policy=ProbePolicy(30.0, 10.0, Thresholds(), "thread"),
        fingerprint=name,
        profile_config=None,
        resources=() if plugin == "duckdb" else (Resource("host", f"{plugin}.internal:5432"),),
    )


class Fleet:
    """A state as a daemon has it after a while, and the past of each target."""

    def __init__(self, seed: int = 7) -> None:
        self.chance = random.Random(seed)
        now = time.time()
        self.now = now
        self.state = MonitorState(
            started_at=now - 86_400 * 12.4, config=ConfigStatus(now - 5_400, now - 5_400, (), 4)
        )
        self.state.scheduler_beat = time.monotonic()
        self.state.first_round_done = True
        self.state.workers = {name: WorkerCounts(limit=16) for name in ("duckdb", "postgres", "snowflake")}
        self.state.profiles = {"floe_project": ProfileReconciled("floe_project", "unchanged", now - 42)}
        self.feed = ChangeFeed(self.state)
        self.recorder = IncidentRecorder(self.state, self.feed.handle)
        self.past = SamplePast(self)
        self.cases: dict[str, Case] = {}

    def add(
        self,
        name: str,
        plugin: str,
        team: str,
        checks: Sequence[str],
        typical: float,
        case: Case | None = None,
    ) -> None:
        target = make_target(name, plugin, team)
        began = self.now - self.chance.uniform(2, 12) * 86_400
        if case is not None:
            self.cases[name] = case
        results = []
        for number in range(20, 0, -1):
            at = self.now - number * 30 + self.chance.uniform(0, 4)
            ill = case if case is not None and at >= self.now - case.since else None
            results.append(self.result(target, at, checks, typical, ill))
        snapshot = TargetSnapshot(target)
        status = HealthStatus.of(results[-1].status)
        since = began if case is None else self.now - case.since
        for result in results:
            health = Health(HealthStatus.of(result.status), since, 0, len(results), 1)
            snapshot = snapshot.after(result, health, 20, time.monotonic())
        failures = 0 if status is not HealthStatus.UNHEALTHY else int((self.now - since) / 30)
        health = replace(snapshot.health, status=status, since=since, consecutive_failures=failures)
        availability = Availability(20, (86_400 * 12.0, 0.0, 400.0 if case else 0.0), results[-1].status, 0.0)
        self.state.targets[name] = replace(snapshot, health=health, availability=availability)
        if case is not None:
            moved = Transition(HealthStatus.HEALTHY, status, since, 86_400 * 3.2)
            self.recorder.publish(ProbeFinished(results[-1], health, moved))

    def result(
        self, target: Target, at: float, checks: Sequence[str], typical: float, case: Case | None
    ) -> ProbeResult:
        done, started = [], 0.0
        for name in checks:
            took = typical * 1000 / len(checks) * self.chance.uniform(0.5, 1.6)
            if case is not None and name == case.check:
                failing = case.status is UNHEALTHY
                took = 10_000.0 - started if case.error is ErrorType.TIMEOUT else took
                done.append(CheckResult(name, case.status, took, case.message, case.error, started))
                started += took
                if failing:
                    break
                continue
            done.append(CheckResult(name, HEALTHY, took, "", None, started))
            started += took
        status = HEALTHY if case is None else case.status
        return ProbeResult(
            target.name,
            target.plugin_name,
            status,
            started / 1000,
            at,
            f"{self.chance.getrandbits(32):08x}",
            message="" if case is None else case.message,
            checks=tuple(done),
            error_type=None if case is None else case.error,
            server_address=f"{target.plugin_name}.internal",
        )


class SamplePast:
    """A past for each target, drawn by its name."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.since = fleet.now - 90 * 86_400.0

    async def run(self) -> None:
        await anyio.sleep_forever()

    async def strips(self, names: Sequence[str], unit: Unit) -> dict[str, Strip]:
        return {name: Strip(unit, self._periods(name, unit)) for name in names}

    async def target(self, name: str) -> TargetPast:
        case = self._fleet.cases.get(name)
        now, day = self._fleet.now, 86_400.0
        healthy, unhealthy, degraded = HealthStatus.HEALTHY, HealthStatus.UNHEALTHY, HealthStatus.DEGRADED
        refused = "cannot connect: connection refused"
        changes = [
            PastChange(now - 3.2 * day, unhealthy, healthy, 410.0, None, ""),
            PastChange(now - 3.2 * day - 410, healthy, unhealthy, 21.4 * day, "connection", refused),
            PastChange(now - 24.6 * day, degraded, healthy, 5_300.0, None, ""),
            PastChange(
                now - 24.6 * day - 5300,
                healthy,
                degraded,
                40 * day,
                None,
                "the server takes ten times as long",
            ),
        ]
        if case is not None:
            status = HealthStatus.of(case.status)
            error = case.error.value if case.error else None
            changes.insert(0, PastChange(now - case.since, healthy, status, 3.2 * day, error, case.message))
        return TargetPast(self._periods(name, "hours"), self._periods(name, "days"), tuple(changes))

    def _periods(self, name: str, unit: Unit) -> tuple[Period, ...]:
        chance = random.Random(f"{name}{unit}")
        length = LENGTHS[unit]
        typical = 0.02 + chance.random() * 0.3
        last = int(self._fleet.now // length)
        begun = chance.choice((0, 0, 0, 12, 30))
        since = self._fleet.state.targets[name].health.since
        periods = []
        for place in range(begun, 90):
            failed = chance.choice((0.02, 0.08, 0.4, 1.0)) if chance.random() < 0.028 else 0.0
            slow = 0.5 if chance.random() < 0.02 else 0.0
            if (last - 88 + place) * length > since:  # what a row says of the present holds in its strip
                failed = slow = 0.0
            p50 = typical * (1 + 0.25 * chance.random()) * (1.6 if place % 24 in (8, 9, 10) else 1.0)
            bad = length * failed * 0.3
            periods.append(
                Period(
                    (last - 89 + place) * length, length - bad - slow * length, slow * length, bad, 0.0,
                    p50, p50 * (1.4 + 0.9 * chance.random() + (4 if failed else 0)),
                )
            )  # fmt: skip
        case = self._fleet.cases.get(name)
        if case is not None:
            share = min(1.0, case.since / length) if unit == "days" else 1.0
            hours = 1 if unit == "days" else max(1, round(case.since / length))
            for place in range(1, hours + 1):
                ill, well = share * length, (1 - share) * length
                unhealthy = ill if case.status is UNHEALTHY else 0.0
                periods[-place] = replace(
                    periods[-place], healthy=well, degraded=ill - unhealthy, unhealthy=unhealthy
                )
        return tuple(periods)


def all_well() -> Fleet:
    fleet = Fleet()
    for name, plugin, team, checks, typical in FLEET:
        fleet.add(name, plugin, team, checks, typical)
    return fleet


def one_down() -> Fleet:
    reset = "the server closed the connection while we waited for the answer to the login"
    fleet = Fleet()
    for name, plugin, team, checks, typical in FLEET:
        case = Case(UNHEALTHY, "connect", ErrorType.CONNECTION, reset, 312) if name == "events" else None
        fleet.add(name, plugin, team, checks, typical, case)
    return fleet


def some_down() -> Fleet:
    refused = "cannot connect to postgres.internal:5432: connection refused"
    cases = {
        "finance": Case(UNHEALTHY, "connect", ErrorType.CONNECTION, refused, 845),
        "ledger": Case(UNHEALTHY, "connect", ErrorType.CONNECTION, refused, 842),
        "lake": Case(
            DEGRADED,
            "extension:iceberg",
            ErrorType.EXTENSION,
            "extension 'iceberg' is not installed for DuckDB v1.5.5",
            40_000,
        ),
    }
    fleet = Fleet()
    for name, plugin, team, checks, typical in FLEET:
        fleet.add(name, plugin, team, checks, typical, cases.get(name))
    for name in ("orders",):
        until = fleet.now - fleet.now % 3600 + 2 * 3600
        known = fleet.state.targets[name]
        fleet.state.targets[name] = known.with_maintenance(
            Maintenance(fleet.now - 1200, until, "resize of the cluster"), time.monotonic()
        )
    return fleet


def ten_thousand() -> Fleet:
    fleet = Fleet()
    for number in range(10_000):
        name, plugin, team, checks, typical = FLEET[number % len(FLEET)]
        case = None
        if number in (417, 4_209, 7_003):
            message = "no answer within 10 s: check 'query' did not return"
            case = Case(UNHEALTHY, "query", ErrorType.TIMEOUT, message, 300 + number / 10)
        elif number in (1_208, 8_117):
            case = Case(DEGRADED, checks[-1], None, "the certificate of the server expires in 6 days", 90_000)
        fleet.add(f"{name}-{number:05d}", plugin, team, checks, typical, case)
    return fleet
