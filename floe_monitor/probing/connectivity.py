"""Tells once when no target on the network is reached any more, and once when that is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from floe_monitor.domain.connectivity import ReachJudge
from floe_monitor.domain.events import ConnectivityLost, ConnectivityRegained

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

    from floe_monitor.domain.events import Publish
    from floe_monitor.domain.state import MonitorState, TargetSnapshot


class ConnectivityKeeper:
    """For the event loop's thread only."""

    def __init__(self, state: MonitorState, publish: Publish, clock: Callable[[], float]) -> None:
        self._state = state
        self._publish = publish
        self._clock = clock
        self._judge = ReachJudge()
        self._lost_since: float | None = None

    def apply(self, kept: AbstractSet[str]) -> None:
        """After a change of the configuration; all but these targets are gone, or begin anew."""
        self._judge.apply(kept)
        self._announce()

    def note(self, snapshot: TargetSnapshot) -> None:
        """With its result, which has just come."""
        if snapshot.last is not None:
            server = snapshot.server_address.casefold() or snapshot.target.plugin_name
            self._judge.note(snapshot.last, server, self._clock())
        self._announce()

    def _announce(self) -> None:
        reach = self._state.reach = self._judge.reach(complete=self._state.first_round_done)
        if reach.is_lost and self._lost_since is None:
            self._lost_since = self._clock()
            self._publish(ConnectivityLost(reach.targets))
        elif not reach.is_lost and self._lost_since is not None:
            lasted, self._lost_since = self._clock() - self._lost_since, None
            self._publish(ConnectivityRegained(lasted))
