"""Which targets a page of the list shows, in which order and under which headings. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast
from urllib.parse import urlencode

from floe_monitor.domain.health import HealthStatus
from floe_monitor.web.status_summary import summarize
from floe_monitor.web.target_query import TargetQuery, unknown_word

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from floe_monitor.domain.state import TargetSnapshot
    from floe_monitor.web.status_summary import StatusSummary

ROWS = 100
"""To a page: more cannot be read, and costs the browser at every change."""

UNITS = ("days", "hours")
PARAMETERS = ("group", "past")
NO_LABEL = ""
"""The group of the targets that do not have the label."""

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


def arrange(summary: StatusSummary, query: FleetQuery) -> FleetPage:
    """Worst first; of groups the one first whose worst target is worst."""
    if query.filters:
        summary = summarize(query.targets.select(summary.snapshots))
    named = summary.by_label(query.group, NO_LABEL) if query.group else {"": summary}
    begin = query.targets.offset
    end = begin + min(query.targets.limit or ROWS, ROWS)
    groups: list[Group] = []
    rows: list[TargetSnapshot] = []
    passed = 0
    for name, each in sorted(named.items(), key=lambda item: (item[1].worst, item[0])):
        if passed < end and passed + each.total > begin:
            shown = each.worst_first(max(0, begin - passed), end - passed)
            groups.append(_group(name if query.group else None, len(groups), each, shown))
            rows += shown
        passed += each.total
    healthy = sum(snapshot.status is HealthStatus.HEALTHY for snapshot in rows)
    return FleetPage(tuple(groups), tuple(rows), summary.total, begin, healthy == len(rows))


def _group(name: str | None, number: int, summary: StatusSummary, shown: Sequence[TargetSnapshot]) -> Group:
    group = Group(name, number, [(status, count) for status, count in summary.counts if count])
    for snapshot in shown:
        (group.healthy if snapshot.status is HealthStatus.HEALTHY else group.troubled).append(snapshot)
    return group
