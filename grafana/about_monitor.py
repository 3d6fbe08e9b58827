"""The rows on the monitor itself: its schedule, its workers, its configuration and the profiles it keeps."""

from __future__ import annotations

from kinds import (
    BLUE,
    GREEN,
    INSTANCE,
    PLUGIN,
    RED,
    YELLOW,
    Query,
    Sized,
    lines,
    number,
    quantile,
    rate,
    steps,
)

GENERATION = "floe_compute_profile_generation_duration_seconds"
LAG, WAIT = "floe_monitor_schedule_lag_seconds", "floe_monitor_slot_wait_seconds"


def ours(expr: str) -> str:
    """A metric every process has, of floe-monitor's processes alone."""
    return f"{expr} and on (job, instance) floe_monitor_build_info{{{INSTANCE}}}"


def itself() -> list[Sized]:
    return [
        (
            8,
            8,
            lines(
                "Schedule lag",
                "From the time of a tick to its start.",
                "s",
                *(Query(quantile(q, LAG, INSTANCE), name) for q, name in ((0.5, "median"), (0.99, "99 %"))),
            ),
        ),
        (
            8,
            8,
            lines(
                "Wait for a slot",
                "Part of neither a probe's duration nor its deadline. It grows where the limits are tight.",
                "s",
                *(Query(quantile(q, WAIT, INSTANCE), name) for q, name in ((0.5, "median"), (0.99, "99 %"))),
            ),
        ),
        (
            8,
            8,
            lines(
                "Workers",
                "Slots taken, and how many of those are held by workers past their deadline.",
                "none",
                Query(f"sum by (plugin) (floe_monitor_workers_busy{{{PLUGIN}}})", "{{plugin}} busy"),
                Query(f"sum by (plugin) (floe_monitor_workers_stuck{{{PLUGIN}}})", "{{plugin}} stuck"),
                Query(f"sum by (plugin) (floe_monitor_workers_limit{{{PLUGIN}}})", "{{plugin}} limit"),
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
                    rate("floe_monitor_probes_skipped_total", PLUGIN, "plugin, reason"),
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
                Query(rate("floe_monitor_late_returns_total", PLUGIN, "plugin"), "{{plugin}} late"),
                Query(rate("floe_monitor_sink_dropped_total", INSTANCE, "sink"), "{{sink}} dropped"),
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
                    f"max by (instance) (floe_monitor_scheduler_beat_age_seconds{{{INSTANCE}}})",
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
                Query(ours("rate(process_cpu_seconds_total[$__rate_interval])"), "{{instance}}"),
            ),
        ),
        (
            12,
            7,
            lines(
                "Resident memory",
                "Of the monitors, drivers included.",
                "bytes",
                Query(ours("process_resident_memory_bytes"), "{{instance}}"),
            ),
        ),
    ]


def configuration() -> list[Sized]:
    return [
        (
            6,
            6,
            number(
                "Configuration refused",
                "Monitors that refused their last configuration and go on with the one before.",
                "none",
                steps((None, GREEN), (1, RED)),
                Query(
                    f"count(floe_monitor_config_last_reload_successful{{{INSTANCE}}} == 0) or vector(0)",
                    "refused",
                    instant=True,
                ),
            ),
        ),
        (
            6,
            6,
            number(
                "Configuration in force since",
                "Age of the oldest configuration in force.",
                "s",
                steps((None, BLUE)),
                Query(
                    f"max(time() - floe_monitor_config_last_reload_success_timestamp_seconds{{{INSTANCE}}})",
                    "age",
                    instant=True,
                ),
            ),
        ),
        (
            6,
            6,
            number(
                "Profiles out of step",
                "Profiles in profiles.yml that are not what the configuration says.",
                "none",
                steps((None, GREEN), (1, RED)),
                Query(
                    f"count(floe_monitor_profile_in_sync{{{INSTANCE}}} == 0) or vector(0)",
                    "out of step",
                    instant=True,
                ),
            ),
        ),
        (
            6,
            6,
            number(
                "Not ready",
                "Monitors whose first round of probes is not complete.",
                "none",
                steps((None, GREEN), (1, YELLOW)),
                Query(
                    f"count(floe_monitor_ready{{{INSTANCE}}} == 0) or vector(0)", "not ready", instant=True
                ),
            ),
        ),
        (
            12,
            7,
            lines(
                "Rewrites of profiles.yml",
                "In the last hour, by how each attempt ended.",
                "none",
                Query(
                    "sum by (profile, result) (increase(floe_monitor_profile_writes_total"
                    f"{{{INSTANCE}}}[1h]))",
                    "{{profile}} {{result}}",
                ),
            ),
        ),
        (
            12,
            7,
            lines(
                "Generating a profile's output",
                "How long plugins take to generate one dbt output, on average since the start: a rate "
                "would mostly be of nothing.",
                "s",
                Query(
                    f"sum by (plugin) ({GENERATION}_sum{{{PLUGIN}}}) / sum by (plugin) ({GENERATION}_count"
                    f"{{{PLUGIN}}})",
                    "{{plugin}} mean",
                ),
            ),
        ),
    ]
