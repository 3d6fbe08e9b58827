from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from floe_monitor.domain.connectivity import Reach
from floe_monitor.domain.liveness import LivenessLimits, liveness, readiness
from floe_monitor.domain.state import ConfigStatus, MonitorState
from floe_monitor.domain.worker_counts import WorkerCounts

LIMITS = LivenessLimits(stuck=3, beat_age=15.0)


def state(beat: float = 100.0, **stuck: int) -> MonitorState:
    made = MonitorState(started_at=1.0, config=ConfigStatus(1.0, 1.0), scheduler_beat=beat)
    made.workers = {name: WorkerCounts(busy=count, stuck=count, limit=16) for name, count in stuck.items()}
    return made


def test_a_beating_scheduler_with_few_stuck_workers_is_alive() -> None:
    assert liveness(state(duckdb=2), 110.0, LIMITS).ok


def test_a_scheduler_that_stopped_is_named_with_its_age() -> None:
    verdict = liveness(state(), 130.0, LIMITS)
    assert verdict.reasons == ("the scheduler has made no progress for 30.0 s (limit 15 s)",)


def test_before_the_first_beat_the_age_counts_from_the_start() -> None:
    assert liveness(state(beat=0.0), 1_000_010.0, LIMITS, started=1_000_000.0).ok
    assert not liveness(state(beat=0.0), 1_000_016.0, LIMITS, started=1_000_000.0).ok


def test_stuck_workers_at_the_limit_are_named_by_plugin() -> None:
    verdict = liveness(state(duckdb=2, postgres=1), 100.0, LIMITS)
    assert verdict.reasons == ("3 stuck workers (limit 3): duckdb: 2, postgres: 1",)


def test_one_stuck_worker_is_no_plural() -> None:
    verdict = liveness(state(duckdb=1), 100.0, LivenessLimits(stuck=1))
    assert verdict.reasons == ("1 stuck worker (limit 1): duckdb: 1",)


def test_every_reason_is_told() -> None:
    assert len(liveness(state(duckdb=9), 200.0, LIMITS).reasons) == 2


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.integers(0, 10))
def test_it_is_alive_exactly_when_neither_limit_is_passed(beat: float, now: float, stuck: int) -> None:
    expected = now - beat <= LIMITS.beat_age and stuck < LIMITS.stuck
    assert liveness(state(beat, duckdb=stuck), now, LIMITS).ok is expected


def test_ready_after_the_first_round() -> None:
    made = state()
    assert not readiness(made).ok
    made.first_round_done = True
    assert readiness(made).ok


def test_ready_once_every_profile_was_looked_at() -> None:
    made = state()
    made.first_round_done = True
    made.awaited_profiles = frozenset({"shop", "lake"})
    assert readiness(made).reasons == ("profiles not yet reconciled: lake, shop",)
    assert not made.ready


def test_a_monitor_that_is_cut_off_says_so_and_is_alive() -> None:
    cut_off = state()
    cut_off.reach = Reach(targets=4, addresses=3, unreached=4, complete=True)
    verdict = liveness(cut_off, 100.0, LIMITS)
    assert verdict.ok
    assert verdict.remarks == ("the monitor's own connectivity: none of 4 targets on the network is reached",)
