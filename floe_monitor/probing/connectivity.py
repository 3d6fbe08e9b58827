"""Tells once when no target on the network is reached any more, and once when that is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from floe_monitor.domain.connectivity import ReachJudge
from floe_monitor.domain.events import ConnectivityLost, ConnectivityRegained

if TYPE_CHECKING:
    from collections.abc import Callable

    from floe_monitor.domain.events import ProbeResult, Publish
    from floe_monitor.domain.state import MonitorState


class ConnectivityKeeper:
    """For the event loop's thread only."""

    def __init__(self, state: MonitorState, publish: Publish, clock: Callable[[], float]) -> None:
        self._state = state
        self._publish = publish
        self._clock = clock
        self._judge = ReachJudge()
        self._lost_since: float | None = None

    def apply(self, restarted: set[str]) -> None:
        """After the state's targets were replaced; those named begin anew."""
        targets = {name: snapshot.target for name, snapshot in self._state.targets.items()}
        self._judge.apply(targets, restarted)
        self._tell()

    def note(self, result: ProbeResult) -> None:
        self._judge.note(result, self._clock())
        self._tell()

    def _tell(self) -> None:
        reach = self._state.reach = self._judge.reach(complete=self._state.first_round_done)
        if reach.is_lost and self._lost_since is None:
            self._lost_since = self._clock()
            self._publish(ConnectivityLost(reach.targets))
        elif not reach.is_lost and self._lost_since is not None:
            lasted, self._lost_since = self._clock() - self._lost_since, None
            self._publish(ConnectivityRegained(lasted))
