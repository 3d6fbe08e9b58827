"""Where a dashboard leads: to the other two, to a target's page, to the runbook."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as models

FLEET, TARGET, MONITOR = "floe-fleet", "floe-target", "floe-monitor"
TITLES = {FLEET: "floe-monitor: fleet", TARGET: "floe-monitor: target", MONITOR: "floe-monitor: the monitor"}
RUNBOOK = "https://floe-monitor.example.com/docs/alerts.html"
PAGE = "http://{instance}/targets/{target}"

_KEPT = (
    "${__url_time_range}&${datasource:queryparam}&${cluster:queryparam}&${namespace:queryparam}&"
    "${team:queryparam}"
)


def to_target(heading: str = "Target") -> tuple[str, str]:
    """From a row of a table, whose column has that heading."""
    name = f"${{__data.fields.{heading}:percentencode}}"
    return "What happens to this target", f"/d/{TARGET}?{_KEPT}&var-target={name}"


def to_monitor(heading: str = "Monitor") -> tuple[str, str]:
    name = f"${{__data.fields.{heading}:percentencode}}"
    return "What happens to this monitor", f"/d/{MONITOR}?{_KEPT}&var-monitor={name}"


def to_page(page: str, target: str = "Target", instance: str = "Monitor") -> tuple[str, str]:
    """The page that the monitor itself has of the target: checks, history, incidents."""
    url = page.replace("{instance}", f"${{__data.fields.{instance}}}")
    return "The target's page", url.replace("{target}", f"${{__data.fields.{target}:percentencode}}")


def dashboard_links(uid: str, runbook: str) -> list[dashboard.DashboardLink]:
    others = [
        dashboard.DashboardLink(title)
        .type(models.DashboardLinkType.LINK)
        .icon("dashboard")
        .tooltip(title)
        .url(f"/d/{other}")
        .include_vars(True)
        .keep_time(True)
        for other, title in TITLES.items()
        if other != uid
    ]
    book = (
        dashboard.DashboardLink("Runbook")
        .type(models.DashboardLinkType.LINK)
        .icon("doc")
        .tooltip("What to do about each alert")
        .url(runbook)
        .target_blank(True)
    )
    return [*others, book]
