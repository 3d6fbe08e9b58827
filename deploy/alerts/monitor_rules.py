"""Alerts on the monitors themselves: gone, not staying up, standing still, short of something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy.alerts.rule import JOB_LABELS, MONITOR_LABELS, Alert, Group
from deploy.alerts.shard_rules import REDUNDANT

if TYPE_CHECKING:
    from deploy.alerts.rule import Parameters

INSTANCE = "{{ $labels.instance }}"


def is_firing(alert: str, labels: str) -> str:
    return f'on ({labels}) ALERTS{{alertname="{alert}", alertstate="firing"}}'


def outages(parameters: Parameters) -> list[Alert]:
    up = f'up{{job=~"{parameters.job}"}}'
    starts = f'process_start_time_seconds{{job=~"{parameters.job}"}}'
    down = f"max by ({MONITOR_LABELS}) ({up} == bool 0) > 0"
    this, all_down = (
        is_firing("FloeMonitorDown", MONITOR_LABELS),
        is_firing("FloeMonitorsAllDown", JOB_LABELS),
    )
    return [
        Alert(
            name="FloeMonitorDown",
            expr=f"""
            (
              {down} and on ({JOB_LABELS}) {up} == 1
              or
              max by ({MONITOR_LABELS}) (changes({starts}[10m]) > 2 and changes({starts}[5m]) > 0)
                unless {this}
                unless {all_down}
              or
              (
                {down}
                or
                max by ({MONITOR_LABELS}) (changes({starts}[30s])) > 0
              )
                and {this}
            )
              unless {REDUNDANT}""",
            wait="45s",
            keep="5m",
            severity="page",
            summary=f"floe-monitor on {INSTANCE} does not answer, or does not stay up",
            description="What it alone watches is not watched; its last verdicts are held.",
            why="Down while another of its job lives, whether it ever ran or not; or started more than twice "
            "in ten minutes; or, once it fires, down or started again. Kubernetes waits up to five minutes "
            "between restarts: for so long it must have been up. Not where each of its targets is on another "
            "shard too.",
        ),
        Alert(
            name="FloeMonitorsAllDown",
            expr=f"""
            group by ({JOB_LABELS}) ({up})
            unless on ({JOB_LABELS}) {up} == 1
            unless on ({JOB_LABELS})
              count by ({JOB_LABELS}) (ALERTS{{alertname="FloeMonitorDown", alertstate="firing"}})
              == count by ({JOB_LABELS}) ({up})""",
            wait="45s",
            keep="5m",
            severity="page",
            summary="No floe-monitor of {{ $labels.job }} answers",
            description="Nobody watches: what fires is the last that was seen.",
            why="Unless each of them has been told by itself, as a lone one that crashes again and again.",
        ),
        Alert(
            name="FloeMonitorAbsent",
            expr=f"absent({up})",
            wait="5m",
            severity="page",
            summary="Prometheus looks for no floe-monitor",
            description="No target of a job that matches " + parameters.job + " is known: nobody watches.",
            why="Remove it where monitors live only as long as a job's pod.",
        ),
        Alert(
            name="FloeMonitorNotProbing",
            expr=f"""
            max by ({MONITOR_LABELS}) (floe_monitor_scheduler_beat_age_seconds) > 120
            or
            min by ({MONITOR_LABELS}) (
              time() - floe_compute_target_last_validation_timestamp_seconds
              - 5 * floe_compute_target_interval_seconds
              unless on ({MONITOR_LABELS}, target, plugin) floe_compute_target_status == 3
            ) > 120""",
            wait="2m",
            severity="page",
            summary=f"floe-monitor on {INSTANCE} answers, but probes nothing",
            description="Probing has made no progress for {{ $value | humanizeDuration }} more than it "
            "should.",
            why="The scheduler stands still, or even the target least overdue is long overdue. A validation "
            "that hangs has made its target UNHEALTHY, and is no fault of the scheduler.",
        ),
    ]


def shortages() -> list[Alert]:
    return [
        Alert(
            name="FloeWorkersStuck",
            expr=f"max by ({MONITOR_LABELS}, plugin) (floe_monitor_workers_stuck) > 0",
            wait="10m",
            severity="warning",
            summary="{{ $value }} stuck worker(s) of plugin {{ $labels.plugin }} on " + INSTANCE,
            description="Validations past their deadline hold slots for as long as their driver does not "
            "return.",
        ),
        Alert(
            name="FloeProbesSkipped",
            expr=f"sum by ({MONITOR_LABELS}, plugin, reason) (rate(floe_monitor_probes_skipped_total[5m])) > "
            "0",
            wait="15m",
            severity="warning",
            summary="Probes of plugin {{ $labels.plugin }} on "
            + INSTANCE
            + " are skipped: {{ $labels.reason }}",
            description="{{ $value | humanize }} ticks a second do not become probes, so verdicts come late.",
        ),
        Alert(
            name="FloeScheduleLag",
            expr=f"""
            histogram_quantile(0.99,
              sum by ({MONITOR_LABELS}, le) (rate(floe_monitor_schedule_lag_seconds_bucket[5m]))
              or
              sum by ({MONITOR_LABELS}) (rate(floe_monitor_schedule_lag_seconds[5m]))
            ) > 1""",
            wait="10m",
            severity="warning",
            summary=f"Probes on {INSTANCE} start late",
            description="The slowest 1 % start {{ $value | humanizeDuration }} or more after their time.",
        ),
        Alert(
            name="FloeSinkDropping",
            expr=f"sum by ({MONITOR_LABELS}, sink) (rate(floe_monitor_sink_dropped_total[5m])) > 0",
            wait="10m",
            severity="warning",
            summary="Sink {{ $labels.sink }} on " + INSTANCE + " loses events",
            description="{{ $value | humanize }} events a second are dropped. Probing is not affected.",
        ),
        Alert(
            name="FloeHistoryNotWritten",
            expr=f"max by ({MONITOR_LABELS}) (floe_monitor_history_up) == 0",
            wait="10m",
            severity="warning",
            summary=f"floe-monitor on {INSTANCE} writes no history",
            description="What is measured meanwhile waits in memory, and is lost when that is full or it is "
            "restarted. Probing is not affected.",
        ),
        _notifications(),
    ]


def _notifications() -> Alert:
    def increase(result: str, window: str) -> str:
        counted = f'floe_monitor_notifications_total{{result="{result}"}}'
        return f"sum by ({MONITOR_LABELS}, channel) (increase({counted}[{window}]))"

    return Alert(
        name="FloeNotificationsFailing",
        expr=f"""
        {increase("dead", "1h")} > 0
        or
        {increase("failed", "15m")} > 0
          unless {increase("sent", "15m")} > 0""",
        wait="10m",
        severity="warning",
        summary="Channel {{ $labels.channel }} on " + INSTANCE + " does not take its messages",
        description="Messages were given up in the last hour, or every attempt of the last quarter of an "
        "hour has failed: nobody is told by this channel.",
        why="Attempts are five minutes apart at most. What is given up is not tried again.",
    )


def differences() -> list[Alert]:
    return [
        Alert(
            name="FloeConfigReloadFailed",
            expr=f"max by ({MONITOR_LABELS}) (floe_monitor_config_last_reload_successful) == 0",
            wait="5m",
            severity="warning",
            summary=f"floe-monitor on {INSTANCE} refused its configuration",
            description="It goes on with the last good one; the changed file is not in force.",
        ),
        Alert(
            name="FloeProfileOutOfSync",
            expr=f"max by ({MONITOR_LABELS}, profile) (floe_monitor_profile_in_sync) == 0",
            wait="5m",
            severity="warning",
            summary="profiles.yml differs from the configuration: profile {{ $labels.profile }} on "
            + INSTANCE,
            description="dbt runs with another profile than the one being watched.",
        ),
    ]


def groups(parameters: Parameters) -> list[Group]:
    return [
        Group("floe-monitors", "15s", outages(parameters)),
        Group("floe-monitor-warnings", "30s", [*shortages(), *differences()]),
    ]
