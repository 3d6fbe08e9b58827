"""Alerts on monitors that share their targets: one that is away, and targets on none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy.alerts.rule import JOB_LABELS, MONITOR_LABELS, Alert, Group

if TYPE_CHECKING:
    from deploy.alerts.rule import Parameters

REDUNDANT = f'on ({JOB_LABELS}) floe_monitor_shard_info{{replicas!="1"}}'
"""Jobs in which the loss of one monitor leaves each target another."""


def alerts(parameters: Parameters) -> list[Alert]:
    up = f'up{{job=~"{parameters.job}"}}'
    starts = f'process_start_time_seconds{{job=~"{parameters.job}"}}'
    unwatched = f"""
            max by ({JOB_LABELS}) (floe_monitor_configured_targets)
            - count by ({JOB_LABELS}) (group by ({JOB_LABELS}, target) (floe_compute_target_status))
            > 0
            unless on ({JOB_LABELS}) ALERTS{{alertname="FloeMonitorDown", alertstate="firing"}}"""
    return [
        Alert(
            name="FloeTargetsUnwatched",
            expr=unwatched,
            wait="1m",
            keep="1m",
            severity="page",
            summary="{{ $value }} target(s) of {{ $labels.job }} are on no shard that answers",
            description="Nobody watches them: what fires for them is the last that was seen.",
            why="Shards that are away, or that were never there. Where each target is on one shard alone, "
            "FloeMonitorDown has told it.",
        ),
        Alert(
            name="FloeShardDown",
            expr=f"""
            (
              max by ({MONITOR_LABELS}) ({up} == bool 0) > 0
              or
              max by ({MONITOR_LABELS}) (changes({starts}[30m])) > 4
            )
              and {REDUNDANT}""",
            wait="10m",
            severity="warning",
            summary="A shard of floe-monitor on {{ $labels.instance }} does not answer, or does not stay up",
            description="Other shards watch its targets: the loss of one more would leave some unwatched.",
        ),
    ]


def groups(parameters: Parameters) -> list[Group]:
    """After those on monitors, whose results they read."""
    return [Group("floe-shards", "15s", alerts(parameters))]
