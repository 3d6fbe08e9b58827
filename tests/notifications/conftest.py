"""A monitor's state, incidents and notifier, driven turn by turn in the test's own thread.

The clock is moved by hand; the receivers are real."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.compute.models import ConnectionStatus, ErrorType
from floe_monitor.daemon.notifications import transport_of
from floe_monitor.domain.events import ConfigReloaded, ProbeFinished, ProbeResult
from floe_monitor.domain.health import Thresholds, advance
from floe_monitor.domain.incident_log import IncidentLog
from floe_monitor.domain.incident_recorder import IncidentRecorder
from floe_monitor.domain.liveness import Verdict
from floe_monitor.domain.probe_policy import ProbePolicy
from floe_monitor.domain.resources import Resource
from floe_monitor.domain.state import ConfigStatus, MonitorState, TargetSnapshot
from floe_monitor.domain.targets import Target
from floe_monitor.notifications.delivery import Delivery
from floe_monitor.notifications.messages import MessageMaker
from floe_monitor.notifications.notifier import Allowance, Channel, Notifier
from floe_monitor.notifications.observation import Rule
from floe_monitor.notifications.outbox import Outbox
from floe_monitor.notifications.outbox_file import OutboxFile
from floe_monitor.registry.discovery import PluginEntry
from floe_monitor.settings.models import TargetSettings
from floe_monitor.settings.notification_models import NotificationSettings
from tests.notifications.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from floe_monitor.domain.expiry import WatchedExpiry
    from floe_monitor.domain.stores import Store

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus
SECRET = "canary-secret-of-the-webhook-0123456789"


class Simulation:
    """A monitor's targets, results and incidents, on a clock of its own that begins on a day in 2026."""

    def __init__(self) -> None:
        self.at = 1_790_000_000.0
        self.forget()

    def forget(self) -> None:
        """As a process does that begins anew and has no history."""
        former = getattr(self, "state", None)
        self.state = MonitorState(started_at=0, config=ConfigStatus(0, 0), incidents=IncidentLog())
        self.incidents = IncidentRecorder(self.state, lambda _: None)
        for name, snapshot in ({} if former is None else former.targets).items():
            self.add(name, resources=snapshot.target.resources, labels=snapshot.target.labels)

    def add(
        self,
        name: str,
        *,
        host: str = "db:5432",
        resources: tuple[Resource, ...] = (),
        labels: Mapping[str, str] | None = None,
        expiries: tuple[WatchedExpiry, ...] = (),
    ) -> None:
        target = Target(
            name=name,
            entry=PluginEntry("engine", "floe-monitor-engine", "1", "module:Plugin", None, None),
            settings=TargetSettings(plugin="engine", labels=dict(labels or {})),
            policy=ProbePolicy(30.0, 5.0, Thresholds(), "thread"),
            fingerprint=name,
            profile_config=None,
            resources=resources or (Resource("host", host),),
        )
        self.state.targets[name] = TargetSnapshot(target, expiries=expiries)

    def probe(
        self,
        name: str,
        status: ConnectionStatus = UNHEALTHY,
        error: ErrorType | None = ErrorType.CONNECTION,
        message: str = "connection refused",
    ) -> None:
        if name not in self.state.targets:
            self.add(name, host=f"{name}:5432")
        failed = status is not HEALTHY
        result = ProbeResult(
            name, "engine", status, 0.0, self.at, "id", message, error_type=error if failed else None
        )
        snapshot = self.state.targets[name]
        health, transition = advance(snapshot.health, status, result.finished_at, Thresholds())
        self.state.targets[name] = snapshot.after(result, health, 5, 0.0)
        self.incidents.publish(ProbeFinished(result, health, transition))

    def remove(self, name: str) -> None:
        del self.state.targets[name]
        self.incidents.publish(ConfigReloaded(self.at, removed=(name,)))


class World(Simulation):
    """Besides: channels, an outbox, and receivers. `passes` moves the clock and has everything look once."""

    def __init__(self, receiver: Receiver, folder: Path) -> None:
        self.receiver = receiver
        self.path = folder / "notifications.db"
        self.store: Store | None = OutboxFile(self.path)
        self.environ = {"HOOK_SECRET": SECRET}
        super().__init__()
        self.verdict = Verdict()
        self.settings: dict[str, Any] = {"group_wait": 0, "recovery_wait": 0}
        self.channels: dict[str, dict[str, Any]] = {"hook": {}}

    def start(self) -> None:
        """Of the notifications alone, as a new process does."""
        webhook = {"url": self.receiver.url, "secret": {"env": "HOOK_SECRET"}}
        filled = {
            # A deadline that no machine is too slow for, unless the test is of one that passes.
            name: {
                "timeout": 120,
                **({} if "apprise" in given else {"webhook": webhook}),
                **given,
            }
            for name, given in self.channels.items()
        }
        common = NotificationSettings.model_validate({**self.settings, "channels": filled})
        self.outbox = Outbox(tuple(common.channels), self.store, lambda: self.at)
        self.deliveries = {
            name: Delivery(
                name,
                transport_of(chosen, self.environ),
                self.outbox,
                common.give_up,
                clock=lambda: self.at,
                monotonic=lambda: self.at,
            )
            for name, chosen in common.channels.items()
        }
        parts = [
            Channel(
                Rule.of(name, chosen, common),
                MessageMaker(name, "monitor-0", title=chosen.title, body=chosen.body),
                self.deliveries[name],
                Allowance(self.at),
            )
            for name, chosen in common.channels.items()
        ]
        self.notifier = Notifier(
            self.state,
            lambda: self.verdict,
            parts,
            self.outbox,
            clock=lambda: self.at,
            monotonic=lambda: self.at,
        )

    def restart(self, *, remembered: bool = True) -> None:
        """As after `kill -9`: nothing is closed but what the system closes. Without `remembered`, no history
        is kept."""
        if isinstance(self.store, OutboxFile):
            self.store.close()
            self.store = OutboxFile(self.path)
        if not remembered:
            self.forget()
        self.start()

    def passes(self, seconds: float = 1.0) -> None:
        self.at += seconds
        self.turn()

    def turn(self) -> None:
        self.notifier.turn()
        for delivery in self.deliveries.values():
            while delivery.turn() == 0.0:
                pass
        self.state.notifications = self.outbox.counts()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def world(receiver: Receiver, tmp_path: Path) -> Iterator[World]:
    made = World(receiver, tmp_path)
    made.start()
    yield made
    made.outbox.close()
