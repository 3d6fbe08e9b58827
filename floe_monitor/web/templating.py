"""The templates of the pages, and what they may call."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

from floe_monitor import __version__
from floe_monitor.domain import serialization
from floe_monitor.domain.health import HealthStatus
from floe_monitor.domain.plurals import counted
from floe_monitor.domain.timestamps import moment
from floe_monitor.web import favicon, formatters, status_bar, verdict

if TYPE_CHECKING:
    from floe_monitor.domain.state import TargetSnapshot

SYMBOLS = {
    HealthStatus.UNKNOWN: "?",
    HealthStatus.HEALTHY: "✓",
    HealthStatus.DEGRADED: "!",
    HealthStatus.UNHEALTHY: "✕",
}


def environment() -> jinja2.Environment:
    """Each rendering gives `now` (Unix seconds), `root` (the way up to `/`) and `assets` (their version)."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "clock": clock,
        "counted": counted,
        "day": day,
        "frozen": frozenset,
        "icon": favicon.icon_name,
        "json": _indented,
        "moment": moment,
        "ms": formatters.milliseconds,
        "percent": formatters.percent,
        "reason": verdict.reason,
        "results_strip": _results_strip,
        "sentence": formatters.sentence,
        "span": formatters.span,
        "thousands": formatters.thousands,
    }
    made.globals |= {
        "symbols": SYMBOLS,
        "version": __version__,
        "ago": _ago,
        "lasted": _lasted,
        "redacted_config": _configuration,
    }
    return made


def clock(at: float) -> str:
    """A moment as people plan by: `Nov 26, 17:30 UTC`."""
    known = datetime.fromtimestamp(at, UTC)
    return f"{known:%b} {known.day}, {known:%H:%M} UTC"


def day(at: float) -> str:
    known = datetime.fromtimestamp(at, UTC)
    return f"{known:%b} {known.day}"


def _results_strip(snapshot: TargetSnapshot) -> status_bar.Drawing:
    return status_bar.draw_results(snapshot, time.monotonic())


@jinja2.pass_context
def _ago(context: jinja2.runtime.Context, at: float | None) -> str:
    return formatters.ago(at, context["now"])


@jinja2.pass_context
def _lasted(context: jinja2.runtime.Context, at: float) -> str:
    return formatters.span(context["now"] - at)


def _configuration(snapshot: TargetSnapshot) -> Any:
    return serialization.target_detail(snapshot)["configuration"]


def _indented(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
