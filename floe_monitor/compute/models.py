"""The contract's values: configuration in, results out."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from floe_monitor.compute.quantities import Quantity


class ConnectionStatus(Enum):
    """What one validation found. `severity` orders them: 1 healthy, 2 degraded, 3 unhealthy."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"

    @property
    def severity(self) -> int:
        return _SEVERITY[self]


_SEVERITY = {ConnectionStatus.HEALTHY: 1, ConnectionStatus.DEGRADED: 2, ConnectionStatus.UNHEALTHY: 3}


class ErrorType(StrEnum):
    """Why a validation or a check did not pass: a closed set, safe as a label value."""

    TIMEOUT = "timeout"
    CONNECTION = "connection"
    AUTHENTICATION = "authentication"
    PERMISSION = "permission"
    CONFIGURATION = "configuration"
    QUERY = "query"
    EXTENSION = "extension"
    CATALOG = "catalog"
    PLUGIN = "plugin"
    """The plugin itself broke its contract."""


class ExpiryKind(StrEnum):
    """What ends at a known time: a closed set, safe as a label value."""

    SERVER_CERTIFICATE = "server_certificate"
    PASSWORD = "password"  # noqa: S105 - its name
    TOKEN = "token"  # noqa: S105 - as above
    KEY = "key"
    """A key pair, or the certificate that a client shows."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """Something that a target needs ends at `at`, in Unix time. `of` says whose it is, for people."""

    what: ExpiryKind
    at: float
    of: str = ""


class EngineState(StrEnum):
    """Of compute that rests while nobody uses it."""

    SUSPENDED = "suspended"
    STARTING = "starting"
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class ObservedState:
    """In what state the engine was at `at`, in Unix time."""

    state: EngineState
    at: float


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One step inside a validation.

    `name` becomes a label value and a span name: a short lower-case word, with a colon before an instance
    (`connect`, `extension:iceberg`). `started_ms` is the offset from the start of the validation.
    """

    name: str
    status: ConnectionStatus
    latency_ms: float = 0.0
    message: str = ""
    error_type: ErrorType | None = None
    started_ms: float = 0.0


@dataclass(slots=True)
class ConnectionResult:
    """What `validate_connection` returns. Only the first two fields are required.

    `latency_ms` is the plugin's own measurement; `error_type` names the first reason for a status other than
    HEALTHY, and may stay None where nothing is wrong with the engine (a database file in use).
    `server_address` is the name of the server that was asked, and `expiries` what it or the login will end
    with; `evidence.note_server` and `note_expiry` fill both. `engine_states` are those of an engine that
    rests, in the order in which they were seen, as `note_engine_state` notes them.
    """

    status: ConnectionStatus
    latency_ms: float
    message: str = ""
    warnings: list[str] = field(default_factory=list)
    checks: tuple[CheckResult, ...] = ()
    error_type: ErrorType | None = None
    server_address: str = ""
    expiries: tuple[Expiry, ...] = ()
    engine_states: tuple[ObservedState, ...] = ()


class ResourceSpec(BaseModel):
    """Kubernetes resources of a dbt job pod, as Kubernetes quantities."""

    model_config = ConfigDict(frozen=True)

    cpu_request: Quantity = Field(default="100m", description="CPU request")
    cpu_limit: Quantity = Field(default="1000m", description="CPU limit")
    memory_request: Quantity = Field(default="256Mi", description="Memory request")
    memory_limit: Quantity = Field(default="1Gi", description="Memory limit")
    ephemeral_storage_request: Quantity = Field(default="100Mi", description="Ephemeral storage request")
    ephemeral_storage_limit: Quantity = Field(default="1Gi", description="Ephemeral storage limit")


WORKLOAD_PRESETS: dict[str, ResourceSpec] = {
    "small": ResourceSpec(
        cpu_request="100m",
        cpu_limit="500m",
        memory_request="256Mi",
        memory_limit="512Mi",
        ephemeral_storage_request="100Mi",
        ephemeral_storage_limit="500Mi",
    ),
    "medium": ResourceSpec(
        cpu_request="500m",
        cpu_limit="2000m",
        memory_request="1Gi",
        memory_limit="4Gi",
        ephemeral_storage_request="500Mi",
        ephemeral_storage_limit="2Gi",
    ),
    "large": ResourceSpec(
        cpu_request="2000m",
        cpu_limit="8000m",
        memory_request="4Gi",
        memory_limit="16Gi",
        ephemeral_storage_request="1Gi",
        ephemeral_storage_limit="5Gi",
    ),
}
"""Sizes of dbt job pods. They size the pod that runs dbt, not the monitor."""


class ComputeConfig(BaseModel):
    """One target as its plugin sees it.

    `connection` holds the plugin's own keys under their dbt names and always stays a plain mapping. A plugin
    that wants them typed subclasses this model: a key of `connection` that names a field of the subclass
    fills that field too, so that `connection: {path: x}` and a top-level `path: x` mean the same.

    For `validate_connection` every `env_var` reference and credential is resolved. For `generate_dbt_profile`
    nothing is: each credential's value is then the dbt expression (`{{ env_var('NAME') }}`) to write down.
    """

    model_config = ConfigDict(extra="allow")

    plugin: str = Field(min_length=1, description="Name of the compute plugin")
    timeout_seconds: int = Field(
        default=3600, ge=1, le=86400, description="Query timeout that dbt runs with, in seconds"
    )
    threads: int = Field(default=4, ge=1, le=64, description="dbt threads")
    connection: dict[str, Any] = Field(
        default_factory=dict, description="Connection keys of the plugin, under their dbt names"
    )
    credentials: dict[str, SecretStr] = Field(
        default_factory=dict, description="Credentials, resolved at each probe"
    )

    @model_validator(mode="before")
    @classmethod
    def _lift_connection(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("connection"), dict):
            return data
        own = cls.model_fields.keys() - ComputeConfig.model_fields.keys()
        if not own:
            return data
        aliases = {f.alias: n for n, f in cls.model_fields.items() if f.alias and n in own}
        lifted: dict[str, Any] = {}
        for key, value in data["connection"].items():
            if key not in own and key not in aliases:
                continue
            if key in data and data[key] != value:
                raise ValueError(f"{key!r} is given twice, in `connection` and beside it, with two values")
            lifted[key] = value
        return {**data, **lifted}


class DuckDBComputeConfig(ComputeConfig):
    """The seed's DuckDB configuration; the DuckDB plugin extends it."""

    plugin: Literal["duckdb"] = "duckdb"
    path: str = Field(default=":memory:", description="Database file, or :memory:")
    memory_limit: str = Field(default="4GB", description="DuckDB's memory limit")
    extensions: list[str] = Field(default_factory=list, description="Extensions to load")


class CatalogConfig(BaseModel):
    """An Iceberg REST catalog to attach, whatever the engine.

    `credentials` keys: `client_id` and `client_secret`, or `credential` (`id:secret`), or `token`, or the
    object store's own (`key_id`, `secret`, `region`). `options` carries what one engine alone understands.
    """

    model_config = ConfigDict(frozen=True)

    catalog_type: str = Field(default="rest", description="Catalog protocol: rest")
    catalog_uri: str = Field(description="Base URI of the REST catalog")
    catalog_name: str = Field(description="Name of the catalog; also its alias where none is given")
    warehouse: str | None = Field(
        default=None, description="Warehouse to attach; the catalog's name if unset"
    )
    alias: str | None = Field(default=None, description="Name under which the engine sees the catalog")
    oauth_server_uri: str | None = Field(default=None, description="OAuth2 token endpoint")
    scope: str | None = Field(default=None, description="OAuth2 scope, e.g. PRINCIPAL_ROLE:ALL")
    credentials: dict[str, SecretStr] = Field(default_factory=dict, description="OAuth2 or IAM credentials")
    options: dict[str, Any] = Field(default_factory=dict, description="Options of one engine alone")
