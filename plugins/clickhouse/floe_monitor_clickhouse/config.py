"""The configuration of a ClickHouse target: dbt-clickhouse's own keys, and some that the monitor reads."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from floe_monitor.compute.toolkit import connection_cache
from floe_monitor.compute.toolkit.connection_cache import ReusingConfig
from floe_monitor.compute.toolkit.dbt_outputs import require_known, secrets_apart

Text = Annotated[str, Field(min_length=1, pattern=r"^[^\x00-\x1f\x7f]*$", max_length=4096)]

Identifier = Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$")]
"""Of ClickHouse Cloud: a UUID."""

SECRETS = ("password", "cloud_key_secret")
MONITOR_ONLY = connection_cache.MONITOR_ONLY | {
    "wake_service", "cloud_organization_id", "cloud_service_id", "cloud_key_id", "cloud_api"
}  # fmt: skip
_CLOUD = (".clickhouse.cloud", ".clickhouse-staging.com")
_NATIVE_PORTS = frozenset({9000, 9440})
_OF_TLS = ("client_cert", "client_cert_key")


class ClickHouseConfig(ReusingConfig):
    """The keys of `connection`, under dbt-clickhouse's names."""

    model_config = ConfigDict(extra="forbid")

    plugin: Literal["clickhouse"] = "clickhouse"
    driver: Literal["http", "native"] | None = Field(
        default=None, description="Protocol; unset: native for ports 9000 and 9440, else http"
    )
    host: Text | None = Field(
        default=None, description="Server; a name or an address alone; unset: localhost"
    )
    port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Its port; unset: by driver and secure (8123, 8443, 9000, 9440)",
    )
    user: Text | None = Field(default=None, description="User; unset: default")
    database: str | None = Field(default=None, description="Empty, or the same as schema, as dbt demands")
    schema_: Text | None = Field(
        default=None, alias="schema", description="Database that dbt builds in; unset: default"
    )
    cluster: str | None = Field(
        default=None, description="Cluster on which dbt creates and drops (ON CLUSTER)"
    )
    cluster_mode: bool | None = Field(
        default=None, description="Settings of Replicated databases, and no test of exchanging tables"
    )
    database_engine: Text | None = Field(
        default=None, description="Engine of a database that dbt creates, with its arguments"
    )
    secure: bool | None = Field(default=None, description="TLS")
    verify: bool | None = Field(default=None, description="false: the server's certificate is not verified")
    client_cert: Text | None = Field(default=None, description="File of the client's certificate, PEM")
    client_cert_key: Text | None = Field(default=None, description="File of its key, PEM, not encrypted")
    server_host_name: Text | None = Field(
        default=None, description="Name in the server's certificate, where it is not the host's"
    )
    connect_timeout: int | None = Field(
        default=None, ge=1, description="Seconds that dbt's driver waits for a connection; unset: 10"
    )
    send_receive_timeout: int | None = Field(
        default=None, ge=1, description="Seconds of silence that dbt's driver bears; unset: timeout_seconds"
    )
    sync_request_timeout: int | None = Field(
        default=None, ge=1, description="Seconds that the native driver waits for the answer to a ping"
    )
    retries: int | None = Field(default=None, ge=0, description="Attempts to connect that dbt adds; unset: 1")
    compression: bool | str | None = Field(default=None, description="Compression of dbt's own statements")
    compress_block_size: int | None = Field(default=None, ge=1, description="Bytes in one compressed block")
    check_exchange: bool | None = Field(
        default=None, description="Whether dbt tries to exchange two tables of its own; unset: it does"
    )
    custom_settings: dict[str, Any] | None = Field(
        default=None, description="ClickHouse settings of dbt's statements, and of the probe's"
    )
    use_lw_deletes: bool | None = Field(default=None, description="Delete and insert as dbt's usual strategy")
    allow_automatic_deduplication: bool | None = Field(
        default=None, description="Keep deduplication of inserts in replicated tables"
    )
    tcp_keepalive: bool | list[int] | None = Field(
        default=None, description="Keepalive of native connections: true, or [idle, interval, probes]"
    )
    reuse_connections: bool | None = Field(
        default=None, description="false: dbt opens a connection for each model"
    )
    local_suffix: str | None = Field(
        default=None, description="Suffix of the local tables of distributed ones"
    )
    local_db_prefix: str | None = Field(default=None, description="Prefix of the databases of local tables")
    wake_service: bool = Field(
        default=False,
        description="Probe a service of ClickHouse Cloud, though a connection wakes an idle one; read by the "
        "monitor alone",
    )
    cloud_organization_id: Identifier | None = Field(
        default=None,
        description="ClickHouse Cloud: organization; with service and key its state is asked for, and an "
        "idle service is not woken; read by the monitor alone",
    )
    cloud_service_id: Identifier | None = Field(default=None, description="ClickHouse Cloud: service")
    cloud_key_id: Text | None = Field(default=None, description="ClickHouse Cloud: id of an API key")
    cloud_api: Text = Field(
        default="https://api.clickhouse.cloud", description="ClickHouse Cloud: address of its API"
    )

    @property
    def server(self) -> str:
        return self.host or "localhost"

    @property
    def protocol(self) -> str:
        return self.driver or ("native" if self.port in _NATIVE_PORTS else "http")

    @property
    def is_native(self) -> bool:
        return self.protocol == "native"

    @property
    def server_port(self) -> int:
        if self.port is not None:
            return self.port
        return (9440 if self.secure else 9000) if self.is_native else (8443 if self.secure else 8123)

    @property
    def login(self) -> str:
        return self.user or "default"

    @property
    def target_database(self) -> str:
        return self.schema_ or "default"

    @property
    def on_cluster(self) -> str | None:
        """The cluster of which dbt's statements say ON CLUSTER, except inside a Replicated database."""
        return self.cluster if self.cluster and self.cluster.strip() else None

    @property
    def tries_exchange(self) -> bool:
        return self.check_exchange is not False and not self.cluster_mode

    @property
    def may_be_asleep(self) -> bool:
        """Whether a connection might wake a service, which costs money."""
        is_cloud = self.server.lower().rstrip(".").endswith(_CLOUD) or self.cloud_service_id is not None
        return is_cloud and not self.wake_service

    @field_validator("host")
    @classmethod
    def _name_alone(cls, host: str | None) -> str | None:
        if host is not None and ("://" in host or "/" in host):
            raise ValueError("a name or an address alone: secure and port say the rest")
        return host

    @field_validator("tcp_keepalive")
    @classmethod
    def _three_numbers(cls, value: bool | list[int] | None) -> bool | list[int] | None:
        if isinstance(value, list) and len(value) != 3:
            raise ValueError("true, false, or three numbers: idle seconds, interval, probes")
        return value

    _secrets_apart = secrets_apart(SECRETS)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.database and self.database != self.target_database:
            raise ValueError("database has to be empty or the same as schema: dbt refuses another")
        require_known(self.credentials, SECRETS)
        if self.client_cert_key and not self.client_cert:
            raise ValueError("client_cert_key has no use without client_cert")
        if any(getattr(self, key) for key in _OF_TLS) and not self.secure:
            raise ValueError("client_cert has no use without secure: true")
        self._check_cloud()
        return self

    def _check_cloud(self) -> None:
        keys = ("cloud_organization_id", "cloud_service_id", "cloud_key_id")
        given = [key for key in keys if getattr(self, key) is not None]
        secret = "cloud_key_secret" in self.credentials
        if (given or secret) and not (len(given) == len(keys) and secret):
            lacking = [key for key in keys if key not in given] + (
                [] if secret else ["credentials.cloud_key_secret"]
            )
            raise ValueError(f"the state of a Cloud service cannot be asked for without {', '.join(lacking)}")
        if given and not self.cloud_api.startswith(("https://", "http://127.0.0.1")):
            raise ValueError("cloud_api has to begin with https://")
