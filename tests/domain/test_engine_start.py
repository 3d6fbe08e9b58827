"""How long an engine took to start, of what validations saw."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from floe_monitor.compute.models import ConnectionStatus, EngineState, ObservedState
from floe_monitor.domain.engine_start import NEVER_SEEN, EngineStart
from floe_monitor.domain.events import ProbeResult
from floe_monitor.domain.health import Health
from floe_monitor.domain.state import TargetSnapshot

if TYPE_CHECKING:
    from floe_monitor.domain.targets import Target

SUSPENDED, STARTING, RUNNING = EngineState
NOW = 1_700_000_000.0
STATES = st.lists(
    st.builds(ObservedState, st.sampled_from(EngineState), st.floats(NOW, NOW + 1e6)), max_size=20
)


def seen(*moments: tuple[EngineState, float]) -> list[ObservedState]:
    return [ObservedState(state, NOW + at) for state, at in moments]


@pytest.mark.parametrize(
    ("moments", "seconds"),
    [
        ([], None),
        ([(RUNNING, 0)], None),
        ([(SUSPENDED, 0), (RUNNING, 15)], None),
        ([(STARTING, 0)], None),
        ([(SUSPENDED, 0), (STARTING, 15), (STARTING, 30), (RUNNING, 45)], 30),
        ([(STARTING, 0), (RUNNING, 20), (SUSPENDED, 100), (STARTING, 200), (RUNNING, 207.5)], 7.5),
        ([(STARTING, 0), (RUNNING, 20), (STARTING, 100), (SUSPENDED, 160), (RUNNING, 200)], 20),
        ([(STARTING, 0), (RUNNING, 20), (STARTING, 100), (RUNNING, 90)], 20),
    ],
    ids=["nothing", "runs", "unseen", "under way", "seen", "the last", "given up", "clock set back"],
)
def test_the_last_start_that_was_seen_whole(
    moments: list[tuple[EngineState, float]], seconds: float | None
) -> None:
    assert NEVER_SEEN.after(seen(*moments)).seconds == seconds


@given(STATES, st.integers(0, 20))
def test_it_is_the_same_in_one_validation_or_in_several(states: list[ObservedState], at: int) -> None:
    assert NEVER_SEEN.after(states) == NEVER_SEEN.after(states[:at]).after(states[at:])


@given(STATES)
def test_what_is_measured_lies_between_two_moments(states: list[ObservedState]) -> None:
    took = NEVER_SEEN.after(states).seconds
    between = {
        later.at - earlier.at
        for number, earlier in enumerate(states)
        for later in states[number:]
        if (earlier.state, later.state) == (STARTING, RUNNING)
    }
    assert took is None or (took >= 0 and took in between)


def test_over_validations_and_no_longer_than_anybody_looked() -> None:
    def after(snapshot: TargetSnapshot, *moments: tuple[EngineState, float]) -> TargetSnapshot:
        states = tuple(seen(*moments))
        result = ProbeResult("dev", "lab", ConnectionStatus.HEALTHY, 0.1, NOW, "c0ffee", engine_states=states)
        return snapshot.after(result, Health(), 0, 0.0)

    starting = after(TargetSnapshot(cast("Target", None)), (STARTING, 0))
    unanswered = after(starting)
    assert unanswered.engine_start is starting.engine_start
    assert after(unanswered, (RUNNING, 40)).engine_start == EngineStart(seconds=40)
    assert after(unanswered.as_stale(NOW + 3600, 3600.0), (RUNNING, 7200)).engine_start == NEVER_SEEN
