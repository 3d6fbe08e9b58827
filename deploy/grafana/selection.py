"""What the variables of a dashboard select, and queries that count each target once."""

from __future__ import annotations

from deploy.alerts.rule import MONITOR_LABELS, TARGET_LABELS

MONITORS = 'cluster=~"$cluster",namespace=~"$namespace",instance=~"$monitor"'
PLUGINS = f'{MONITORS},plugin=~"$plugin"'
TARGETS = f'{PLUGINS},target=~"$target"'
INFO = f'floe_compute_target_info{{{TARGETS},label_team=~"$team"}}'
STATUS = f"floe_compute_target_status{{{TARGETS}}}"

BOTH = f"{TARGET_LABELS}, instance"
"""A target as one monitor sees it."""


def existing(expr: str) -> str:
    """Of what is configured now, by the teams selected: what is removed has series in the past alone."""
    return f"(({expr}) and on ({TARGET_LABELS}) {INFO})"


def at_most(expr: str, by: str = TARGET_LABELS) -> str:
    """The largest of what the monitors say."""
    return existing(f"max by ({by}) ({expr})")


def of(metric: str, more: str = "") -> str:
    """Its series of the targets selected."""
    return f"{metric}{{{TARGETS}{more and ',' + more}}}"


def _share(condition: str) -> str:
    return f"avg by ({TARGET_LABELS}) (({STATUS} > 0) {condition})"


VERDICT = existing(
    f"1 + ({_share('>= bool 2')} > bool 0.5) + ({_share('== bool 3')} > bool 0.5) "
    f"or 0 * max by ({TARGET_LABELS}) ({STATUS})"
)
"""What more than half of the monitors that have a verdict say, as the alerts judge: each target is one."""

DISAGREED = existing(f"max by ({TARGET_LABELS}) ({STATUS} > 0) - min by ({TARGET_LABELS}) ({STATUS} > 0) > 0")

_SECONDS = "floe_compute_target_result_seconds_total"
_FAILED = f"""sum by ({BOTH}) (increase({of(_SECONDS, 'status="unhealthy"')}[$__range]))"""
_WATCHED = f"(sum by ({BOTH}) (increase({of(_SECONDS)}[$__range])) > 0)"
ERROR_RATIO = f"min by ({TARGET_LABELS}) ({_FAILED} / {_WATCHED})"
"""Of the monitors' ratios the least, as in service levels: what one node alone sees costs no budget."""

UPTIME = existing(f"1 - {ERROR_RATIO}")
_OBJECTIVE = f"max by ({TARGET_LABELS}) ({of('floe_compute_target_slo_objective_ratio')})"
BUDGET_LEFT = existing(f"1 - {ERROR_RATIO} / (1 - {_OBJECTIVE})")

AGE = f"time() - {of('floe_compute_target_last_validation_timestamp_seconds')}"
FIRING = (
    'ALERTS{alertname=~"Floe.*",alertstate="firing",cluster=~"$cluster",namespace=~"$namespace",'
    'target=~"|$target",plugin=~"|$plugin",team=~"|$team",instance=~"|$monitor"}'
)
"""A label that an alert does not have is the empty string."""


def ours(expr: str) -> str:
    """A metric every process has, of floe-monitor's processes alone."""
    return f"{expr} and on ({MONITOR_LABELS}) floe_monitor_build_info{{{MONITORS}}}"


def rate(metric: str, labels: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}{{{labels}}}[$__rate_interval]))"


def quantile(q: float, metric: str, labels: str, by: str = "") -> str:
    """Of buckets with fixed bounds, or of a native histogram, which exponential ones become by OTLP."""
    names = f"le, {by}" if by else "le"
    native = f"sum by ({by}) (rate({metric}{{{labels}}}[$__rate_interval]))"
    return f"histogram_quantile({q}, {rate(f'{metric}_bucket', labels, names)} or {native})"
