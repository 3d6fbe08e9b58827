"""One target, or a few: what each monitor sees, which check fails, why, its times, its service level."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy.alerts.rule import TARGET_LABELS
from deploy.grafana.board import build
from deploy.grafana.links import TARGET, to_monitor, to_page
from deploy.grafana.panels import (
    BLUE,
    GREEN,
    GREY,
    RED,
    STATUS_STEPS,
    YELLOW,
    Panel,
    Query,
    Sized,
    alert_list,
    lines,
    number,
    status_mapping,
    steps,
    timeline,
    yes_or_no,
)
from deploy.grafana.selection import BOTH, BUDGET_LEFT, INFO, STATUS, UPTIME, VERDICT, at_most, existing, of
from deploy.grafana.tables import Column, grid

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

    from deploy.grafana.parameters import Parameters

SEEN = f"{TARGET_LABELS}, instance"


def target(parameters: Parameters) -> Dashboard:
    return build(
        TARGET,
        "What happens to a target: as each monitor sees it, check by check, over time.",
        {
            "Now": now(parameters),
            "What fails, and why": failures(),
            "How long it takes": durations(),
            "Service level": service_level(),
            "Alerts": [(24, 8, alert_list("Alerts", "With what is wrong, the target's page, the runbook."))],
        },
        runbook=parameters.runbook_url,
        one="target",
    )


def now(parameters: Parameters) -> list[Sized]:
    return [
        (
            6,
            4,
            number(
                "Status",
                "As more than half of the monitors see it.",
                "none",
                steps(*STATUS_STEPS),
                Query(VERDICT, "{{target}}", instant=True),
            ).mappings(status_mapping()),
        ),
        (
            6,
            4,
            number(
                "Uptime",
                "Share of the time range in which dbt could work with it, maintenance left out.",
                "percentunit",
                steps((None, RED), (0.95, YELLOW), (0.99, GREEN)),
                Query(UPTIME, "{{target}}", instant=True),
            ).decimals(3),
        ),
        (
            6,
            4,
            number(
                "Error budget left",
                "Of what its objective allows to fail in the time range; below 0 more has failed.",
                "percentunit",
                steps((None, RED), (0, YELLOW), (0.25, GREEN)),
                Query(BUDGET_LEFT, "{{target}}", instant=True),
            ).decimals(1),
        ),
        (
            6,
            4,
            number(
                "Maintenance ends in",
                "Of the window that it is in now; 0 outside of any.",
                "s",
                steps((None, GREY), (1, BLUE)),
                Query(
                    f"max({at_most(of('floe_compute_target_maintenance_end_timestamp_seconds'))} - time()) "
                    "or vector(0)",
                    "until the end",
                    instant=True,
                ),
            ),
        ),
        (24, 8, seen_by(parameters)),
    ]


def seen_by(parameters: Parameters) -> Panel:
    def each(expr: str) -> str:
        return existing(f"max by ({BOTH}) ({expr})")

    newest = of("floe_compute_target_last_validation_timestamp_seconds")
    success = of("floe_compute_target_last_success_timestamp_seconds")
    reason = f"count by ({BOTH}, error_type) ({of('floe_compute_target_error')})"
    changes = f"increase({of('floe_compute_target_status_changes_total')}[24h])"
    columns = (
        Column("Status", each(STATUS), status=True),
        Column("Reason", existing(reason), label="error_type"),
        Column("Server", f"max by ({BOTH}, server_address) ({INFO})", label="server_address"),
        Column("Team", f"max by ({BOTH}, label_team) ({INFO})", label="label_team"),
        Column("Last validation", f"time() - {each(newest)}", "s"),
        Column("Last success", f"time() - {each(success)}", "s"),
        Column("Duration", each(of("floe_compute_target_last_duration_seconds")), "s"),
        Column("Interval", each(of("floe_compute_target_interval_seconds")), "s"),
        Column("Failures in a row", each(of("floe_compute_target_consecutive_failures")), "none"),
        Column("Changes, 24 h", each(changes), "none", decimals=0),
    )
    return grid(
        "As each monitor sees it",
        "Where they differ, look for the fault near the one that sees it ill. No “Last success”: none since "
        "that monitor started.",
        {"target": "Target", "plugin": "Plugin", "instance": "Monitor"},
        columns,
        links={
            "Target": [to_page(parameters.page_url)],
            "Monitor": [to_monitor(), to_page(parameters.page_url)],
        },
        sort="Status",
    )


def failures() -> list[Sized]:
    return [
        (
            24,
            7,
            timeline(
                "Status as each monitor sees it",
                "Each monitor's own verdict, smoothed by the target's thresholds.",
                Query(existing(f"max by ({SEEN}) ({STATUS})"), "{{target}} {{instance}}"),
            ),
        ),
        (
            24,
            7,
            timeline(
                "Checks",
                "Each step of the validations, as the monitor that sees it worst: which of them fails.",
                Query(
                    at_most(of("floe_compute_target_check_status"), f"{TARGET_LABELS}, check"),
                    "{{target}} {{check}}",
                ),
            ),
        ),
        (
            12,
            7,
            timeline(
                "Reasons",
                "Why the last validation found something wrong, while it did.",
                Query(
                    at_most(of("floe_compute_target_error"), f"{TARGET_LABELS}, error_type"),
                    "{{target}} {{error_type}}",
                ),
                mappings=yes_or_no(f"so, {RED}", f"not so, {GREEN}"),
            ),
        ),
        (
            12,
            7,
            timeline(
                "Maintenance",
                "While a window holds no alert begins, and the time counts for no service level.",
                Query(at_most(of("floe_compute_target_maintenance")), "{{target}}"),
                mappings=yes_or_no(f"in maintenance, {BLUE}", f"none, {GREY}"),
            ),
        ),
        (
            12,
            7,
            lines(
                "Failures in a row",
                "Unhealthy validations in a row, at the monitor that counts most.",
                "none",
                Query(at_most(of("floe_compute_target_consecutive_failures")), "{{target}}"),
            ),
        ),
        (
            12,
            7,
            lines(
                "Changes of status",
                "Changes in the last hour: a target that flaps needs higher thresholds, or a cure.",
                "none",
                Query(
                    at_most(f"increase({of('floe_compute_target_status_changes_total')}[1h])"), "{{target}}"
                ),
            ),
        ),
    ]


def durations() -> list[Sized]:
    return [
        (
            12,
            8,
            lines(
                "Last duration",
                "Of the last validation, at each monitor.",
                "s",
                Query(
                    existing(f"max by ({SEEN}) ({of('floe_compute_target_last_duration_seconds')})"),
                    "{{target}} {{instance}}",
                ),
            ),
        ),
        (
            12,
            8,
            lines(
                "Duration of each check",
                "In the last validation, at the slowest monitor.",
                "s",
                Query(
                    at_most(of("floe_compute_target_check_duration_seconds"), f"{TARGET_LABELS}, check"),
                    "{{target}} {{check}}",
                ),
            ),
        ),
        (
            12,
            8,
            lines(
                "Validations",
                "Per second, by all monitors together.",
                "ops",
                Query(
                    existing(
                        f"sum by ({TARGET_LABELS}) "
                        f"(rate({of('floe_compute_target_validations_total')}[$__rate_interval]))"
                    ),
                    "{{target}}",
                ),
            ),
        ),
        (
            12,
            8,
            lines(
                "Time to wake",
                "Of engines that rest: from first seen starting to first seen running, when it last did; at "
                "the monitor that saw it longest.",
                "s",
                Query(at_most(of("floe_compute_target_wake_duration_seconds")), "{{target}}"),
            ),
        ),
        (
            12,
            8,
            lines(
                "Time until something ends",
                "What is left of certificates, passwords, tokens and keys, and when the warning begins.",
                "s",
                Query(
                    existing(
                        f"min by ({TARGET_LABELS}, what) "
                        f"({of('floe_compute_target_expiry_timestamp_seconds')}) - time()"
                    ),
                    "{{target}} {{what}}",
                ),
                Query(
                    at_most(of("floe_compute_target_expiry_warning_seconds"), f"{TARGET_LABELS}, what"),
                    "{{target}} {{what}}: warning",
                ),
            ),
        ),
    ]


def service_level() -> list[Sized]:
    seconds = of("floe_compute_target_result_seconds_total")
    maintained = of("floe_compute_target_maintenance_seconds_total")
    window = "[$__rate_interval]"
    return [
        (
            12,
            8,
            lines(
                "Time by result",
                "Share of the time for which single results stood, before thresholds; mean over monitors.",
                "percentunit",
                Query(
                    existing(f"avg by ({TARGET_LABELS}, status) (rate({seconds}{window}))"),
                    "{{target}} {{status}}",
                ),
                Query(
                    existing(f"avg by ({TARGET_LABELS}) (rate({maintained}{window}))"),
                    "{{target}} maintenance",
                ),
            ),
        ),
        (
            12,
            8,
            lines(
                "Uptime and objective",
                "Share of monitors to which it is up, and what is wanted of the time.",
                "percentunit",
                Query(
                    existing(f"avg by ({TARGET_LABELS}) ({of('floe_compute_target_up')})"), "{{target}} is up"
                ),
                Query(at_most(of("floe_compute_target_slo_objective_ratio")), "{{target}} objective"),
            ),
        ),
    ]
