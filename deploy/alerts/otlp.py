"""The same rules for metrics that came by OTLP, which Prometheus has under the same names.

Three things are different. Nothing is scraped, so that no `up` says which monitors there are: it is recorded
from what they send. A series that is not sent any more is not marked as ended, and a query would find its
last sample for five minutes: only those of the last exports count. And a monitor that left for good is not
told from one that is down by service discovery: it counts as down while its job has fewer than usual.
"""

from __future__ import annotations

import re
from dataclasses import replace

from deploy.alerts.rule import JOB_LABELS, MONITOR_LABELS, Alert, Group, Record

UP = "floe:monitor:up"
FRESH = "1m"
"""Four exports: what has not come for so long is gone."""
REMEMBERED = "6h"

_MEASURED = re.compile(
    r"(?<![\w:])((?:floe_(?:compute|monitor)|process)_\w+)(\{[^{}]*\})?(?!\w)(?!\s*\[)(?!\{)",
)
_UP = re.compile(r"(?<![\w:.])up(?![\w:])")


def groups(scraped: list[Group]) -> list[Group]:
    """The first of them gets the rule that all read."""
    made = [replace(group, rules=[_from_otlp(rule) for rule in group.rules]) for group in scraped]
    first, *others = made
    return [replace(first, rules=[_up(), *first.rules]), *others]


def _from_otlp(rule: Record | Alert) -> Record | Alert:
    return replace(rule, expr=expression(rule.expr))


def expression(scraped: str) -> str:
    """Of instant selectors of what a monitor sends, the last sample if it is fresh."""
    fresh = _MEASURED.sub(lambda found: f"last_over_time({found.group(0).rstrip()}[{FRESH}])", scraped)
    return _UP.sub(UP, fresh)


def _up() -> Record:
    seen = "present_over_time(floe_monitor_build_info[{}])"
    now, once = seen.format(FRESH), seen.format(REMEMBERED)
    monitors = f"count by ({JOB_LABELS}) ({now})"
    return Record(
        UP,
        f"""
        max by ({MONITOR_LABELS}) ({now})
        or
        0 * max by ({MONITOR_LABELS}) ({once})
          and on ({JOB_LABELS})
          {monitors}
          < quantile_over_time(0.5,
            {monitors}[{REMEMBERED}:1m]
          )
        or
        0 * {UP} unless on ({JOB_LABELS}) {now}""",
        "Whether a monitor sends. One that does not is down while fewer send than did for most of the last "
        "six hours: a pod that another has replaced is not. Where none of a job does, all stay down.",
    )
