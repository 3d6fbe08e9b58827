"""Ticks, skips, reloads and staleness, with real threads and short intervals."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from floe_monitor.compute.models import ConnectionStatus
from floe_monitor.domain.events import (
    LateReturn,
    ProbeStarted,
    TargetHung,
    TargetStale,
)
from floe_monitor.domain.health import HealthStatus
from floe_monitor.domain.target_diff import Changes
from floe_monitor.probing.scheduler import NoSlotError
from tests.probing.monitor import Monitor

if TYPE_CHECKING:
    from collections.abc import Callable

    from floe_monitor.domain.targets import Target

    MakeTargets = Callable[..., dict[str, Target]]


async def test_every_target_is_probed_at_its_ticks(
    make_targets: MakeTargets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor = Monitor()
    names = {f"t{number}": "healthy" for number in range(20)}
    due: defaultdict[str, list[float]] = defaultdict(list)
    tick = monitor.scheduler._tick

    def noting(watched: Any, at: float, now: float) -> None:
        assert now >= at
        due[watched.target.name].append(at)
        tick(watched, at, now)

    monkeypatch.setattr(monitor.scheduler, "_tick", noting)
    async with monitor.watching(make_targets(names, interval=0.2)):
        await monitor.until(lambda: all(len(monitor.results(name)) >= 4 for name in names))
    lags = [e.lag for e in monitor.events if isinstance(e, ProbeStarted) and e.lag is not None]
    assert min(lags) >= 0
    for name in names:
        assert len(due[name]) >= len(monitor.results(name))
        # Ticks that a busy machine had no time for are left out, and the others keep to the grid.
        for earlier, later in itertools.pairwise(due[name][1:]):
            steps = (later - earlier) / 0.2
            assert round(steps) >= 1
            assert steps == pytest.approx(round(steps), abs=1e-6)


async def test_readiness_waits_for_the_first_round(make_targets: MakeTargets, lab: Any) -> None:
    monitor = Monitor()
    targets = make_targets({"quick": "healthy", "slow": {"behave": "sleep", "seconds": 0.3}})
    async with monitor.watching(targets):
        await monitor.until(lambda: monitor.results("quick"))
        assert not monitor.state.first_round_done
        await monitor.until(lambda: monitor.state.first_round_done)
        assert monitor.results("slow")


async def test_nothing_to_watch_is_ready_at_once() -> None:
    monitor = Monitor()
    async with monitor.watching({}):
        assert monitor.state.first_round_done


async def test_hung_targets_cost_the_others_nothing(
    make_targets: MakeTargets, lab: Any, unhurried: Any
) -> None:
    monitor = Monitor()
    timeout = unhurried(0.1)
    behaviours = {f"well{n}": "healthy" for n in range(8)} | {f"hung{n}": "hang" for n in range(3)}
    async with monitor.watching(make_targets(behaviours, interval=2.5 * timeout, timeout=timeout)):
        await monitor.until(lambda: all(len(monitor.results(f"well{n}")) >= 5 for n in range(8)))
        await monitor.until(lambda: all(monitor.skips(f"hung{n}")["stuck"] >= 3 for n in range(3)))
        for number in range(3):
            [finished] = monitor.results(f"hung{number}")
            assert finished.result.error_type == "timeout"
            assert monitor.state.targets[f"hung{number}"].status is HealthStatus.UNHEALTHY
        assert monitor.state.workers["lab"].stuck == 3
        # A late tick is a machine's that stood still; one without a slot would be the hung ones'.
        assert all(not monitor.skips(f"well{n}").keys() - {"late", "running"} for n in range(8))
        released = time.time()
        lab.FOREVER.set()
        await monitor.until(lambda: sum(isinstance(e, LateReturn) for e in monitor.events) >= 3)
        await monitor.until(lambda: all(len(monitor.results(f"hung{n}")) >= 2 for n in range(3)))
        assert monitor.state.workers["lab"].stuck == 0
        # A result from another age is never reported: the second one is a fresh probe's.
        second = monitor.results("hung0")[1].result
        assert second.message == "from another age"
        assert second.started_at > released


async def test_a_tick_during_a_probe_is_skipped_not_queued(make_targets: MakeTargets) -> None:
    monitor = Monitor()
    targets = make_targets({"slow": {"behave": "sleep", "seconds": 0.35}}, interval=0.1, timeout=2)
    async with monitor.watching(targets):
        await monitor.until(lambda: len(monitor.results("slow")) >= 3)
    assert monitor.skips("slow")["running"] >= 6
    assert monitor.skips("slow")["stuck"] == 0


async def test_a_target_without_a_slot_grows_stale(make_targets: MakeTargets, lab: Any) -> None:
    monitor = Monitor(limit=1, per_plugin=1)
    targets = make_targets({"hung": "hang", "starved": "healthy"}, interval=0.1, timeout=0.1)
    async with monitor.watching({"starved": targets["starved"]}):
        await monitor.until(lambda: monitor.results("starved"))
        monitor.scheduler.apply(targets)
        await monitor.until(lambda: monitor.skips("starved")["no_slot"] >= 3)
        await monitor.until(lambda: monitor.state.targets["starved"].status is HealthStatus.UNKNOWN)
        assert [e.target for e in monitor.events if isinstance(e, TargetStale)] == ["starved"]
        assert monitor.state.targets["hung"].status is HealthStatus.UNHEALTHY
        lab.FOREVER.set()
        await monitor.until(lambda: monitor.state.targets["starved"].status is HealthStatus.HEALTHY)


async def test_waiting_for_a_slot_is_not_in_the_latency(make_targets: MakeTargets, unhurried: Any) -> None:
    monitor = Monitor(limit=1, per_plugin=1)
    seconds = unhurried(0.15)
    timeout = 2 * seconds
    targets = make_targets(
        {f"t{n}": {"behave": "sleep", "seconds": seconds} for n in range(4)}, timeout=timeout
    )
    async with monitor.watching(targets):
        await monitor.until(lambda: monitor.state.first_round_done)
    waits = sorted(e.slot_wait for e in monitor.events if isinstance(e, ProbeStarted))
    assert waits[-1] > timeout, "the last one waits for three others"
    for name in targets:
        [finished] = monitor.results(name)
        assert finished.result.status.value == "healthy"
        assert finished.result.duration < waits[-1]


async def test_an_unchanged_target_keeps_everything_over_a_reload(make_targets: MakeTargets) -> None:
    monitor = Monitor()
    async with monitor.watching(make_targets({"kept": "healthy", "gone": "healthy"}, interval=0.1)):
        await monitor.until(lambda: len(monitor.results("kept")) >= 3)
        before = monitor.state.targets["kept"]
        changed = make_targets(
            {"kept": "healthy", "new": "unhealthy"}, extra={"labels": {"tier": "gold"}}, interval=0.1
        )
        changes = monitor.scheduler.apply(changed)
        assert changes == Changes(added=("new",), removed=("gone",), unchanged=("kept",))
        assert monitor.state.targets["kept"] == replace(before, target=changed["kept"])
        assert list(monitor.state.targets) == ["kept", "new"]
        await monitor.until(lambda: monitor.results("new"))
        count = len(monitor.results("gone"))
        await monitor.until(lambda: len(monitor.results("kept")) >= 6)
        assert len(monitor.results("gone")) == count
        assert monitor.state.targets["kept"].target.labels == {"tier": "gold"}


async def test_a_probe_under_way_cannot_report_under_a_new_configuration(
    make_targets: MakeTargets, lab: Any
) -> None:
    monitor = Monitor()
    async with monitor.watching(make_targets({"dev": "hang"}, timeout=5)):
        await monitor.until(lambda: lab.CALLS == ["hang"])
        changes = monitor.scheduler.apply(make_targets({"dev": "unhealthy"}, timeout=5))
        assert changes == Changes(changed=("dev",))
        await monitor.until(lambda: monitor.results("dev"))
        lab.FOREVER.set()
        await monitor.until(lambda: monitor.pool.taken == 0)
        await asyncio.sleep(0.05)
        assert [event.result.message for event in monitor.results("dev")] == ["refused"]
        assert monitor.state.targets["dev"].status is HealthStatus.UNHEALTHY


async def test_history_is_bounded_and_failures_outlive_it(make_targets: MakeTargets) -> None:
    monitor = Monitor(history=3)
    async with monitor.watching(make_targets({"dev": "unhealthy"}, interval=0.05)):
        await monitor.until(lambda: len(monitor.results("dev")) >= 8)
        snapshot = monitor.state.targets["dev"]
        assert (len(snapshot.history), len(snapshot.failures)) == (3, 5)


async def test_validate_joins_the_probe_under_way(make_targets: MakeTargets, lab: Any) -> None:
    monitor = Monitor()
    targets = make_targets({"dev": {"behave": "sleep", "seconds": 0.2}}, interval=60)
    async with monitor.watching(targets):
        await monitor.until(lambda: monitor.results("dev"))
        first, second = await asyncio.gather(
            monitor.scheduler.validate("dev"), monitor.scheduler.validate("dev")
        )
        assert first is second
        assert first.trigger == "request"
        assert lab.CALLS.count("sleep") == 2
        with pytest.raises(KeyError):
            await monitor.scheduler.validate("nobody")


async def test_validating_a_hung_target_answers_at_once(
    make_targets: MakeTargets, lab: Any, within: Any
) -> None:
    monitor = Monitor()
    async with monitor.watching(make_targets({"dev": "hang"}, timeout=0.1, interval=60)):
        await monitor.until(lambda: monitor.results("dev"))
        with within(0, margin=0.5):
            result = await monitor.scheduler.validate("dev")
        assert result.error_type == "timeout"
        assert lab.CALLS == ["hang"]


async def test_the_scheduler_beats_while_idle() -> None:
    monitor = Monitor()
    async with monitor.watching({}):
        await monitor.until(lambda: monitor.state.scheduler_beat > 0)
        first = monitor.state.scheduler_beat
        await monitor.until(lambda: monitor.state.scheduler_beat > first)


async def test_a_hang_outlives_the_failure_threshold(make_targets: MakeTargets, lab: Any) -> None:
    """One timeout is all a hung validation ever reports; what was healthy must not stay so for ever."""
    monitor = Monitor()
    limits = {"interval": 0.1, "timeout": 0.1, "failure_threshold": 3}
    target = make_targets({"dev": {"behave": "turn_to_hanging"}}, **limits)
    async with monitor.watching(target):
        await monitor.until(lambda: monitor.state.targets["dev"].status is HealthStatus.HEALTHY)
        lab.HANGING.set()
        await monitor.until(lambda: monitor.skips("dev")["stuck"] >= 1)
        await monitor.until(lambda: monitor.state.targets["dev"].status is HealthStatus.UNHEALTHY)
        assert monitor.skips("dev")["stuck"] >= 2
        [judged] = [e for e in monitor.events if isinstance(e, TargetHung)]
        assert (judged.target, judged.transition.after) == ("dev", HealthStatus.UNHEALTHY)
        assert monitor.state.targets["dev"].health.consecutive_failures >= 3
        lab.FOREVER.set()


async def test_a_hang_that_degrades_goes_on_degrading(make_targets: MakeTargets, lab: Any) -> None:
    monitor = Monitor()
    limits = {"interval": 0.1, "timeout": 0.1, "failure_threshold": 2}
    async with monitor.watching(make_targets({"dev": {"behave": "hang_in_an_extension"}}, **limits)):
        await monitor.until(lambda: monitor.skips("dev")["stuck"] >= 3)
        assert monitor.state.targets["dev"].status is HealthStatus.DEGRADED
        lab.FOREVER.set()


async def test_a_stale_target_tells_of_its_return(make_targets: MakeTargets, lab: Any) -> None:
    monitor = Monitor(limit=1, per_plugin=1)
    targets = make_targets({"hung": "hang", "starved": "healthy"}, interval=0.1, timeout=0.1)
    async with monitor.watching({"starved": targets["starved"]}):
        await monitor.until(lambda: monitor.results("starved"))
        before = time.time()
        monitor.scheduler.apply(targets)
        await monitor.until(lambda: monitor.state.targets["starved"].stale)
        health = monitor.state.targets["starved"].health
        assert before <= health.since <= time.time()
        assert health.status_changes == 1
        lab.FOREVER.set()
        await monitor.until(lambda: not monitor.state.targets["starved"].stale)
    changes = [e.transition for e in monitor.results("starved") if e.transition is not None]
    assert [(c.before, c.after) for c in changes] == [
        (HealthStatus.UNKNOWN, HealthStatus.HEALTHY),
        (HealthStatus.UNKNOWN, HealthStatus.HEALTHY),
    ]


async def test_reloads_while_slots_are_short_leave_nothing_behind(
    make_targets: MakeTargets, lab: Any
) -> None:
    monitor = Monitor(limit=1, per_plugin=1)
    async with monitor.watching(make_targets({"hung": "hang"}, timeout=0.1, interval=0.1)):
        await monitor.until(lambda: monitor.results("hung"))
        before = len(asyncio.all_tasks())
        for number in range(30):
            targets = make_targets(
                {"hung": "hang", "dev": {"behave": "healthy", "number": number}}, timeout=0.1, interval=0.1
            )
            monitor.scheduler.apply(targets)
            await asyncio.sleep(0.02)
        await monitor.until(lambda: monitor.skips("dev"))
        await monitor.until(lambda: len(asyncio.all_tasks()) <= before + 2)
        lab.CALLS.clear()
        lab.FOREVER.set()
        await monitor.until(lambda: monitor.results("dev"))
        assert lab.CALLS[0] == "healthy"
        assert len(monitor.scheduler._due_queue) == 2  # only what is watched is still to come


async def test_a_target_replaced_before_its_probe_has_begun_is_not_probed(
    make_targets: MakeTargets, lab: Any
) -> None:
    monitor = Monitor(limit=1, per_plugin=1)
    async with monitor.watching(make_targets({"dev": "unhealthy"}, timeout=1, interval=600)):
        await monitor.until(lambda: monitor.results("dev"))
        lab.CALLS.clear()
        asked = asyncio.create_task(monitor.scheduler.validate("dev"))
        await asyncio.sleep(0)  # the probe's task exists and has had no turn
        assert monitor.scheduler._watched["dev"].attempt is not None
        monitor.scheduler.apply(make_targets({"dev": "healthy"}, timeout=1, interval=600))
        assert (await asked).message == "fine"
        assert set(lab.CALLS) == {"healthy"}


async def test_validate_outlives_a_reload_and_does_not_wait_for_ever(
    make_targets: MakeTargets, lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor = Monitor(limit=1, per_plugin=1)
    hung = {"hung": "hang"}
    async with monitor.watching(make_targets({**hung, "dev": "healthy", "gone": "healthy"}, timeout=0.1)):
        await monitor.until(lambda: monitor.state.stuck_workers)
        asked = [asyncio.create_task(monitor.scheduler.validate(name)) for name in ("dev", "gone")]
        await asyncio.sleep(0.05)
        monitor.scheduler.apply(make_targets({**hung, "dev": "unhealthy"}, timeout=0.1))
        with pytest.raises(KeyError):
            await asked[1]
        monkeypatch.setattr("floe_monitor.probing.scheduler.SLOT_WAIT_SECONDS", 0.2)
        with pytest.raises(NoSlotError, match="every worker for lab"):
            await monitor.scheduler.validate("dev")
        lab.FOREVER.set()
        assert (await asked[0]).message == "refused"


async def test_every_tick_of_a_hung_target_is_counted_once(make_targets: MakeTargets, lab: Any) -> None:
    """Between two moments a hung target skips exactly as many ticks as its timetable has there."""
    monitor = Monitor()
    names = [f"hung{number}" for number in range(10)]

    def counted() -> dict[str, tuple[float, int]]:
        due = {watched.target.name: moment for moment, _, watched in monitor.scheduler._due_queue._entries}
        return {name: (due[name], sum(monitor.skips(name).values())) for name in names}

    async with monitor.watching(make_targets(dict.fromkeys(names, "hang"), interval=0.1, timeout=0.05)):
        await monitor.until(lambda: all(monitor.skips(name)["stuck"] for name in names))
        before = counted()
        await anyio.sleep(1)
        after = counted()
    for name in names:
        ticks = (after[name][0] - before[name][0]) / 0.1
        assert after[name][1] - before[name][1] == round(ticks)
        assert abs(ticks - round(ticks)) < 1e-6
    assert monitor.pool.counts["lab"].stuck == 10


async def test_a_failing_target_is_probed_at_its_own_interval_until_it_is_well(
    make_targets: MakeTargets, lab: Any
) -> None:
    """An interval of a day: what comes besides the first probe comes by the failing one."""
    monitor = Monitor()
    targets = make_targets({"dev": "over_the_network"}, interval="1d", failing_interval=0.1, timeout=60)
    async with monitor.watching(targets):
        await monitor.until(lambda: monitor.results("dev"))
        assert monitor.state.targets["dev"].status is HealthStatus.HEALTHY
        lab.CUT.add("*")
        await monitor.scheduler.validate("dev")
        await monitor.until(lambda: len(monitor.results("dev")) >= 5)
        lab.CUT.clear()
        await monitor.until(lambda: monitor.state.targets["dev"].status is HealthStatus.HEALTHY)
        [watched] = monitor.scheduler._watched.values()
        assert watched.timetable is watched.usual
    triggers = [done.result.trigger for done in monitor.results("dev")]
    assert triggers.count("request") == 1
    assert triggers.count("schedule") >= 4


async def test_thousands_that_fail_at_once_stay_spread(make_targets: MakeTargets) -> None:
    targets = make_targets({f"t{n}": "unhealthy" for n in range(2000)}, interval=60, failing_interval=10)
    monitor = Monitor()
    monitor.scheduler.apply(targets)
    due = sorted(
        each.change_pace(HealthStatus.UNHEALTHY, ConnectionStatus.UNHEALTHY, 1000.0) or 0.0
        for each in monitor.scheduler._watched.values()
    )
    seconds: defaultdict[int, int] = defaultdict(int)
    for at in due:
        seconds[int(at)] += 1
    assert max(seconds.values()) < 300, "an even spread has 200 a second"
