"""The monitors: their schedule, workers, exporters, configuration, shards, and the profiles they keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy.alerts.rule import MONITOR_LABELS
from deploy.grafana.board import build
from deploy.grafana.configuration import configuration
from deploy.grafana.links import MONITOR
from deploy.grafana.messages import messages
from deploy.grafana.panels import (
    GREEN,
    GREY,
    RED,
    YELLOW,
    Query,
    Sized,
    alert_list,
    lines,
    number,
    steps,
    timeline,
    words,
    yes_or_no,
)
from deploy.grafana.selection import MONITORS, PLUGINS, ours, quantile, rate
from deploy.grafana.tables import Column, grid

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

    from deploy.grafana.parameters import Parameters

LAG, WAIT = "floe_monitor_schedule_lag_seconds", "floe_monitor_slot_wait_seconds"


def monitor(parameters: Parameters) -> Dashboard:
    return build(
        MONITOR,
        "The monitors themselves: whether they probe in time, reach the network, and lose nothing.",
        {
            "Now": now(),
            "Probing": itself(),
            "Configuration and profiles": configuration(),
            "Messages, requests, history": messages(),
            "Alerts": [(24, 8, alert_list("Alerts", "With what is wrong, and the runbook."))],
        },
        runbook=parameters.runbook_url,
    )


def now() -> list[Sized]:
    def own(metric: str) -> str:
        return f"max by ({MONITOR_LABELS}) ({metric}{{{MONITORS}}})"

    watched = f"count by ({MONITOR_LABELS}) (floe_compute_target_status{{{MONITORS}}})"
    started = ours(f"process_start_time_seconds{{{MONITORS}}}")
    table = grid(
        "Monitors",
        "Each daemon that answers. Shards and all targets of the configuration where it is divided.",
        {"instance": "Monitor", "cluster": "Cluster", "namespace": "Namespace"},
        (
            Column(
                "Version",
                f"max by ({MONITOR_LABELS}, version) (floe_monitor_build_info{{{MONITORS}}})",
                label="version",
            ),
            Column(
                "Shard",
                f"max by ({MONITOR_LABELS}, shard) (floe_monitor_shard_info{{{MONITORS}}})",
                label="shard",
            ),
            Column("Targets", watched, "none"),
            Column("Of all", own("floe_monitor_configured_targets"), "none"),
            Column("Open incidents", own("floe_compute_incidents_open"), "none"),
            Column("Up for", f"time() - max by ({MONITOR_LABELS}) ({started})", "s"),
            Column(
                "Configuration of",
                f"1000 * {own('floe_monitor_config_last_reload_success_timestamp_seconds')}",
                "dateTimeFromNow",
            ),
        ),
        links={},
        sort="Monitor",
        descending=False,
    )
    unwatched = (
        f"sum(max by (cluster, namespace, job) (floe_monitor_configured_targets{{{MONITORS}}}) - "
        f"count by (cluster, namespace, job) (group by (cluster, namespace, job, target) "
        f"(floe_compute_target_status{{{MONITORS}}})))"
    )
    return [
        (24, 7, table),
        (
            12,
            6,
            timeline(
                "Reaches the network",
                "Whether targets on the network are reached, where three or more on two servers are watched.",
                Query(
                    f"max by ({MONITOR_LABELS}) (floe_monitor_connectivity_status{{{MONITORS}}})",
                    "{{instance}}",
                ),
                mappings=[
                    words(
                        (0, "not judged", GREY),
                        (1, "some are reached", GREEN),
                        (2, "in doubt", YELLOW),
                        (3, "none is", RED),
                    )
                ],
            ),
        ),
        (
            6,
            6,
            timeline(
                "Ready",
                "After the first full round of probes and the first look at every profile.",
                Query(f"min by ({MONITOR_LABELS}) (floe_monitor_ready{{{MONITORS}}})", "{{instance}}"),
                mappings=yes_or_no(f"ready, {GREEN}", f"not yet, {YELLOW}"),
            ),
        ),
        (
            6,
            6,
            number(
                "Targets on no shard",
                "Targets of a divided configuration that no shard that answers watches.",
                "none",
                steps((None, GREEN), (1, RED)),
                Query(f"{unwatched} or vector(0)", "unwatched", instant=True),
            ),
        ),
    ]


def itself() -> list[Sized]:
    return [
        (
            8,
            8,
            lines(
                "Schedule lag",
                "From the time of a tick to its start.",
                "s",
                *(Query(quantile(q, LAG, MONITORS), name) for q, name in ((0.5, "median"), (0.99, "99 %"))),
            ),
        ),
        (
            8,
            8,
            lines(
                "Wait for a slot",
                "Part of neither a probe's duration nor its deadline. It grows where the limits are tight.",
                "s",
                *(Query(quantile(q, WAIT, MONITORS), name) for q, name in ((0.5, "median"), (0.99, "99 %"))),
            ),
        ),
        (
            8,
            8,
            lines(
                "Workers",
                "Slots taken, and how many of those are held by workers past their deadline.",
                "none",
                Query(f"sum by (plugin) (floe_monitor_workers_busy{{{PLUGINS}}})", "{{plugin}} busy"),
                Query(f"sum by (plugin) (floe_monitor_workers_stuck{{{PLUGINS}}})", "{{plugin}} stuck"),
                Query(f"sum by (plugin) (floe_monitor_workers_limit{{{PLUGINS}}})", "{{plugin}} limit"),
            ),
        ),
        (
            8,
            8,
            lines(
                "Ticks that became no probe",
                "Per second: the last probe still running or stuck, no free slot, or woken too late.",
                "ops",
                Query(
                    rate("floe_monitor_probes_skipped_total", PLUGINS, "plugin, reason"),
                    "{{plugin}} {{reason}}",
                ),
            ),
        ),
        (
            8,
            8,
            lines(
                "Late returns and lost events",
                "Per second: workers that returned after their deadline, and events an exporter lost.",
                "ops",
                Query(rate("floe_monitor_late_returns_total", PLUGINS, "plugin"), "{{plugin}} late"),
                Query(rate("floe_monitor_sink_dropped_total", MONITORS, "sink"), "{{sink}} dropped"),
            ),
        ),
        (
            8,
            8,
            lines(
                "Age of the scheduler's last turn",
                "It turns at least once a second; /healthz fails when it does not for long.",
                "s",
                Query(
                    f"max by (instance) (floe_monitor_scheduler_beat_age_seconds{{{MONITORS}}})",
                    "{{instance}}",
                ),
            ),
        ),
        (
            12,
            7,
            lines(
                "CPU",
                "Cores used by the monitors, drivers included.",
                "none",
                Query(
                    ours(f"rate(process_cpu_seconds_total{{{MONITORS}}}[$__rate_interval])"), "{{instance}}"
                ),
            ),
        ),
        (
            12,
            7,
            lines(
                "Resident memory",
                "Of the monitors, drivers included.",
                "bytes",
                Query(ours(f"process_resident_memory_bytes{{{MONITORS}}}"), "{{instance}}"),
            ),
        ),
    ]
