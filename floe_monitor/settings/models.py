"""The configuration as models: every key, its default and its meaning.

Field descriptions are the reference: `config schema` and `docs/configuration.md` are made from them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from floe_monitor.settings.durations import DAY, Duration
from floe_monitor.settings.environment import PREFIX
from floe_monitor.settings.fields import (
    CredentialReference,
    LabelName,
    Model,
    Name,
    Objective,
    OutputName,
    Pathname,
)
from floe_monitor.settings.history_models import HistoryCount, HistorySettings, from_number
from floe_monitor.settings.http_models import HttpSettings
from floe_monitor.settings.maintenance_models import MOST_WINDOWS, MaintenanceSettings, WindowSettings
from floe_monitor.settings.notification_models import NotificationSettings
from floe_monitor.settings.shard_models import ShardSettings
from floe_monitor.settings.sources import reading_under_way

SHORTEST = 0.001
"""Seconds: what is less is no time in which anything could be done, and would be asked for without end."""
LONGEST_WINDOW = 1000
"""Results: each target keeps as many."""
Isolation = Literal["thread", "process"]


class ProbeSettings(Model):
    """How targets are probed. A target's own `probe` overrides key by key."""

    interval: Duration = Field(default=30.0, ge=SHORTEST, description="Time between probes of a target")
    failing_interval: Duration | None = Field(
        default=None,
        ge=SHORTEST,
        description="Time between probes while it is not healthy; interval if unset",
    )
    timeout: Duration = Field(default=5.0, ge=SHORTEST, le=DAY, description="Deadline of one probe")
    failure_threshold: int = Field(default=1, ge=1, description="Results that a worse status takes")
    failure_window: int | None = Field(
        default=None,
        ge=1,
        le=LONGEST_WINDOW,
        description="Of how many of the last results; unset: of as many, so in a row",
    )
    success_threshold: int = Field(default=1, ge=1, description="Results that a better status takes")
    success_window: int | None = Field(
        default=None,
        ge=1,
        le=LONGEST_WINDOW,
        description="Of how many of the last results; unset: of as many, so in a row",
    )
    isolation: Isolation | None = Field(
        default=None,
        description="thread, or process (a stuck worker is killed); unset: the plugin's own default, "
        "which is thread unless its driver cannot be bounded",
    )
    expiry_warning: Duration = Field(
        default=14 * DAY,
        ge=0,
        description="How long before the end of a certificate, a password, a token or a key the target has a "
        "warning; 0 for none",
    )
    token_expiry_warning: Duration | None = Field(
        default=None,
        ge=0,
        description="The same for tokens; for those that are replaced in time, less than is left then",
    )


class TargetProbeSettings(Model):
    """Overrides of `probe` for one target."""

    interval: Duration | None = Field(default=None, ge=SHORTEST, description="Time between probes")
    failing_interval: Duration | None = Field(
        default=None, ge=SHORTEST, description="Time between probes while it is not healthy"
    )
    timeout: Duration | None = Field(default=None, ge=SHORTEST, le=DAY, description="Deadline of one probe")
    failure_threshold: int | None = Field(default=None, ge=1, description="Results that a worse status takes")
    failure_window: int | None = Field(
        default=None, ge=1, le=LONGEST_WINDOW, description="Of how many of the last results"
    )
    success_threshold: int | None = Field(
        default=None, ge=1, description="Results that a better status takes"
    )
    success_window: int | None = Field(
        default=None, ge=1, le=LONGEST_WINDOW, description="Of how many of the last results"
    )
    isolation: Isolation | None = Field(default=None, description="thread or process")
    expiry_warning: Duration | None = Field(
        default=None, ge=0, description="How long before an end there is a warning"
    )
    token_expiry_warning: Duration | None = Field(default=None, ge=0, description="The same for tokens alone")


class SloSettings(Model):
    """The service level of targets. A target's own `slo` overrides it."""

    objective: Objective = Field(
        default=99.5, description="Percentage of the time in which dbt is to be able to work with a target"
    )


class TargetSloSettings(Model):
    """Overrides of `slo` for one target."""

    objective: Objective | None = Field(default=None, description="Percentage of the time")


class WorkerSettings(Model):
    limit: int = Field(default=32, ge=1, description="Slots in all")
    per_plugin: int = Field(default=16, ge=1, description="Slots of one plugin")
    stuck_limit: int | None = Field(
        default=None,
        ge=1,
        description="Stuck workers at which /healthz fails; unset: the smaller of both limits",
    )

    @property
    def stuck_limit_in_force(self) -> int:
        return self.stuck_limit or min(self.limit, self.per_plugin)


class CatalogSettings(Model):
    """An Iceberg REST catalog for `catalog-sql`, where the plugin's own connection does not name one."""

    catalog_type: str = Field(default="rest", description="Catalog protocol: rest")
    catalog_uri: str = Field(description="Base URI of the catalog")
    catalog_name: str = Field(description="Name of the catalog")
    warehouse: str | None = Field(default=None, description="Warehouse; the catalog's name if unset")
    alias: str | None = Field(default=None, description="Name under which the engine sees the catalog")
    oauth_server_uri: str | None = Field(default=None, description="OAuth2 token endpoint")
    scope: str | None = Field(default=None, description="OAuth2 scope")
    credentials: dict[str, CredentialReference] = Field(default_factory=dict, description="By reference")
    options: dict[str, Any] = Field(default_factory=dict, description="Options of the engine alone")


class TargetSettings(BaseModel):
    """One target. Keys beyond these belong to the plugin's own configuration model and are checked there."""

    model_config = ConfigDict(extra="allow", frozen=True)

    plugin: str = Field(min_length=1, description="Compute plugin")
    distribution: str | None = Field(
        default=None, description="Which distribution's plugin, where two claim the name"
    )
    timeout_seconds: int = Field(default=3600, ge=1, le=86400, description="Query timeout that dbt runs with")
    threads: int = Field(default=4, ge=1, le=64, description="dbt threads")
    connection: dict[str, Any] = Field(
        default_factory=dict, description="The plugin's keys, under dbt's names"
    )
    credentials: dict[str, CredentialReference] = Field(default_factory=dict, description="By reference")
    catalog: CatalogSettings | None = Field(default=None, description="A catalog for catalog-sql")
    probe: TargetProbeSettings = Field(default_factory=TargetProbeSettings, description="Overrides of probe")
    slo: TargetSloSettings = Field(default_factory=TargetSloSettings, description="Overrides of slo")
    maintenance: list[WindowSettings] = Field(
        default_factory=list, max_length=MOST_WINDOWS, description="Maintenance windows of its own"
    )
    output: OutputName | None = Field(
        default=None, description="Name of its output in profiles.yml; the target's name if unset"
    )
    output_keys: dict[str, Any] | None = Field(
        default=None,
        description="Keys that its output has as they are given here, over what the plugin writes",
    )
    output_without: list[str] | None = Field(
        default=None, description="Keys of what the plugin writes that its output is to lack"
    )
    labels: dict[LabelName, str] = Field(
        default_factory=dict, description="Exported on floe_compute_target_info"
    )


class ProfileSettings(Model):
    """One profile kept in a profiles.yml."""

    name: str = Field(min_length=1, description="Profile name, as dbt_project.yml has it")
    path: Pathname = Field(description="The profiles.yml; relative to the working directory")
    target: str | None = Field(
        default=None,
        description="Default output; if unset the file's own, in a new profile the first target",
    )
    targets: list[str] | None = Field(default=None, description="Outputs to write; all targets if unset")
    prune: bool = Field(
        default=False,
        description="Make the profile the configuration's alone: remove every other output and key from it",
    )
    reconcile_interval: Duration = Field(
        default=10.0, ge=SHORTEST, description="How often drift is looked for"
    )


class ReloadSettings(Model):
    watch: bool = Field(default=True, description="Reload when a configuration file changes")
    poll_interval: Duration = Field(
        default=10.0, ge=SHORTEST, description="Besides file events, compare the files' content this often"
    )


class LogSettings(Model):
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level written"
    )
    format: Literal["auto", "json", "console"] = Field(
        default="auto", description="auto: console on a terminal, else json"
    )
    probes: bool = Field(default=False, description="One line per probe too, not per status change alone")


class OtlpSettings(Model):
    """OTLP export. The standard OTEL_* variables switch it on and configure it as well."""

    enabled: bool | None = Field(
        default=None, description="Unset: on when an OTEL_EXPORTER_OTLP_* endpoint is set"
    )
    endpoint: str | None = Field(default=None, description="Collector; OTEL_EXPORTER_OTLP_ENDPOINT if unset")
    protocol: Literal["grpc", "http/protobuf"] | None = Field(
        default=None, description="OTEL_EXPORTER_OTLP_PROTOCOL if unset, then http/protobuf"
    )
    headers: dict[str, CredentialReference] = Field(default_factory=dict, description="Headers, by reference")
    export_interval: Duration = Field(default=15.0, ge=SHORTEST, description="Time between metric exports")
    histograms: Literal["explicit", "exponential"] | None = Field(
        default=None,
        description="Buckets: those of the table, or as the values come; unset: "
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION, then explicit",
    )
    traces: bool = Field(default=True, description="Export spans")
    metrics: bool = Field(default=True, description="Export metrics")
    resource: dict[str, str] = Field(default_factory=dict, description="More resource attributes")


class Settings(BaseSettings):
    """The whole configuration."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, validate_default=False, env_prefix=PREFIX, env_nested_delimiter="__"
    )

    probe: ProbeSettings = Field(default_factory=ProbeSettings, description="How targets are probed")
    slo: SloSettings = Field(default_factory=SloSettings, description="Service level of targets")
    maintenance: list[MaintenanceSettings] = Field(
        default_factory=list, max_length=MOST_WINDOWS, description="When targets are worked on"
    )
    workers: WorkerSettings = Field(default_factory=WorkerSettings, description="Slots for validations")
    http: HttpSettings = Field(
        default_factory=HttpSettings, description="Metrics, health, API and status page"
    )
    profiles: list[ProfileSettings] = Field(default_factory=list, description="Profiles to keep in step")
    targets: dict[Name, TargetSettings] = Field(default_factory=dict, description="What is watched, by name")
    shard: ShardSettings | None = Field(
        default=None, description="Which part of the targets to watch; unset: all of them"
    )
    include: list[Pathname] = Field(
        default_factory=list, description="More files with targets and profiles; globs, relative to this file"
    )
    reload: ReloadSettings = Field(default_factory=ReloadSettings, description="When to reload")
    log: LogSettings = Field(default_factory=LogSettings, description="Logging")
    otlp: OtlpSettings = Field(default_factory=OtlpSettings, description="OpenTelemetry export")
    history: Annotated[
        HistorySettings, BeforeValidator(from_number, json_schema_input_type=HistoryCount | HistorySettings)
    ] = Field(
        default_factory=HistorySettings,
        description="Results kept per target in memory, or where all are kept",
    )
    notifications: NotificationSettings = Field(
        default_factory=NotificationSettings, description="Who is told of what"
    )
    shutdown_grace: Duration = Field(default=10.0, ge=0, le=DAY, description="Time for an orderly stop")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic-settings' own
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment over secrets over files, for `load`; the values given alone, for any other caller."""
        reading = reading_under_way()
        return (init_settings,) if reading is None else reading.sources(settings_cls)
