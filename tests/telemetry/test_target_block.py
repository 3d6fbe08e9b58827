"""A page that has been scraped all along says what one says that was never scraped before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from floe_monitor.compute.models import (
    CheckResult,
    ConnectionStatus,
    EngineState,
    ErrorType,
    ExpiryKind,
    ObservedState,
)
from floe_monitor.domain.expiry import WatchedExpiry
from floe_monitor.domain.health import HealthStatus, Thresholds, advance
from floe_monitor.domain.maintenance import Maintenance, Window
from floe_monitor.settings.recurrence import Recurrence
from floe_monitor.telemetry.exposition import MetricsPage
from floe_monitor.telemetry.prometheus import PrometheusSink
from floe_monitor.telemetry.target_block import SIZE
from tests.telemetry.conftest import World, build_result

if TYPE_CHECKING:
    from floe_monitor.domain.state import TargetSnapshot

HEALTHY, _, UNHEALTHY = ConnectionStatus
STARTING, RUNNING = ObservedState(EngineState.STARTING, 10.0), ObservedState(EngineState.RUNNING, 17.5)
WINDOW = Window(Recurrence("0 3 * * *", "UTC"), 3600.0)

RESULTS = st.fixed_dictionaries(
    {
        "status": st.sampled_from(ConnectionStatus),
        "error_type": st.sampled_from([None, ErrorType.TIMEOUT, ErrorType.QUERY]),
        "duration": st.sampled_from([0.25, 1.5]),
        "server_address": st.sampled_from(["", "db.example.com"]),
        "expiries": st.sampled_from([(), (WatchedExpiry(ExpiryKind.KEY, 2e9, "the key", 60.0),)]),
        "engine_states": st.sampled_from([(), (STARTING,), (RUNNING,)]),
        "checks": st.sampled_from(
            [
                (),
                (CheckResult("network", HEALTHY, 1.0),),
                (CheckResult("query", HEALTHY, 1.0),),
                (CheckResult("query", UNHEALTHY, 1.0),),
                (CheckResult("query", HEALTHY, 1.0), CheckResult("query", UNHEALTHY, 2.0)),
            ]
        ),
    }
)
NAMES = st.sampled_from("ab")
STEPS = st.one_of(
    st.tuples(st.just("result"), NAMES, RESULTS),
    st.tuples(st.sampled_from(["stale", "begin", "end", "remove", "change"]), NAMES, st.none()),
)


class Watched:
    """Targets that probes and reloads change, with a clock that goes on by a second for each."""

    def __init__(self) -> None:
        self.world = World()
        self.now = 100.0

    def do(self, what: str, name: str, result: dict[str, Any] | None = None) -> None:
        self.now += 1.0
        targets = self.world.state.targets
        if what == "remove":
            targets.pop(name, None)
        elif what == "change" or name not in targets:
            target = self.world.target(name, windows=(WINDOW,) if name == "a" else ())
            # A first failure leaves the status as it is: unknown.
            patient = replace(target.policy, thresholds=Thresholds(failure=2))
            self.world.add(replace(target, policy=patient))
        else:
            targets[name] = self._changed(targets[name], what, result)

    def _changed(self, snapshot: TargetSnapshot, what: str, result: dict[str, Any] | None) -> TargetSnapshot:
        if result is not None:
            found = build_result(target=snapshot.target.name, started_at=1.7e9 + self.now, **result)
            thresholds = snapshot.target.policy.thresholds
            health, _ = advance(snapshot.health, found.status, found.finished_at, thresholds)
            return snapshot.after(found, health, 0, self.now)
        if what == "stale":
            return snapshot.as_stale(1.7e9 + self.now, self.now)
        maintenance = Maintenance(self.now, self.now + 3600, "works") if what == "begin" else None
        return snapshot.with_maintenance(maintenance, self.now)

    def page(self) -> MetricsPage:
        return MetricsPage(self.world.state, PrometheusSink(), "1", monotonic=lambda: self.now)


def of_targets(page: MetricsPage) -> list[bytes]:
    body, _ = page.render()
    return [line for line in bytes(body).splitlines() if line.startswith(b"floe_compute_target")]


def failed(why: ErrorType) -> dict[str, Any]:
    return {"status": UNHEALTHY, "error_type": why, "checks": ()}


@settings(max_examples=60, deadline=None)
@example(
    [(("change", "b"), False), (("result", "b", failed(ErrorType.TIMEOUT)), True), (("stale", "b"), True)]
)
@example(
    [
        (("change", "b"), False),
        (("result", "b", failed(ErrorType.TIMEOUT)), False),
        (("result", "b", failed(ErrorType.TIMEOUT)), True),
        (("result", "b", failed(ErrorType.QUERY)), True),
    ]
)
@given(st.lists(st.tuples(STEPS, st.booleans()), max_size=12))
def test_what_is_kept_between_scrapes_is_never_out_of_date(steps: list[tuple[Any, bool]]) -> None:
    watched = Watched()
    page = watched.page()
    for step, scraped in steps:
        watched.do(*step)
        if scraped:
            assert sorted(of_targets(page)) == sorted(of_targets(watched.page()))
            watched.now += 1.0
    assert sorted(of_targets(page)) == sorted(of_targets(watched.page()))


@pytest.mark.parametrize("removed", [0, SIZE - 1, SIZE, 2 * SIZE])
def test_targets_that_move_to_another_block(removed: int) -> None:
    watched = Watched()
    page = watched.page()
    for number in range(2 * SIZE + 1):
        watched.do("change", f"t{number}")
    assert len({line.split(b'"')[1] for line in of_targets(page)}) == 2 * SIZE + 1
    watched.do("remove", f"t{removed}")
    lines = of_targets(page)
    assert sorted(lines) == sorted(of_targets(watched.page()))
    assert not any(line.split(b'"')[1] == f"t{removed}".encode() for line in lines)


def test_a_target_that_was_unhealthy_and_awaited_is_told_when_it_is_confirmed() -> None:
    """A result like the last one may still change the status: what a former process found awaits it."""
    watched = Watched()
    page = watched.page()
    watched.do("change", "a")
    watched.do("result", "a", {"status": ConnectionStatus.HEALTHY})
    targets = watched.world.state.targets
    targets["a"] = replace(targets["a"], awaited=True)
    assert b'floe_compute_target_status{target="a",plugin="duckdb"} 0' in of_targets(page)
    targets["a"] = replace(targets["a"], awaited=False)
    assert HealthStatus.HEALTHY is targets["a"].status
    assert b'floe_compute_target_status{target="a",plugin="duckdb"} 1' in of_targets(page)
