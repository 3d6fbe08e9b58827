"""The rows of the list as HTML, kept while what they show stays the same: of the hundred on a page a few have
changed since it was last asked for, by whichever viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from floe_monitor.web.formatters import span

if TYPE_CHECKING:
    from collections.abc import Callable

    import jinja2
    from markupsafe import Markup

    from floe_monitor.domain.events import ProbeResult
    from floe_monitor.domain.state import TargetSnapshot
    from floe_monitor.domain.targets import Target
    from floe_monitor.web.status_bar import Drawing

KEPT = 1_000
"""Of some kilobytes each; those made longest ago go first."""


class _Row(NamedTuple):
    """`shown`: what it shows besides, which is compared by value."""

    target: Target
    last: ProbeResult | None
    shown: tuple[object, ...]
    html: Markup


class RenderedRows:
    """Of each row the last result is kept, and not the whole snapshot: that of a target which nobody looks at
    any more would keep all results of its time in memory."""

    def __init__(self, templates: jinja2.Environment, kept: int = KEPT) -> None:
        self._templates = templates
        self._kept = kept
        self._known: dict[str, _Row] = {}

    def render(self, snapshot: TargetSnapshot, drawing: Drawing, now: float) -> Markup:
        target, last, since = snapshot.target, snapshot.last, snapshot.since
        lasted = span(now - since) if since else ""
        shown = snapshot.status, since, snapshot.stale, snapshot.maintenance, drawing, lasted
        known = self._known.pop(target.name, None)
        if known is None or known.target is not target or known.last is not last or known.shown != shown:
            known = _Row(target, last, shown, self._macro(snapshot, drawing, lasted))
        self._known[target.name] = known
        while len(self._known) > self._kept:
            self._known.pop(next(iter(self._known)), None)
        return known.html

    @property
    def _macro(self) -> Callable[[TargetSnapshot, Drawing, str], Markup]:
        module = self._templates.get_template("row.html").module
        return cast("Callable[[TargetSnapshot, Drawing, str], Markup]", vars(module)["row"])
