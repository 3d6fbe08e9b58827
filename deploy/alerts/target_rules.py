"""Alerts on targets: they hold while their monitors are gone, and end when a living one sees them well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy.alerts.rule import MONITOR_LABELS, SCOPE_LABELS, TARGET_LABELS, Alert, Group, Record

if TYPE_CHECKING:
    from deploy.alerts.rule import Parameters

_KEYS = [key.strip() for key in TARGET_LABELS.split(",")]
_SELECTOR = "{" + ",".join(f"{key}=%q" for key in _KEYS) + "}"
_VALUES = " ".join(f"$labels.{key}" for key in _KEYS)
NAMED = "{{ $labels.target }} ({{ $labels.plugin }})"


def asked(query: str) -> str:
    """A template's pipeline with the result of a query; `SELF` in it selects the alert's own target."""
    count = query.count("SELF")
    text = query.replace("SELF", _SELECTOR).replace('"', r"\"")
    return f'printf "{text}" {" ".join([_VALUES] * count)} | query'


def listed(query: str, label: str, heading: str) -> str:
    """The label's values of a query's results, after a heading; nothing where there are none."""
    return (
        "{{ range $n, $found := " + asked(query) + f' | sortByLabel "{label}"' + " }}"
        "{{ if $n }} or {{ else }}" + heading + "{{ end }}{{ $found.Labels." + label + " }}{{ end }}"
    )


REASONS = listed("group by (error_type) (floe_compute_target_errorSELF)", "error_type", ": ") + listed(
    "group by (check) (floe_compute_target_check_statusSELF == 3)", "check", ", check "
)
"""Asked for each time the alert is evaluated, and so no part of its identity."""

_SEEN_BY = (
    "dbt cannot work with it. "
    "{{ with " + asked("count(floe_compute_target_statusSELF == 3)") + " }}"
    "Seen by {{ . | first | value }}"
    "{{ with " + asked("count(floe_compute_target_statusSELF > 0)") + " }}"
    " of {{ . | first | value }}{{ end }} monitors with a verdict."
    "{{ else }}No monitor says so any more: it is held because none that could has seen it well.{{ end }}"
)


def page_url(parameters: Parameters, seen: str = "floe_compute_target_statusSELF > 1") -> str:
    """At one of the monitors of the query's results."""
    url = parameters.page_url.replace("{target}", "{{ $labels.target }}")
    if "{instance}" not in url:
        return url
    shown = url.replace("{instance}", '{{ . | first | label "instance" }}')
    asking = asked(seen) + ' | sortByLabel "instance"'
    return "{{ with " + asking + " }}" + shown + "{{ end }}"


def is_firing(alert: str) -> str:
    return f'on ({TARGET_LABELS}) ALERTS{{alertname="{alert}", alertstate="firing"}}'


def is_isolated() -> str:
    return f'on ({MONITOR_LABELS}) ALERTS{{alertname="FloeMonitorIsolated", alertstate="firing"}}'


def spared(alert: str, within: str = "") -> str:
    """No alert begins on a target in maintenance; one that fires already ends as it would without.

    `within`: nor so long afterwards, where the alert looks back for so long.
    """
    maintained = "floe:target_maintenance:end"
    maintained = f"last_over_time({maintained}[{within}])" if within else maintained
    return f"unless on ({TARGET_LABELS}) ({maintained} unless {is_firing(alert)})"


def unless_cut_off(alert: str) -> str:
    """None begins for a target that only monitors without connectivity see ill: their alert is one."""
    return f"unless on ({TARGET_LABELS}) (floe:target_cut_off:held unless {is_firing(alert)})"


def share_of_votes(condition: str) -> str:
    """The share of monitors with a fresh verdict for which it holds; of held ones where there is none."""
    fresh = f"avg by ({TARGET_LABELS}) ((floe_compute_target_status > 0) {condition})"
    return f"{fresh}\nor\navg by ({TARGET_LABELS}) (floe:target_status:held {condition})"


def records(parameters: Parameters) -> list[Record]:
    end = "floe_compute_target_maintenance_end_timestamp_seconds"
    return [
        Record(
            "floe:target_maintenance:end",
            f"""
            max by ({TARGET_LABELS}) ({end})
            or
            (floe:target_maintenance:end > time()) unless on ({TARGET_LABELS}) floe_compute_target_status""",
            "Targets in maintenance, as soon as one of their monitors says so. While none answers it lasts "
            "until the end that was told last.",
        ),
        Record(
            "floe:target_status:held",
            f"""
            floe_compute_target_status > 0
            or
            floe:target_status:held and on ({MONITOR_LABELS}) up == 0
            or
            floe:target_status:held and on ({MONITOR_LABELS}, target, plugin) floe_compute_target_status == 0
            or
            last_over_time(floe_compute_target_status[5m]) > 0 unless on ({MONITOR_LABELS}) up""",
            "What each monitor last said of a target, held while it cannot say anything: it is down (without "
            "limit), it "
            "has no verdict yet after a restart, or it left service discovery (5 minutes, for its "
            "successor). Where "
            "it answers and the series is gone, the target was removed, and nothing is held.",
        ),
        Record(
            "floe:target_unhealthy:share",
            share_of_votes("== bool 3"),
            "A dead monitor's last verdict counts only where no living one has any.",
        ),
        Record(
            "floe:target_team:held",
            f"""
            topk by ({TARGET_LABELS}) (1,
              max by ({TARGET_LABELS}, team) (
                label_replace(floe_compute_target_info, "team", "$1", "label_{parameters.team_label}", "(.*)")
                * on ({MONITOR_LABELS}) group_left ()
                floe_monitor_config_last_reload_success_timestamp_seconds
              )
            ) ^ 0
            or on ({TARGET_LABELS})
            floe:target_team:held and on ({TARGET_LABELS}) floe:target_unhealthy:share""",
            "The team, as the configuration loaded last has it, and held like the verdict: a label that "
            "comes or goes "
            "would end the alert and begin another.",
        ),
        Record(
            "floe:monitor_connectivity:held",
            f"""
            floe_monitor_connectivity_status
            or
            floe:monitor_connectivity:held and on ({MONITOR_LABELS}) up == 0""",
            "Whether a monitor reaches anything on the network (2: in doubt for the moment, 3: nothing), "
            "held while it is down.",
        ),
        Record(
            "floe:target_cut_off:held",
            f"""
            max by ({TARGET_LABELS}) (
              floe_compute_target_status * 0
              + on ({MONITOR_LABELS}) group_left () floe_monitor_connectivity_status
              and on ({MONITOR_LABELS}, target, plugin) floe_compute_target_status == 3
              and on ({MONITOR_LABELS}, target, plugin)
              floe_compute_target_check_status{{check="network"}} == 3
            ) > 1
            unless on ({TARGET_LABELS}) (
              floe_compute_target_status == 3
              unless on ({MONITOR_LABELS}) floe_monitor_connectivity_status > 1
            )
            or
            floe:target_cut_off:held unless on ({TARGET_LABELS}) floe_compute_target_status > 0""",
            "Targets that nobody sees UNHEALTHY but monitors that reach nothing on the network, or may be "
            "about to find so; held like verdicts.",
        ),
        Record(
            "floe:target_unhealthy:paging",
            f"""
            (floe:target_unhealthy:share > 0.5) {spared("FloeTargetUnhealthy")}
              {unless_cut_off("FloeTargetUnhealthy")}
            or
            floe:target_unhealthy:share == 0.5
              and {is_firing("FloeTargetUnhealthy")}
            or
            floe:target_unhealthy:share
              and {is_firing("FloeTargetUnhealthy")}
              and on ({TARGET_LABELS})
              max by ({TARGET_LABELS}) (increase(floe_compute_target_status_changes_total[5m])) > 4.5""",
            "Starts above a half and ends below it, so that the loss of one of several monitors changes "
            "nothing. A target "
            "that has changed five times in five minutes is one page, not five. In maintenance none starts.",
        ),
        Record(
            "floe:monitor_isolated:ratio",
            f"""
            count by ({MONITOR_LABELS}) (
              floe_compute_target_status == 3
              unless on ({TARGET_LABELS}) floe:target_unhealthy:paging
              unless on ({TARGET_LABELS}) floe:target_maintenance:end
            )
            / (
              count by ({MONITOR_LABELS}) (
                floe_compute_target_status > 0 unless on ({TARGET_LABELS}) floe:target_maintenance:end
              ) >= 3
            )""",
            "The share of its targets that a monitor with three or more sees UNHEALTHY, and most others do "
            "not. Those in maintenance say nothing of it.",
        ),
    ]


def pages(parameters: Parameters) -> list[Alert]:
    return [
        Alert(
            name="FloeTargetUnhealthy",
            expr=f"""
            floe:target_unhealthy:paging * on ({TARGET_LABELS}) group_left (team) floe:target_team:held
            or
            floe:target_unhealthy:paging unless on ({TARGET_LABELS}) floe:target_team:held""",
            wait="15s",
            keep="15s",
            severity="page",
            summary=f"{NAMED} is UNHEALTHY{REASONS}",
            description=_SEEN_BY,
            page_url=page_url(parameters),
        ),
        Alert(
            name="FloeMonitorConnectivity",
            expr=f"""
            count by ({SCOPE_LABELS}) (
              floe:monitor_connectivity:held == 3 unless {is_isolated()}
            )""",
            wait="15s",
            keep="2m",
            severity="page",
            summary="{{ $value }} floe-monitor(s) of {{ $labels.job }} reach no target on the network",
            description="Three or more targets on several servers fail at their network check at once: look "
            "for the fault between the monitors and all of them. Jobs of dbt that run there fail too.",
            why="Takes the place of the pages of all those targets, however many monitors are cut off.",
        ),
        Alert(
            name="FloeMonitorIsolated",
            expr=f"""
            floe:monitor_isolated:ratio > 0.5
            unless on ({MONITOR_LABELS}) (floe:monitor_connectivity:held > 1 unless {is_isolated()})""",
            wait="30s",
            keep="2m",
            severity="page",
            summary="{{ $labels.instance }} alone sees {{ $value | humanizePercentage }} of its targets "
            "UNHEALTHY",
            description="The other monitors reach them: look for the fault in this one's network, names or "
            "credentials.",
        ),
        Alert(
            name="FloeTargetUnhealthyFromSome",
            expr=f"""
            count by ({TARGET_LABELS}) (
              (
                floe_compute_target_status == 3
                or
                floe:target_status:held == 3
                  and {is_firing("FloeTargetUnhealthyFromSome")}
              )
              unless on ({TARGET_LABELS}) floe:target_unhealthy:paging
              unless on ({MONITOR_LABELS}) floe:monitor_isolated:ratio > 0.5
              unless on ({MONITOR_LABELS}) floe:monitor_connectivity:held > 1
            )
            {spared("FloeTargetUnhealthyFromSome")}""",
            wait="1m",
            keep="2m",
            severity="warning",
            summary=f"{NAMED} is UNHEALTHY only as seen from"
            + listed("floe_compute_target_statusSELF == 3", "instance", " "),
            description=f"Half of its monitors or more can work with it{REASONS}.",
            page_url=page_url(parameters),
            why="A held verdict continues the warning, but begins none. What an isolated monitor sees is one "
            "page, FloeMonitorIsolated.",
        ),
    ]


def warnings(parameters: Parameters) -> list[Alert]:
    return [
        Alert(
            name="FloeTargetDegraded",
            expr=f"(\n{share_of_votes('>= bool 2')}\n) > 0.5\n"
            f"unless on ({TARGET_LABELS}) floe:target_unhealthy:paging\n"
            f"{spared('FloeTargetDegraded')}",
            wait="30m",
            severity="warning",
            summary=f"{NAMED} has been DEGRADED for half an hour",
            description="dbt can work with it, but something it may need does not"
            + listed("group by (check) (floe_compute_target_check_statusSELF == 2)", "check", ", check ")
            + ".",
            page_url=page_url(parameters),
        ),
        Alert(
            name="FloeTargetUnknown",
            expr=f"max by ({TARGET_LABELS}) (floe_compute_target_status) == 0\n{spared('FloeTargetUnknown')}",
            wait="10m",
            severity="warning",
            summary=f"Nothing is known about {NAMED}",
            description="No monitor that answers has a verdict, or one too old to count: its probes do not "
            "run.",
        ),
        Alert(
            name="FloeTargetStale",
            expr=f"""
            min by ({TARGET_LABELS}) (
              time() - floe_compute_target_last_validation_timestamp_seconds
              - 5 * floe_compute_target_interval_seconds
            ) > 120
            unless on ({TARGET_LABELS}) floe:target_unhealthy:paging
            {spared("FloeTargetStale")}""",
            wait="5m",
            severity="warning",
            summary=f"The last validation of {NAMED} is long overdue",
            description="It is {{ $value | humanizeDuration }} older than five intervals, whichever monitor "
            "is asked.",
            why="Two minutes beyond five intervals are for deadlines and scrapes. A hung validation is "
            "UNHEALTHY already.",
        ),
        Alert(
            name="FloeTargetFlapping",
            expr=f"""
            max by ({TARGET_LABELS}) (increase(floe_compute_target_status_changes_total[30m])) > 6
            and on ({TARGET_LABELS}) floe_compute_target_status
            {spared("FloeTargetFlapping", "30m")}""",
            wait="10m",
            severity="warning",
            summary=f"{NAMED} keeps changing its status",
            description="{{ $value | humanize }} changes in half an hour: raise the thresholds, or find what "
            "comes and goes.",
            page_url=page_url(parameters),
        ),
    ]


def groups(parameters: Parameters) -> list[Group]:
    """Those of the first read one another's results, in their order."""
    return [
        Group("floe-targets", "15s", [*records(parameters), *pages(parameters)]),
        Group("floe-target-warnings", "30s", warnings(parameters)),
    ]
