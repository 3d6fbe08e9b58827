"""What is measured of targets and of the profiles generated for them: names, and what each means."""

from __future__ import annotations

from floe_monitor.telemetry.instrument import Instrument, Kind, Origin

VALIDATION_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
GENERATION_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0)

_TARGET = ("target", "plugin")

VALIDATION_DURATION = Instrument(
    name="floe_compute_validation_duration_seconds",
    otlp="floe.compute.validation.duration",
    otlp_unit="s",
    otlp_ms="floe.compute.validation.duration_ms",
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
    otlp="floe.compute.profile.generation.duration",
    otlp_unit="s",
    otlp_ms="floe.compute.profile.generation_ms",
    kind=Kind.HISTOGRAM,
    origin=Origin.EVENTS,
    labels=("plugin",),
    buckets=GENERATION_BUCKETS,
    description="How long plugins took to generate one dbt output",
)
TARGET_STATUS = Instrument(
    name="floe_compute_target_status",
    otlp="floe.compute.target.status",
    otlp_unit="{status}",
    kind=Kind.GAUGE,
    origin=Origin.TARGET,
    labels=_TARGET,
    description="Health of the target: 0 unknown, 1 healthy, 2 degraded, 3 unhealthy",
)
TARGET_UP = Instrument(
    name="floe_compute_target_up",
    otlp="floe.compute.target.up",
    otlp_unit="{target}",
    kind=Kind.GAUGE,
    origin=Origin.TARGET,
    labels=_TARGET,
    description="1 if the target is healthy or degraded, 0 if it is unhealthy or unknown",
)
TARGET_LAST_DURATION = Instrument(
    name="floe_compute_target_last_duration_seconds",
    otlp="floe.compute.target.last_duration",
    otlp_unit="s",
    kind=Kind.GAUGE,
    origin=Origin.TARGET,
    labels=_TARGET,
    description="Duration of the target's last validation",
)
TARGET_LAST_VALIDATION = Instrument(
    name="floe_compute_target_last_validation_timestamp_seconds",
    otlp="floe.compute.target.last_validation.timestamp",
    otlp_unit="s",
    kind=Kind.GAUGE,
    origin=Origin.TARGET,
    labels=_TARGET,
    description="When the target's last validation finished, in Unix time",
)
TARGET_LAST_SUCCESS = Instrument(
    name="floe_compute_target_last_success_timestamp_seconds",
    otlp="floe.compute.target.last_success.timestamp",
    otlp_unit="s",
    kind=Kind.GAUGE,
    origin=Origin.TARGET,
    labels=_TARGET,
    description="When the last validation that was not unhealthy finished, in Unix time; absent before it",
)
TARGET_FAILURES = Instrument(
    name="floe_compute_target_consecutive_failures",
    otlp="floe.compute.target.consecutive_failures",
    otlp_unit="{validation}",
    kind=Kind.GAUGE,
    origin=Origin.TARGET,
    labels=_TARGET,
    description="Unhealthy validations in a row, up to the last one",
)
TARGET_CHANGES = Instrument(
    name="floe_compute_target_status_changes_total",
    otlp="floe.compute.target.status_changes",
    otlp_unit="{change}",
    kind=Kind.COUNTER,
    origin=Origin.TARGET,
    labels=_TARGET,
    description="Changes of the target's status since it was configured; learning the first is none",
)
TARGET_VALIDATIONS = Instrument(
    name="floe_compute_target_validations_total",
    otlp="floe.compute.target.validations",
    otlp_unit="{validation}",
    kind=Kind.COUNTER,
    origin=Origin.TARGET,
    labels=_TARGET,
    description="Validations of the target, whatever they found",
)
TARGET_RESULT_SECONDS = Instrument(
    name="floe_compute_target_result_seconds_total",
    otlp="floe.compute.target.result",
    otlp_unit="s",
    kind=Kind.COUNTER,
    origin=Origin.TARGET,
    labels=(*_TARGET, "status"),
    description="How long single results stood, each from one validation to the next, without maintenance",
)
TARGET_MAINTENANCE = Instrument(
    name="floe_compute_target_maintenance",
    otlp="floe.compute.target.maintenance",
    otlp_unit="{target}",
    kind=Kind.GAUGE,
    origin=Origin.TARGET,
    labels=_TARGET,
    description="1 while the target is in maintenance, 0 else; absent where no window is configured for it",
)
TARGET_MAINTENANCE_END = Instrument(
    name="floe_compute_target_maintenance_end_timestamp_seconds",
    otlp="floe.compute.target.maintenance.end.timestamp",
    otlp_unit="s",
    kind=Kind.GAUGE,
    origin=Origin.TARGET,
    labels=_TARGET,
    description="When the maintenance that the target is in ends, in Unix time; absent outside of it",
)
TARGET_MAINTENANCE_SECONDS = Instrument(
    name="floe_compute_target_maintenance_seconds_total",
    otlp="floe.compute.target.maintenance.seconds",
    otlp_unit="s",
    kind=Kind.COUNTER,
    origin=Origin.TARGET,
    labels=_TARGET,
    description="Time in maintenance, which floe_compute_target_result_seconds_total leaves out; absent "
    "where no window is configured for the target",
)
TARGET_OBJECTIVE = Instrument(
    name="floe_compute_target_slo_objective_ratio",
    otlp="floe.compute.target.slo.objective",
    otlp_unit="1",
    kind=Kind.GAUGE,
    origin=Origin.TARGET,
    labels=_TARGET,
    description="Configured share of the time in which dbt is to be able to work with the target",
)
TARGET_ERROR = Instrument(
    name="floe_compute_target_error",
    otlp="floe.compute.target.error",
    otlp_unit="{target}",
    kind=Kind.GAUGE,
    origin=Origin.TARGET,
    labels=(*_TARGET, "error_type"),
    description="1 for the reason of the last validation, where it found something wrong; absent else",
)
TARGET_INTERVAL = Instrument(
    name="floe_compute_target_interval_seconds",
    otlp="floe.compute.target.interval",
    otlp_unit="s",
    kind=Kind.GAUGE,
    origin=Origin.TARGET,
    labels=_TARGET,
    description="Configured time between probes of the target, the longer one where a failing target has its "
    "own: what its last validation's age compares with",
)
TARGET_CHECK = Instrument(
    name="floe_compute_target_check_status",
    otlp="floe.compute.target.check.status",
    otlp_unit="{status}",
    kind=Kind.GAUGE,
    origin=Origin.TARGET,
    labels=(*_TARGET, "check"),
    description="What the last validation found in each check; values as in floe_compute_target_status",
)
TARGET_CHECK_DURATION = Instrument(
    name="floe_compute_target_check_duration_seconds",
    otlp="floe.compute.target.check.duration",
    otlp_unit="s",
    kind=Kind.GAUGE,
    origin=Origin.TARGET,
    labels=(*_TARGET, "check"),
    description="Duration of each check in the last validation",
)
TARGET_EXPIRY = Instrument(
    name="floe_compute_target_expiry_timestamp_seconds",
    otlp="floe.compute.target.expiry.timestamp",
    otlp_unit="s",
    kind=Kind.GAUGE,
    origin=Origin.TARGET,
    labels=(*_TARGET, "what"),
    description="When what the target needs expires, in Unix time: the earliest of its kind",
)
TARGET_EXPIRY_WARNING = Instrument(
    name="floe_compute_target_expiry_warning_seconds",
    otlp="floe.compute.target.expiry.warning",
    otlp_unit="s",
    kind=Kind.GAUGE,
    origin=Origin.TARGET,
    labels=(*_TARGET, "what"),
    description="How long before it expires it is warned of; absent where it is not",
)
TARGET_WAKE_DURATION = Instrument(
    name="floe_compute_target_wake_duration_seconds",
    otlp="floe.compute.target.wake.duration",
    otlp_unit="s",
    kind=Kind.GAUGE,
    origin=Origin.TARGET,
    labels=_TARGET,
    description="How long an engine that rests took to wake, when it last did: from first seen starting to "
    "first seen running; absent before",
)
TARGET_INFO = Instrument(
    name="floe_compute_target_info",
    otlp="floe.compute.target.info",
    otlp_unit="{target}",
    kind=Kind.INFO,
    origin=Origin.TARGET,
    labels=(*_TARGET, "dbt_type", "server_address", "label_*"),
    description="The target's dbt adapter type, its server, and each configured label under label_<name>",
)
TARGET_INSTRUMENTS: tuple[Instrument, ...] = (
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
    TARGET_MAINTENANCE,
    TARGET_MAINTENANCE_END,
    TARGET_MAINTENANCE_SECONDS,
    TARGET_OBJECTIVE,
    TARGET_ERROR,
    TARGET_INTERVAL,
    TARGET_CHECK,
    TARGET_CHECK_DURATION,
    TARGET_EXPIRY,
    TARGET_EXPIRY_WARNING,
    TARGET_WAKE_DURATION,
    TARGET_INFO,
)
