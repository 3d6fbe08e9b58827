"""What is measured of the monitor itself: names, and what each means."""

from __future__ import annotations

from floe_monitor.telemetry.instrument import Instrument, Kind, Origin

WAIT_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

INCIDENTS_OPEN = Instrument(
    name="floe_compute_incidents_open",
    otlp="floe.compute.incidents.open",
    otlp_unit="{incident}",
    kind=Kind.GAUGE,
    origin=Origin.MONITOR,
    description="Incidents that have not ended; targets that fail alike by what they share are one",
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
    otlp="floe.monitor.schedule.lag",
    otlp_unit="s",
    otlp_ms="floe.monitor.schedule.lag_ms",
    kind=Kind.HISTOGRAM,
    origin=Origin.EVENTS,
    buckets=WAIT_BUCKETS,
    description="From the time of a tick to its start",
)
SLOT_WAIT = Instrument(
    name="floe_monitor_slot_wait_seconds",
    otlp="floe.monitor.slot.wait",
    otlp_unit="s",
    otlp_ms="floe.monitor.slot.wait_ms",
    kind=Kind.HISTOGRAM,
    origin=Origin.EVENTS,
    buckets=WAIT_BUCKETS,
    description="How long probes waited for a slot; part of neither duration nor deadline",
)
SCHEDULER_BEAT_AGE = Instrument(
    name="floe_monitor_scheduler_beat_age_seconds",
    otlp="floe.monitor.scheduler.beat_age",
    otlp_unit="s",
    kind=Kind.GAUGE,
    origin=Origin.MONITOR,
    description="Time since the scheduler's last turn; /healthz fails when it grows",
)
READY = Instrument(
    name="floe_monitor_ready",
    otlp="floe.monitor.ready",
    otlp_unit="{monitor}",
    kind=Kind.GAUGE,
    origin=Origin.MONITOR,
    description="1 after the first full round of probes and the first look at every profile",
)
CONNECTIVITY = Instrument(
    name="floe_monitor_connectivity_status",
    otlp="floe.monitor.connectivity.status",
    otlp_unit="{status}",
    kind=Kind.GAUGE,
    origin=Origin.MONITOR,
    description="Whether targets on the network are reached: 0 not judged, 1 some are, 2 in doubt, 3 none",
)
RELOAD_SUCCESSFUL = Instrument(
    name="floe_monitor_config_last_reload_successful",
    otlp="floe.monitor.config.last_reload.successful",
    otlp_unit="{reload}",
    kind=Kind.GAUGE,
    origin=Origin.MONITOR,
    description="1 if the last attempt to load the configuration succeeded",
)
RELOAD_TIMESTAMP = Instrument(
    name="floe_monitor_config_last_reload_success_timestamp_seconds",
    otlp="floe.monitor.config.last_reload.success.timestamp",
    otlp_unit="s",
    kind=Kind.GAUGE,
    origin=Origin.MONITOR,
    description="When the configuration in force was loaded, in Unix time",
)
PROFILE_IN_SYNC = Instrument(
    name="floe_monitor_profile_in_sync",
    otlp="floe.monitor.profile.in_sync",
    otlp_unit="{profile}",
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
NOTIFICATIONS = Instrument(
    name="floe_monitor_notifications_total",
    otlp="floe.monitor.notifications",
    otlp_unit="{notification}",
    kind=Kind.COUNTER,
    origin=Origin.MONITOR,
    labels=("channel", "result"),
    description="Messages that were sent, attempts that failed, and messages that were given up (dead)",
)
NOTIFICATIONS_PENDING = Instrument(
    name="floe_monitor_notifications_pending",
    otlp="floe.monitor.notifications.pending",
    otlp_unit="{notification}",
    kind=Kind.GAUGE,
    origin=Origin.MONITOR,
    labels=("channel",),
    description="Messages to be sent, those held in quiet hours included",
)
HISTORY_UP = Instrument(
    name="floe_monitor_history_up",
    otlp="floe.monitor.history.up",
    otlp_unit="{history}",
    kind=Kind.GAUGE,
    origin=Origin.MONITOR,
    description="1 while the history is written, 0 while it cannot be; absent where none is configured",
)
REQUESTS_REFUSED = Instrument(
    name="floe_monitor_http_requests_refused_total",
    otlp="floe.monitor.http.requests.refused",
    otlp_unit="{request}",
    kind=Kind.COUNTER,
    origin=Origin.MONITOR,
    labels=("reason",),
    description="Requests that were not let in: rate_limit, unauthenticated, forbidden, origin or busy",
)
SHARD_INFO = Instrument(
    name="floe_monitor_shard_info",
    otlp="floe.monitor.shard.info",
    otlp_unit="{shard}",
    kind=Kind.INFO,
    origin=Origin.MONITOR,
    labels=("shard", "shards", "replicas"),
    description="Which shard this is, of how many, and on how many each target is; absent without `shard`",
)
CONFIGURED_TARGETS = Instrument(
    name="floe_monitor_configured_targets",
    otlp="floe.monitor.configured_targets",
    otlp_unit="{target}",
    kind=Kind.GAUGE,
    origin=Origin.MONITOR,
    description="Targets of the whole configuration, whichever shard watches them; absent without `shard`",
)
BUILD_INFO = Instrument(
    name="floe_monitor_build_info",
    otlp="floe.monitor.build.info",
    otlp_unit="{monitor}",
    kind=Kind.INFO,
    origin=Origin.MONITOR,
    labels=("version",),
    description="The running floe-monitor",
)

MONITOR_INSTRUMENTS: tuple[Instrument, ...] = (
    INCIDENTS_OPEN,
    WORKERS_BUSY,
    WORKERS_STUCK,
    WORKERS_LIMIT,
    LATE_RETURNS,
    PROBES_SKIPPED,
    SCHEDULE_LAG,
    SLOT_WAIT,
    SCHEDULER_BEAT_AGE,
    READY,
    CONNECTIVITY,
    RELOAD_SUCCESSFUL,
    RELOAD_TIMESTAMP,
    PROFILE_IN_SYNC,
    PROFILE_WRITES,
    SINK_DROPPED,
    NOTIFICATIONS,
    NOTIFICATIONS_PENDING,
    HISTORY_UP,
    REQUESTS_REFUSED,
    SHARD_INFO,
    CONFIGURED_TARGETS,
    BUILD_INFO,
)
