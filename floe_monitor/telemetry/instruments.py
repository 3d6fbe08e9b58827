"""The one table of everything measured: the names of each instrument, and what it means.

OTLP carries milliseconds and dotted names, Prometheus base units and its own suffixes. Both back ends are
built from this table, and `docs/metrics.md` holds what `reference()` prints.
"""

from __future__ import annotations

from floe_monitor.telemetry.instrument import Instrument, Kind, Origin

VALIDATION_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
GENERATION_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0)
WAIT_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_TARGET = ("target", "plugin")

VALIDATION_DURATION = Instrument(
    name="floe_compute_validation_duration_seconds",
    otlp="floe.compute.validation.duration_ms",
    otlp_unit="ms",
    kind=Kind.HISTOGRAM,
    origin=Origin.EVENTS,
    labels=("plugin", "status"),
    buckets=VALIDATION_BUCKETS,
    description="How long validations took, from the moment the worker began; timeouts included",
)
VALIDATION_ERRORS = Instrument(
    name="floe_compute_validation_errors_total",
    otlp="floe.compute.validation.errors",
    otlp_unit="{error}",
    kind=Kind.COUNTER,
    origin=Origin.EVENTS,
    labels=("plugin", "error_type"),
    description="Validations that found something wrong, by the first reason",
)
PROFILE_GENERATION = Instrument(
    name="floe_compute_profile_generation_duration_seconds",
    otlp="floe.compute.profile.generation_ms",
    otlp_unit="ms",
    kind=Kind.HISTOGRAM,
    origin=Origin.EVENTS,
    labels=("plugin",),
    buckets=GENERATION_BUCKETS,
    description="How long plugins took to generate one dbt output",
)
TARGET_STATUS = Instrument(
    name="floe_compute_target_status",
    otlp="floe.compute.target.status",
    kind=Kind.GAUGE,
    origin=Origin.TARGET,
    labels=_TARGET,
    description="Health of the target: 0 unknown, 1 healthy, 2 degraded, 3 unhealthy",
)
TARGET_UP = Instrument(
    name="floe_compute_target_up",
    otlp="floe.compute.target.up",
    kind=Kind.GAUGE,
    origin=Origin.TARGET,
    labels=_TARGET,
    description="1 if the target is healthy or degraded, 0 if it is unhealthy or unknown",
)
TARGET_LAST_DURATION = Instrument(
    name="floe_compute_target_last_duration_seconds",
    kind=Kind.GAUGE,
    origin=Origin.TARGET,
    labels=_TARGET,
    description="Duration of the target's last validation",
)
TARGET_LAST_VALIDATION = Instrument(
    name="floe_compute_target_last_validation_timestamp_seconds",
    kind=Kind.GAUGE,
    origin=Origin.TARGET,
    labels=_TARGET,
    description="When the target's last validation finished, in Unix time",
)
TARGET_LAST_SUCCESS = Instrument(
    name="floe_compute_target_last_success_timestamp_seconds",
    kind=Kind.GAUGE,
    origin=Origin.TARGET,
    labels=_TARGET,
    description="When the last validation that was not unhealthy finished, in Unix time; absent before it",
)
TARGET_FAILURES = Instrument(
    name="floe_compute_target_consecutive_failures",
    kind=Kind.GAUGE,
    origin=Origin.TARGET,
    labels=_TARGET,
    description="Unhealthy validations in a row, up to the last one",
)
TARGET_CHANGES = Instrument(
    name="floe_compute_target_status_changes_total",
    kind=Kind.COUNTER,
    origin=Origin.TARGET,
    labels=_TARGET,
    description="Changes of the target's status since it was configured; learning the first is none",
)
TARGET_VALIDATIONS = Instrument(
    name="floe_compute_target_validations_total",
    kind=Kind.COUNTER,
    origin=Origin.TARGET,
    labels=_TARGET,
    description="Validations of the target, whatever they found",
)
TARGET_RESULT_SECONDS = Instrument(
    name="floe_compute_target_result_seconds_total",
    kind=Kind.COUNTER,
    origin=Origin.TARGET,
    labels=(*_TARGET, "status"),
    description="How long single results stood, each from one validation to the next",
)
TARGET_OBJECTIVE = Instrument(
    name="floe_compute_target_slo_objective_ratio",
    kind=Kind.GAUGE,
    origin=Origin.TARGET,
    labels=_TARGET,
    description="Configured share of the time in which dbt is to be able to work with the target",
)
TARGET_ERROR = Instrument(
    name="floe_compute_target_error",
    kind=Kind.GAUGE,
    origin=Origin.TARGET,
    labels=(*_TARGET, "error_type"),
    description="1 for the reason of the last validation, where it found something wrong; absent else",
)
TARGET_INTERVAL = Instrument(
    name="floe_compute_target_interval_seconds",
    kind=Kind.GAUGE,
    origin=Origin.TARGET,
    labels=_TARGET,
    description="Configured time between probes of the target: what its last validation's age compares with",
)
TARGET_CHECK = Instrument(
    name="floe_compute_target_check_status",
    kind=Kind.GAUGE,
    origin=Origin.TARGET,
    labels=(*_TARGET, "check"),
    description="What the last validation found in each check; values as in floe_compute_target_status",
)
TARGET_INFO = Instrument(
    name="floe_compute_target_info",
    kind=Kind.INFO,
    origin=Origin.TARGET,
    labels=(*_TARGET, "dbt_type", "label_*"),
    description="The target's dbt adapter type, and each configured label under label_<name>",
)
WORKERS_BUSY = Instrument(
    name="floe_monitor_workers_busy",
    otlp="floe.monitor.workers.busy",
    otlp_unit="{worker}",
    kind=Kind.GAUGE,
    origin=Origin.MONITOR,
    labels=("plugin",),
    description="Slots taken by validations, stuck ones included",
)
WORKERS_STUCK = Instrument(
    name="floe_monitor_workers_stuck",
    otlp="floe.monitor.workers.stuck",
    otlp_unit="{worker}",
    kind=Kind.GAUGE,
    origin=Origin.MONITOR,
    labels=("plugin",),
    description="Workers past their deadline that have not returned",
)
WORKERS_LIMIT = Instrument(
    name="floe_monitor_workers_limit",
    otlp="floe.monitor.workers.limit",
    otlp_unit="{worker}",
    kind=Kind.GAUGE,
    origin=Origin.MONITOR,
    labels=("plugin",),
    description="Slots the plugin may take",
)
LATE_RETURNS = Instrument(
    name="floe_monitor_late_returns_total",
    otlp="floe.monitor.late_returns",
    otlp_unit="{probe}",
    kind=Kind.COUNTER,
    origin=Origin.EVENTS,
    labels=("plugin",),
    description="Workers that returned after their deadline; their results were dropped",
)
PROBES_SKIPPED = Instrument(
    name="floe_monitor_probes_skipped_total",
    otlp="floe.monitor.probes.skipped",
    otlp_unit="{probe}",
    kind=Kind.COUNTER,
    origin=Origin.EVENTS,
    labels=("plugin", "reason"),
    description="Ticks that became no probe: the last one running or stuck, no free slot, woken too late, "
    "or a shortage of the monitor's own",
)
SCHEDULE_LAG = Instrument(
    name="floe_monitor_schedule_lag_seconds",
    otlp="floe.monitor.schedule.lag_ms",
    otlp_unit="ms",
    kind=Kind.HISTOGRAM,
    origin=Origin.EVENTS,
    buckets=WAIT_BUCKETS,
    description="From the time of a tick to its start",
)
SLOT_WAIT = Instrument(
    name="floe_monitor_slot_wait_seconds",
    otlp="floe.monitor.slot.wait_ms",
    otlp_unit="ms",
    kind=Kind.HISTOGRAM,
    origin=Origin.EVENTS,
    buckets=WAIT_BUCKETS,
    description="How long probes waited for a slot; part of neither duration nor deadline",
)
SCHEDULER_BEAT_AGE = Instrument(
    name="floe_monitor_scheduler_beat_age_seconds",
    kind=Kind.GAUGE,
    origin=Origin.MONITOR,
    description="Time since the scheduler's last turn; /healthz fails when it grows",
)
READY = Instrument(
    name="floe_monitor_ready",
    kind=Kind.GAUGE,
    origin=Origin.MONITOR,
    description="1 after the first full round of probes and the first look at every profile",
)
RELOAD_SUCCESSFUL = Instrument(
    name="floe_monitor_config_last_reload_successful",
    otlp="floe.monitor.config.last_reload.successful",
    kind=Kind.GAUGE,
    origin=Origin.MONITOR,
    description="1 if the last attempt to load the configuration succeeded",
)
RELOAD_TIMESTAMP = Instrument(
    name="floe_monitor_config_last_reload_success_timestamp_seconds",
    kind=Kind.GAUGE,
    origin=Origin.MONITOR,
    description="When the configuration in force was loaded, in Unix time",
)
PROFILE_IN_SYNC = Instrument(
    name="floe_monitor_profile_in_sync",
    otlp="floe.monitor.profile.in_sync",
    kind=Kind.GAUGE,
    origin=Origin.MONITOR,
    labels=("profile",),
    description="1 if the profile in profiles.yml was what the configuration says, when last compared",
)
PROFILE_WRITES = Instrument(
    name="floe_monitor_profile_writes_total",
    otlp="floe.monitor.profile.writes",
    otlp_unit="{write}",
    kind=Kind.COUNTER,
    origin=Origin.EVENTS,
    labels=("profile", "result"),
    description="Attempts to rewrite a profile that differed: written, refused, foreign_owner or failed",
)
SINK_DROPPED = Instrument(
    name="floe_monitor_sink_dropped_total",
    otlp="floe.monitor.sink.dropped",
    otlp_unit="{event}",
    kind=Kind.COUNTER,
    origin=Origin.MONITOR,
    labels=("sink",),
    description="Events, lines or spans an exporter lost because it was slow or failed",
)
SHARD_INFO = Instrument(
    name="floe_monitor_shard_info",
    kind=Kind.INFO,
    origin=Origin.MONITOR,
    labels=("shard", "shards", "replicas"),
    description="Which shard this is, of how many, and on how many each target is; absent without `shard`",
)
CONFIGURED_TARGETS = Instrument(
    name="floe_monitor_configured_targets",
    kind=Kind.GAUGE,
    origin=Origin.MONITOR,
    description="Targets of the whole configuration, whichever shard watches them; absent without `shard`",
)
BUILD_INFO = Instrument(
    name="floe_monitor_build_info",
    kind=Kind.INFO,
    origin=Origin.MONITOR,
    labels=("version",),
    description="The running floe-monitor",
)

INSTRUMENTS: tuple[Instrument, ...] = (
    VALIDATION_DURATION,
    VALIDATION_ERRORS,
    PROFILE_GENERATION,
    TARGET_STATUS,
    TARGET_UP,
    TARGET_LAST_DURATION,
    TARGET_LAST_VALIDATION,
    TARGET_LAST_SUCCESS,
    TARGET_FAILURES,
    TARGET_CHANGES,
    TARGET_VALIDATIONS,
    TARGET_RESULT_SECONDS,
    TARGET_OBJECTIVE,
    TARGET_ERROR,
    TARGET_INTERVAL,
    TARGET_CHECK,
    TARGET_INFO,
    WORKERS_BUSY,
    WORKERS_STUCK,
    WORKERS_LIMIT,
    LATE_RETURNS,
    PROBES_SKIPPED,
    SCHEDULE_LAG,
    SLOT_WAIT,
    SCHEDULER_BEAT_AGE,
    READY,
    RELOAD_SUCCESSFUL,
    RELOAD_TIMESTAMP,
    PROFILE_IN_SYNC,
    PROFILE_WRITES,
    SINK_DROPPED,
    SHARD_INFO,
    CONFIGURED_TARGETS,
    BUILD_INFO,
)


def reference() -> str:
    """The table of `docs/metrics.md`."""
    lines = ["| Prometheus | OTLP (unit) | type | labels | meaning |", "|---|---|---|---|---|"]
    for each in INSTRUMENTS:
        otlp = f"`{each.otlp}` ({each.otlp_unit})" if each.otlp else ""
        labels = ", ".join(f"`{label}`" for label in each.labels)
        lines.append(f"| `{each.name}` | {otlp} | {each.kind} | {labels} | {each.description} |")
    return "\n".join(lines) + "\n"
