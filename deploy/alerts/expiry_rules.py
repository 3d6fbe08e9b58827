"""The alert on what a target needs and what ends soon: certificates, passwords, tokens, keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy.alerts.rule import MONITOR_LABELS, TARGET_LABELS, Alert, Group, Record
from deploy.alerts.target_rules import NAMED, page_url

if TYPE_CHECKING:
    from deploy.alerts.rule import Parameters

_ENDS, _LEAD = "floe_compute_target_expiry_timestamp_seconds", "floe_compute_target_expiry_warning_seconds"
_NEAR = "floe:target_expiry:near"
_WHAT = '{{ $labels.what | reReplaceAll "_" " " }}'


def groups(parameters: Parameters) -> list[Group]:
    return [Group("floe-expiry", "30s", [_near(), _alert(parameters)])]


def _near() -> Record:
    return Record(
        _NEAR,
        f"""
        {_ENDS} < time() + {_LEAD}
        or
        {_NEAR} and on ({MONITOR_LABELS}) up == 0
        or
        {_NEAR} and on ({MONITOR_LABELS}, target, plugin) floe_compute_target_status == 0
        or
        last_over_time({_ENDS}[5m]) < time() + last_over_time({_LEAD}[5m])
          unless on ({MONITOR_LABELS}) up""",
        "When what is near its end ends, held like a verdict: a monitor that is gone renews nothing.",
    )


def _alert(parameters: Parameters) -> Alert:
    return Alert(
        name="FloeExpiringSoon",
        expr=f"min by ({TARGET_LABELS}, what) ({_NEAR}) - time()",
        wait="1m",
        keep="2m",
        severity="warning",
        summary=f"The {_WHAT} of {NAMED} "
        "{{ if gt $value 0.0 }}expires in {{ $value | humanizeDuration }}{{ else }}has expired{{ end }}",
        description="dbt works until then. Renew it: the alert ends with the first probe that sees the new "
        "one.",
        page_url=page_url(parameters, f"{_NEAR}SELF"),
    )
