"""What one process leaves to the next: how the targets were, and which incidents were open."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from floe_monitor.domain.health import Health

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from floe_monitor.domain.incidents import Incident
    from floe_monitor.domain.state import MonitorState

LONGEST_GAP = 86_400.0
"""Seconds after which a target begins anew: what it was so long ago says nothing of the time since."""


@dataclass(frozen=True, slots=True)
class SavedTarget:
    """Times are Unix seconds. `fingerprint` is that of the configuration it was probed with."""

    fingerprint: str
    health: Health
    last_at: float
    last_success_at: float | None = None


def restore(
    state: MonitorState, targets: Mapping[str, SavedTarget], incidents: Iterable[Incident], now: float
) -> list[Incident]:
    """Continue from there; the incidents that have ended meanwhile, because their targets are gone.

    Until its first result a target's status is unknown. The result then counts as the next one after those of
    the former process: thresholds go on, and a status that is the same again has lasted since it began.
    """
    for name, snapshot in state.targets.items():
        known = targets.get(name)
        if known is None or known.fingerprint != snapshot.target.fingerprint or snapshot.last is not None:
            continue
        if now - known.last_at <= LONGEST_GAP:
            state.targets[name] = replace(
                snapshot, health=known.health, last_success_at=known.last_success_at, awaited=True
            )
    log = state.incidents
    log.restore(incidents)
    present = {snapshot.target.fingerprint for snapshot in state.targets.values()}
    changed: list[Incident] = []
    for name in log.members():
        if name not in state.targets:
            incident = log.of(name)
            renamed = incident is not None and incident.members[name].fingerprint in present
            changed += log.left(name, now, "renamed" if renamed else "removed")
    return changed
