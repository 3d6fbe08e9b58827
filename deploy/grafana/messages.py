"""What the monitors hand on and keep: messages, requests that were refused, the history."""

from __future__ import annotations

from deploy.alerts.rule import MONITOR_LABELS
from deploy.grafana.panels import GREEN, RED, Query, Sized, lines, timeline, yes_or_no
from deploy.grafana.selection import MONITORS, rate


def messages() -> list[Sized]:
    """Of what does not happen at all there is no series: 0 is shown."""
    sent = rate("floe_monitor_notifications_total", MONITORS, "channel, result")
    waiting = f"sum by (channel) (floe_monitor_notifications_pending{{{MONITORS}}})"
    refused = rate("floe_monitor_http_requests_refused_total", MONITORS, "reason")
    panels = (
        (
            "Messages",
            "Per second, by channel and by what became of them.",
            "ops",
            sent,
            "{{channel}} {{result}}",
        ),
        ("Messages that wait", "Those held in quiet hours included.", "none", waiting, "{{channel}}"),
        ("Requests refused", "Per second, by the reason.", "ops", refused, "{{reason}}"),
    )
    history = timeline(
        "History",
        "Whether it is written, where one is configured; what waits is lost when memory for it is full.",
        Query(f"min by ({MONITOR_LABELS}) (floe_monitor_history_up{{{MONITORS}}})", "{{instance}}"),
        mappings=yes_or_no(f"written, {GREEN}", f"not written, {RED}"),
    )
    return [
        *(
            (6, 7, lines(title, description, unit, Query(f"{expr} or vector(0)", legend)))
            for title, description, unit, expr, legend in panels
        ),
        (6, 7, history),
    ]
