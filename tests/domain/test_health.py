"""Thresholds and transitions, over every order of results."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from floe_monitor.compute.models import ConnectionStatus
from floe_monitor.domain.health import Health, HealthStatus, Thresholds, advance

H, D, U = ConnectionStatus.HEALTHY, ConnectionStatus.DEGRADED, ConnectionStatus.UNHEALTHY

results = st.lists(st.sampled_from(list(ConnectionStatus)), max_size=40)
thresholds = st.builds(Thresholds, failure=st.integers(1, 5), success=st.integers(1, 5))
windowed = st.builds(
    lambda failure, more, success, longer: Thresholds(failure, success, failure + more, success + longer),
    *[st.integers(1, 4), st.integers(0, 4)] * 2,
)


def walk(observed: list[ConnectionStatus], limits: Thresholds) -> list[Health]:
    health, seen = Health(), []
    for at, status in enumerate(observed, start=1):
        health, _ = advance(health, status, float(at), limits)
        seen.append(health)
    return seen


@given(results)
def test_thresholds_of_one_follow_every_result(observed: list[ConnectionStatus]) -> None:
    statuses = [health.status for health in walk(observed, Thresholds())]
    assert statuses == [HealthStatus.of(status) for status in observed]


@given(results, thresholds)
def test_a_status_is_only_ever_one_that_was_observed(
    observed: list[ConnectionStatus], limits: Thresholds
) -> None:
    for count, health in enumerate(walk(observed, limits), start=1):
        seen = {HealthStatus.of(status) for status in observed[:count]}
        assert health.status in seen | {HealthStatus.UNKNOWN}


@given(results, thresholds)
def test_it_never_gets_worse_on_fewer_results_than_the_threshold(
    observed: list[ConnectionStatus], limits: Thresholds
) -> None:
    before = HealthStatus.UNKNOWN
    for count, health in enumerate(walk(observed, limits), start=1):
        if health.status > before and (before.is_up or not health.status.is_up):
            last = [HealthStatus.of(status) for status in observed[max(0, count - limits.failure) : count]]
            assert len(last) == limits.failure
            assert min(last) >= health.status
        before = health.status


@given(results, thresholds)
def test_it_never_recovers_on_fewer_results_than_the_threshold(
    observed: list[ConnectionStatus], limits: Thresholds
) -> None:
    before = HealthStatus.UNKNOWN
    for count, health in enumerate(walk(observed, limits), start=1):
        if before is not HealthStatus.UNKNOWN and health.status < before:
            last = [HealthStatus.of(status) for status in observed[max(0, count - limits.success) : count]]
            assert len(last) == limits.success
            assert max(last) <= health.status
        before = health.status


@given(results, thresholds)
def test_a_window_as_long_as_its_threshold_means_in_a_row(
    observed: list[ConnectionStatus], limits: Thresholds
) -> None:
    same = Thresholds(limits.failure, limits.success, limits.failure, limits.success)
    statuses = [health.status for health in walk(observed, limits)]
    assert [health.status for health in walk(observed, same)] == statuses


@given(results, windowed)
def test_every_change_is_borne_by_enough_results_of_the_window_and_by_the_last(
    observed: list[ConnectionStatus], limits: Thresholds
) -> None:
    before = HealthStatus.UNKNOWN
    for count, health in enumerate(walk(observed, limits), start=1):
        seen = [HealthStatus.of(status) for status in observed[:count]]
        after = health.status
        if after > before and before is not HealthStatus.UNKNOWN:
            assert seen[-1] >= after
            assert sum(each >= after for each in seen[-limits.failure_window :]) >= limits.failure
        if after < before:
            assert seen[-1] <= after
            assert sum(each <= after for each in seen[-limits.success_window :]) >= limits.success
        before = after


@given(results, windowed)
def test_enough_results_of_the_window_always_bring_the_change(
    observed: list[ConnectionStatus], limits: Thresholds
) -> None:
    """Told without the order of statuses: every result is UNHEALTHY or not."""
    observed = [H if status is D else status for status in observed]
    down: bool | None = None
    for count, health in enumerate(walk(observed, limits), start=1):
        failures = observed[max(0, count - limits.failure_window) : count].count(U)
        successes = observed[max(0, count - limits.success_window) : count].count(H)
        if observed[count - 1] is U and failures >= limits.failure:
            down = True
        elif observed[count - 1] is H and successes >= limits.success:
            down = False
        expected = {None: HealthStatus.UNKNOWN, True: HealthStatus.UNHEALTHY, False: HealthStatus.HEALTHY}
        assert health.status is expected[down]


@given(results, windowed, st.sampled_from(list(ConnectionStatus)))
def test_equal_results_settle_a_window_too(
    observed: list[ConnectionStatus], limits: Thresholds, final: ConnectionStatus
) -> None:
    settled = [*observed, *[final] * max(limits.failure_window, limits.success_window)]
    assert walk(settled, limits)[-1].status is HealthStatus.of(final)


def test_three_of_five_need_not_be_in_a_row() -> None:
    statuses = [h.status for h in walk([H, U, H, U, H, U, H], Thresholds(3, 1, 5))]
    assert statuses == [*[HealthStatus.HEALTHY] * 5, HealthStatus.UNHEALTHY, HealthStatus.HEALTHY]


@given(results, thresholds, st.sampled_from(list(ConnectionStatus)))
def test_enough_equal_results_always_settle_it(
    observed: list[ConnectionStatus], limits: Thresholds, final: ConnectionStatus
) -> None:
    settled = [*observed, *[final] * max(limits.failure, limits.success)]
    assert walk(settled, limits)[-1].status is HealthStatus.of(final)


@given(results, thresholds)
def test_transitions_and_since_tell_the_same_story(
    observed: list[ConnectionStatus], limits: Thresholds
) -> None:
    health, changes = Health(), 0
    for at, status in enumerate(observed, start=1):
        after, transition = advance(health, status, float(at), limits)
        assert (transition is not None) == (after.status is not health.status)
        if transition is not None:
            assert (transition.before, transition.after) == (health.status, after.status)
            assert after.since == transition.at == float(at)
            assert transition.lasted == (at - health.since if health.since else 0.0)
            changes += transition.before is not HealthStatus.UNKNOWN
        else:
            assert after.since == health.since
        health = after
    assert health.status_changes == changes


@given(results, thresholds)
def test_counters_count_the_tail(observed: list[ConnectionStatus], limits: Thresholds) -> None:
    for count, health in enumerate(walk(observed, limits), start=1):
        tail = observed[:count][::-1]
        failures = next((i for i, status in enumerate(tail) if status is not U), len(tail))
        successes = next((i for i, status in enumerate(tail) if status is U), len(tail))
        assert health.consecutive_failures == failures
        assert health.consecutive_successes == successes


def test_a_blip_below_the_threshold_changes_nothing() -> None:
    statuses = [h.status for h in walk([H, U, U, H, U, U, U, H], Thresholds(failure=3))]
    assert statuses == [HealthStatus.HEALTHY] * 6 + [HealthStatus.UNHEALTHY, HealthStatus.HEALTHY]


def test_a_worse_status_is_the_mildest_of_the_failures_in_a_row() -> None:
    assert walk([H, D, U], Thresholds(failure=2))[-1].status is HealthStatus.DEGRADED


def test_unknown_is_left_by_the_thresholds_too() -> None:
    assert walk([U, U], Thresholds(failure=3))[-1].status is HealthStatus.UNKNOWN
    assert walk([H], Thresholds(success=2))[-1].status is HealthStatus.UNKNOWN
    assert walk([H, H], Thresholds(success=2))[-1].status is HealthStatus.HEALTHY
