"""Of the monitors' dashboard: the configuration in force, and the profiles they keep."""

from __future__ import annotations

from deploy.grafana.panels import (
    BLUE,
    GREEN,
    RED,
    YELLOW,
    Query,
    Sized,
    lines,
    number,
    steps,
)
from deploy.grafana.selection import MONITORS, PLUGINS

GENERATION = "floe_compute_profile_generation_duration_seconds"


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
                    f"count(floe_monitor_config_last_reload_successful{{{MONITORS}}} == 0) or vector(0)",
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
                    f"max(time() - floe_monitor_config_last_reload_success_timestamp_seconds{{{MONITORS}}})",
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
                    f"count(floe_monitor_profile_in_sync{{{MONITORS}}} == 0) or vector(0)",
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
                    f"count(floe_monitor_ready{{{MONITORS}}} == 0) or vector(0)", "not ready", instant=True
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
                    f"{{{MONITORS}}}[1h]))",
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
                    f"sum by (plugin) ({GENERATION}_sum{{{PLUGINS}}}) / sum by (plugin) ({GENERATION}_count"
                    f"{{{PLUGINS}}})",
                    "{{plugin}} mean",
                ),
            ),
        ),
    ]
