"""What a channel has been told and what is over: values that outlive the process, and their JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from floe_monitor.domain.health import HealthStatus
from floe_monitor.notifications.notice import Notice, notice_from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

HELD_KEPT = 500
"""Notices that wait for the end of quiet hours, or for their turn; of more, the first go and are counted."""


_PREFIXES = {"incidents": "incident/", "problems": "problem/", "expiries": "expiry/"}


@dataclass(frozen=True, slots=True)
class NotifiedIncident:
    """An incident that was told, until its end is. `open` are the targets it was told of or that joined it.

    `id` is that of the incident when it was told. `clear_since`: since when none of `open` fails any more.
    """

    id: str
    began_at: float
    level: HealthStatus
    first_notified_at: float
    notified_at: float
    open: tuple[str, ...]
    total: int
    targets: tuple[str, ...] = ()
    cause: str = ""
    count: int = 1
    clear_since: float | None = None
    became: tuple[str, ...] = ()
    """Ids of others that were told and have become this one."""


@dataclass(frozen=True, slots=True)
class NotifiedProblem:
    """A problem of the monitor's own that was told."""

    kind: str
    began_at: float
    notified_at: float
    text: str
    count: int = 1
    clear_since: float | None = None


@dataclass(frozen=True, slots=True)
class NotifiedExpiry:
    """An end that was told. `stage`: 1 near, 2 within a day, 3 over."""

    at: float
    stage: int
    notified_at: float


@dataclass(frozen=True, slots=True)
class Ledger:
    """Of one channel. `waiting`, since when what is not told yet is seen, ends with the process."""

    incidents: Mapping[str, NotifiedIncident] = field(default_factory=dict)
    problems: Mapping[str, NotifiedProblem] = field(default_factory=dict)
    expiries: Mapping[str, NotifiedExpiry] = field(default_factory=dict)
    held: tuple[Notice, ...] = ()
    held_dropped: int = 0
    waiting: Mapping[str, float] = field(default_factory=dict)

    def hold(self, notices: tuple[Notice, ...]) -> Ledger:
        held = (*self.held, *notices)
        over = max(0, len(held) - HELD_KEPT)
        return replace(self, held=held[over:], held_dropped=self.held_dropped + over)


def ledger_rows(ledger: Ledger) -> dict[str, Any]:
    """All of them, by key."""
    rows: dict[str, Any] = {}
    for kind, prefix in _PREFIXES.items():
        rows.update((prefix + key, asdict(each)) for key, each in getattr(ledger, kind).items())
    if ledger.held or ledger.held_dropped:
        rows["held"] = {"dropped": ledger.held_dropped, "notices": [to_json(each) for each in ledger.held]}
    return rows


def ledger_changes(before: Ledger, after: Ledger) -> tuple[dict[str, Any], list[str]]:
    """The rows that have changed, and the keys of those that are gone."""
    put: dict[str, Any] = {}
    gone: list[str] = []
    for kind in ("incidents", "problems", "expiries"):
        former, later = getattr(before, kind), getattr(after, kind)
        if former is later:
            continue
        prefix = _PREFIXES[kind]
        put.update((prefix + key, asdict(each)) for key, each in later.items() if former.get(key) != each)
        gone += [prefix + key for key in former.keys() - later.keys()]
    if (before.held, before.held_dropped) != (after.held, after.held_dropped):
        row = ledger_rows(Ledger(held=after.held, held_dropped=after.held_dropped))
        put.update(row)
        gone += [] if row else ["held"]
    return put, gone


def ledger_from_rows(rows: Mapping[str, Any]) -> Ledger:
    """What cannot be read is passed over: it is told again, rather than never."""
    incidents: dict[str, NotifiedIncident] = {}
    problems: dict[str, NotifiedProblem] = {}
    expiries: dict[str, NotifiedExpiry] = {}
    held: list[Notice] = []
    dropped = 0
    for row, body in rows.items():
        kind, _, key = row.partition("/")
        try:
            match kind:
                case "incident":
                    incidents[key] = _incident(body)
                case "problem":
                    problems[key] = NotifiedProblem(**body)
                case "expiry":
                    expiries[key] = NotifiedExpiry(
                        float(body["at"]), int(body["stage"]), float(body["notified_at"])
                    )
                case "held":
                    dropped = int(body["dropped"])
                    found = (notice_from_json(each) for each in body["notices"])
                    held = [each for each in found if each is not None]
        except (TypeError, ValueError, KeyError):
            continue
    return Ledger(incidents, problems, expiries, tuple(held), dropped)


def _incident(body: Any) -> NotifiedIncident:
    notified = NotifiedIncident(**body)
    return replace(
        notified,
        level=HealthStatus(notified.level),
        open=tuple(map(str, notified.open)),
        targets=tuple(map(str, notified.targets)),
        became=tuple(map(str, notified.became)),
    )
