"""The monitor's values as JSON shapes, whose types are in `json_types`.

Times are RFC 3339 in UTC, durations seconds.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, cast

import pydantic_core

from floe_monitor import __version__
from floe_monitor.credentials.masking import redacted
from floe_monitor.domain.health import HealthStatus
from floe_monitor.domain.json_types import TargetJson
from floe_monitor.domain.timestamps import moment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from floe_monitor.compute.models import CheckResult
    from floe_monitor.domain.events import ConfigReloaded, ProbeResult, ProfileReconciled
    from floe_monitor.domain.expiry import WatchedExpiry
    from floe_monitor.domain.json_types import (
        CheckJson,
        CountsJson,
        ExpiryJson,
        MaintenanceJson,
        NotificationsJson,
        ProbeJson,
        ProfileJson,
        ReloadedJson,
        ShardJson,
        StatusJson,
        TargetDetailJson,
        VerdictJson,
    )
    from floe_monitor.domain.liveness import Verdict
    from floe_monitor.domain.maintenance import Maintenance
    from floe_monitor.domain.state import MonitorState, TargetSnapshot


def encode(value: object) -> bytes:
    """JSON in UTF-8. Not-a-number becomes null; a lone surrogate a question mark."""
    try:
        return pydantic_core.to_json(value, inf_nan_mode="null")
    except (pydantic_core.PydanticSerializationError, UnicodeError):
        return pydantic_core.to_json(_encodable(value), inf_nan_mode="null")


def _encodable(value: object) -> object:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode("utf-8")
        case dict():
            return {_encodable(key): _encodable(item) for key, item in value.items()}
        case list() | tuple():
            return [_encodable(item) for item in value]
    return value


def expiry(known: WatchedExpiry) -> ExpiryJson:
    return {
        "what": known.what,
        "of": known.of,
        "at": moment(known.at),
        "warned_of_from": moment(known.at - known.lead) if known.lead else None,
    }


def check(result: CheckResult) -> CheckJson:
    return {
        "name": result.name,
        "status": result.status.value,
        "duration_seconds": round(result.latency_ms / 1000, 6),
        "started_seconds": round(result.started_ms / 1000, 6),
        "error_type": result.error_type,
        "message": result.message,
    }


def probe(result: ProbeResult) -> ProbeJson:
    return {
        "target": result.target,
        "plugin": result.plugin,
        "status": result.status.value,
        "started_at": moment(result.started_at),
        "duration_seconds": round(result.duration, 6),
        "error_type": result.error_type,
        "message": result.message,
        "warnings": list(result.warnings),
        "checks": [check(c) for c in result.checks],
        "trigger": result.trigger,
        "worker": result.worker,
        "correlation_id": result.correlation_id,
        "trace_id": result.trace_id,
        "span_id": result.span_id,
        "server_address": result.server_address,
        "expiries": [expiry(each) for each in result.expiries],
    }


def maintenance(known: Maintenance | None) -> MaintenanceJson | None:
    if known is None:
        return None
    return {"since": moment(known.since), "until": moment(known.until), "reason": known.reason}


def target(snapshot: TargetSnapshot) -> TargetJson:
    """One row of the list: what is known now."""
    health, last = snapshot.health, snapshot.last
    status = snapshot.status
    return {
        "name": snapshot.target.name,
        "plugin": snapshot.target.plugin_name,
        "status": status.word,
        "up": status.is_up,
        "stale": snapshot.stale,
        "since": moment(snapshot.since),
        "last_status": last.status.value if last else None,
        "last_validation_at": moment(last.finished_at) if last else None,
        "last_success_at": moment(snapshot.last_success_at),
        "last_duration_seconds": round(last.duration, 6) if last else None,
        "error_type": last.error_type if last else None,
        "message": last.message if last else snapshot.target.entry.problem or "",
        "warnings": list(last.warnings) if last else [],
        "checks": {c.name: c.status.value for c in last.checks} if last else {},
        "consecutive_failures": health.consecutive_failures,
        "status_changes": health.status_changes,
        "maintenance": maintenance(snapshot.maintenance),
        "labels": dict(snapshot.target.labels),
        "server_address": snapshot.server_address,
        "expiries": [expiry(each) for each in snapshot.expiries],
    }


TARGET_FIELDS = tuple(TargetJson.__annotations__)
"""The keys of `target`, in order."""


def target_detail(snapshot: TargetSnapshot) -> TargetDetailJson:
    """Everything about one target. `configuration` holds references to credentials, never a value."""
    known = snapshot.target
    policy = known.policy
    return {
        **target(snapshot),
        "policy": {
            "interval_seconds": policy.interval,
            "failing_interval_seconds": policy.failing_interval,
            "timeout_seconds": policy.timeout,
            "failure_threshold": policy.thresholds.failure,
            "failure_window": policy.thresholds.last_for_failure,
            "success_threshold": policy.thresholds.success,
            "success_window": policy.thresholds.last_for_success,
            "isolation": policy.isolation,
        },
        "provenance": {
            "distribution": known.entry.distribution,
            "version": known.entry.version,
            "problem": known.entry.problem,
        },
        "configuration": redacted(known.settings.model_dump(mode="json", exclude_none=True)),
        "last": probe(snapshot.last) if snapshot.last else None,
        "history": [probe(result) for result in reversed(snapshot.history)],
        "failures": [probe(result) for result in reversed(snapshot.failures)],
    }


def counts(snapshots: Iterable[TargetSnapshot]) -> CountsJson:
    """How many targets have each status; every status is there."""
    found = Counter(snapshot.status for snapshot in snapshots)
    return cast("CountsJson", {status.word: found[status] for status in HealthStatus})


def verdict(judged: Verdict) -> VerdictJson:
    return {"status": "ok" if judged.ok else "failing", "reasons": [*judged.reasons, *judged.remarks]}


def profile(reconciled: ProfileReconciled) -> ProfileJson:
    return {"result": reconciled.result, "at": moment(reconciled.at), "message": reconciled.message}


def shard(state: MonitorState) -> ShardJson | None:
    """Of a monitor that shares its targets with others: which part it has."""
    if state.shard is None:
        return None
    return {
        "index": state.shard.index,
        "count": state.shard.count,
        "replicas": state.shard.replicas,
        "watched_targets": len(state.targets),
        "configured_targets": state.configured,
        "keeps_profiles": state.shard.keeps_profiles,
    }


def notifications(state: MonitorState) -> NotificationsJson:
    return {
        "channels": {
            name: {
                "sent": counts.sent,
                "failed_attempts": counts.failed,
                "given_up": counts.dead,
                "pending": counts.pending,
                "held": counts.held,
            }
            for name, counts in sorted(state.notifications.items())
        },
        "problem": state.notification_problem or None,
    }


def status(state: MonitorState, live: Verdict, ready: Verdict) -> StatusJson:
    """The monitor itself."""
    config = state.config
    return {
        "version": __version__,
        "started_at": moment(state.started_at),
        "live": verdict(live),
        "ready": verdict(ready),
        "targets": counts(state.view()),
        "configuration": {
            "generation": config.generation,
            "loaded_at": moment(config.loaded_at),
            "attempted_at": moment(config.attempted_at),
            "last_reload_successful": config.last_reload_successful,
            "problems": list(config.problems),
        },
        "workers": {
            name: {"busy": c.busy, "stuck": c.stuck, "limit": c.limit}
            for name, c in sorted(state.workers.items())
        },
        "shard": shard(state),
        "profiles": {name: profile(done) for name, done in state.profiles.items()},
        "dropped_events": dict(state.dropped),
        "history_problem": state.history_problem or None,
        "notifications": notifications(state),
    }


def reloaded(event: ConfigReloaded) -> ReloadedJson:
    return {
        "at": moment(event.at),
        "added": list(event.added),
        "changed": list(event.changed),
        "removed": list(event.removed),
        "waiting_for_restart": list(event.waiting),
    }
