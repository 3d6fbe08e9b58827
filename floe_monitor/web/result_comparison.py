"""What was otherwise when a target was last well: what its results say of then and of now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from floe_monitor.compute.models import ConnectionStatus
from floe_monitor.domain.timestamps import moment

if TYPE_CHECKING:
    from floe_monitor.domain.events import ProbeResult
    from floe_monitor.domain.state import TargetSnapshot

SLOWER = 3.0
"""Times as long: what is less is the weather."""
_SECONDS = 0.5
"""Shorter than that nothing is slow."""


@dataclass(frozen=True, slots=True)
class Difference:
    """`before`, when it was well, and `after`."""

    what: str
    before: str
    after: str


def changed_before(snapshot: TargetSnapshot, loaded_at: float, generation: int) -> tuple[Difference, ...]:
    """Between the last result that was healthy and the first of those since; nothing where it is healthy now,
    or no result of when it was is in memory."""
    well, ill = _edge(snapshot)
    if ill is None:
        return ()
    found = []
    if well is None:
        since = snapshot.last_success_at
        if generation > 1 and since and since < loaded_at <= ill.finished_at:
            found.append(_reloaded(loaded_at))
        return tuple(found)
    if generation > 1 and well.started_at < loaded_at <= ill.finished_at:
        found.append(_reloaded(loaded_at))
    if well.server_address and ill.server_address and well.server_address != ill.server_address:
        found.append(Difference("server", well.server_address, ill.server_address))
    found += _expiries(well, ill)
    found += _checks(well, ill)
    return tuple(found)


def _edge(snapshot: TargetSnapshot) -> tuple[ProbeResult | None, ProbeResult | None]:
    """The last healthy result, and the first of those after it."""
    first: ProbeResult | None = None
    for result in reversed(snapshot.history):
        if result.status is ConnectionStatus.HEALTHY:
            return result, first
        first = result
    return None, first


def _reloaded(loaded_at: float) -> Difference:
    return Difference("configuration", "as before", f"loaded anew {moment(loaded_at)}")


def _expiries(well: ProbeResult, ill: ProbeResult) -> list[Difference]:
    """A certificate, password or key that ends at another time is another one; one that has ended has."""
    found = []
    now = {(each.what, each.of): each.at for each in ill.expiries}
    for each in well.expiries:
        what = each.what.value.replace("_", " ")
        named = f"{what} of {each.of}" if each.of else what
        at = now.get((each.what, each.of))
        if at is not None and at != each.at:
            found.append(Difference(named, f"until {moment(each.at)}", f"until {moment(at)}"))
        elif well.finished_at < each.at <= ill.finished_at:
            found.append(Difference(named, f"until {moment(each.at)}", "has ended"))
    return found


def _checks(well: ProbeResult, ill: ProbeResult) -> list[Difference]:
    before = {check.name: check for check in well.checks}
    found = []
    for check in ill.checks:
        former = before.get(check.name)
        if former is None:
            continue
        slow = check.latency_ms / 1000 >= _SECONDS and check.latency_ms >= SLOWER * former.latency_ms
        if check.status is not former.status:
            found.append(Difference(f"check {check.name}", former.status.value, check.status.value))
        elif slow:
            found.append(
                Difference(f"check {check.name}", f"{former.latency_ms:.0f} ms", f"{check.latency_ms:.0f} ms")
            )
    reached = {check.name for check in ill.checks}
    missing = [name for name in before if name not in reached]
    if missing and reached:
        found.append(Difference("checks not reached", "passed", ", ".join(missing[:6])))
    return found
