"""Which targets a page of the list shows, in which order and under which headings. Pure functions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast
from urllib.parse import urlencode

from floe_monitor.domain.health import HealthStatus
from floe_monitor.web.target_query import TargetQuery, unknown_word
from floe_monitor.web.verdict import WORST_FIRST

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from floe_monitor.domain.state import TargetSnapshot

ROWS = 100
"""To a page: more cannot be read, and costs the browser at every change."""

UNITS = ("days", "hours")
PARAMETERS = ("group", "past")
NO_LABEL = ""
"""The group of the targets that do not have the label."""

_RANK = {status: rank for rank, status in enumerate(WORST_FIRST)}
_LISTED = 200
"""Plugins, label keys and values offered at most: of more a list is no help."""


@dataclass(frozen=True, slots=True)
class FleetQuery:
    """`group`: the label by which targets are grouped. `past`: what each strip shows, None for what fits."""

    targets: TargetQuery
    items: tuple[tuple[str, str], ...] = ()
    group: str = ""
    past: Literal["days", "hours"] | None = None

    @classmethod
    def parse(cls, items: Sequence[tuple[str, str]]) -> FleetQuery:
        """`ProblemError` 400 names what is not understood and what is near it."""
        own = {key: value.strip() for key, value in items if key in PARAMETERS}
        past = own.get("past") or None
        if past not in (None, *UNITS):
            raise unknown_word("past", past, UNITS)
        kept = tuple((key, value) for key, value in items if value)
        parsed = TargetQuery.parse(items, ignore=PARAMETERS)
        return cls(parsed, kept, own.get("group", ""), cast("Literal['days', 'hours'] | None", past))

    @property
    def label_text(self) -> str:
        labels = self.targets.labels
        return ",".join(key if value is None else f"{key}={value}" for key, value in labels)

    @property
    def filters(self) -> bool:
        known = self.targets
        return bool(known.search or known.statuses or known.plugins or known.labels)

    def link(self, **changes: str | int | None) -> str:
        """The address of this list with other parameters; of another list the first page."""
        kept = [(key, value) for key, value in self.items if key not in changes and key != "offset"]
        asked = urlencode([*kept, *((key, str(value)) for key, value in changes.items() if value)])
        return f"?{asked}" if asked else "./"


@dataclass(slots=True)
class Group:
    """`number` finds it on the page. Its counts are of all its targets, on whatever page."""

    name: str | None
    number: int
    counts: list[tuple[HealthStatus, int]]
    troubled: list[TargetSnapshot] = field(default_factory=list)
    healthy: list[TargetSnapshot] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class FleetPage:
    """`unfolded`: there is nothing to look at before those that are healthy."""

    groups: tuple[Group, ...]
    rows: tuple[TargetSnapshot, ...]
    found: int
    offset: int
    unfolded: bool

    @property
    def earlier(self) -> int | None:
        return max(0, self.offset - ROWS) if self.offset else None

    @property
    def later(self) -> int | None:
        end = self.offset + len(self.rows)
        return end if end < self.found else None


@dataclass(frozen=True, slots=True)
class Choices:
    """What the filters offer."""

    plugins: tuple[str, ...]
    groups: tuple[str, ...]
    labels: tuple[str, ...]


def choices(snapshots: Iterable[TargetSnapshot]) -> Choices:
    plugins: set[str] = set()
    labels: set[tuple[str, str]] = set()
    for snapshot in snapshots:
        plugins.add(snapshot.target.plugin_name)
        labels.update(snapshot.target.labels.items())
    keys = sorted({key for key, _ in labels})
    pairs = [f"{key}={value}" for key, value in sorted(labels)]
    return Choices(tuple(sorted(plugins)[:_LISTED]), tuple(keys[:_LISTED]), tuple(pairs[:_LISTED]))


def arrange(snapshots: Sequence[TargetSnapshot], query: FleetQuery) -> FleetPage:
    """Worst first; of groups the one first whose worst target is worst."""
    found = query.targets.select(snapshots)
    key = query.group
    counts: dict[str, Counter[HealthStatus]] = {}
    for snapshot in found if key else ():
        counts.setdefault(_value(snapshot, key), Counter())[snapshot.status] += 1
    worst = {name: min(map(_RANK.__getitem__, statuses)) for name, statuses in counts.items()}

    def order(snapshot: TargetSnapshot) -> tuple[int, str, int, bool]:
        rank = _RANK[snapshot.status]
        name = _value(snapshot, key) if key else ""
        return worst.get(name, 0), name, rank, snapshot.maintenance is not None

    found.sort(key=order if key else lambda each: (_RANK[each.status], each.maintenance is not None))
    offset = query.targets.offset
    rows = tuple(found[offset : offset + min(query.targets.limit or ROWS, ROWS)])
    groups: dict[str, Group] = {}
    for snapshot in rows:
        name = _value(snapshot, key) if key else ""
        group = groups.get(name)
        if group is None:
            each = counts.get(name, Counter())
            shown = [(status, each[status]) for status in WORST_FIRST if each[status]]
            group = groups[name] = Group(name if key else None, len(groups), shown)
        (group.healthy if snapshot.status is HealthStatus.HEALTHY else group.troubled).append(snapshot)
    healthy = sum(snapshot.status is HealthStatus.HEALTHY for snapshot in rows)
    return FleetPage(tuple(groups.values()), rows, len(found), offset, healthy == len(rows))


def _value(snapshot: TargetSnapshot, key: str) -> str:
    return snapshot.target.labels.get(key, NO_LABEL)
