"""The configuration of a Spark target: dbt-spark's own keys, and a few that only the monitor reads."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from floe_monitor.compute.toolkit import connection_cache
from floe_monitor.compute.toolkit.connection_cache import ReusingConfig
from floe_monitor.compute.toolkit.dbt_outputs import secrets_apart

Auth = Literal["NOSASL", "NONE", "LDAP", "CUSTOM", "KERBEROS"]
Text = Annotated[str, Field(min_length=1, pattern=r"^[^\x00-\x1f\x7f]*$", max_length=4096)]

SECRET_KEYS = ("password", "token")
MONITOR_ONLY = connection_cache.MONITOR_ONLY | {"wake_cluster"}
THRIFT_ONLY = ("user", "auth", "kerberos_service_name", "use_ssl")
HTTP_ONLY = ("cluster", "organization", "wake_cluster")
_SPARK_CONNECT = (
    "dbt-spark has no method for Spark Connect: it gets there by method `session` and SPARK_REMOTE alone, "
    "inside dbt's own process, through a client without a timeout that holds. Watch a Thrift server with "
    "method: thrift"
)
REFUSED_METHODS = {
    **dict.fromkeys(("connect", "spark_connect", "spark-connect"), _SPARK_CONNECT),
    "session": "the Spark of method `session` runs inside dbt's own process (or behind SPARK_REMOTE, whose "
    "client has no timeout): there is nothing a daemon could ask. Watch a Thrift server with method: thrift",
    "odbc": "method `odbc` goes through a vendor's ODBC driver, whose waits have no bound that holds, and "
    "whose state no other way to the cluster shows. Clusters answer method: http too",
}
_PASSWORD_AUTHS = frozenset({"LDAP", "CUSTOM"})


class SparkConfig(ReusingConfig):
    """The keys of `connection`, under dbt-spark's names."""

    model_config = ConfigDict(extra="forbid")

    plugin: Literal["spark"] = "spark"
    method: Literal["thrift", "http"] = Field(
        description="How dbt gets there: thrift (a Thrift server) or http (a Databricks cluster, by HTTPS)"
    )
    host: Text = Field(description="Server")
    port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Port; with http 443 if unset. null leaves it to dbt-spark, whose default is 443",
    )
    user: Text | None = Field(
        default=None, description="User to log in as; unset: the operating system's, as PyHive does"
    )
    database: Text | None = Field(default=None, description="The same as schema, as dbt allows")
    schema_: Text = Field(alias="schema", description="Schema that dbt builds in")
    auth: Auth | None = Field(
        default=None,
        description="hive.server2.authentication of the server; unset: NONE, SASL without a check",
    )
    kerberos_service_name: Text | None = Field(
        default=None, description="Service part of the server's principal, with auth: KERBEROS"
    )
    use_ssl: bool | None = Field(
        default=None, description="TLS to the Thrift server; dbt-spark then does not verify its certificate"
    )
    cluster: Text | None = Field(default=None, description="Cluster's id, with method: http")
    organization: Text | None = Field(
        default=None, description="Organization's id, with method: http; unset: 0"
    )
    wake_cluster: bool = Field(
        default=False,
        description="Probe a cluster that is terminated, or whose state is not told, though that starts it; "
        "read by the monitor alone",
    )
    connect_retries: int | None = Field(
        default=1, ge=0, description="Times dbt tries to connect again; null leaves it to dbt-spark: 0"
    )
    connect_timeout: int | None = Field(
        default=10,
        ge=0,
        description="Seconds dbt waits between two tries, no limit of one; null leaves it to dbt-spark: 10",
    )
    retry_all: bool | None = Field(
        default=None, description="Retry after any failure; unset: only where the server says it is not ready"
    )
    query_timeout: int | None = Field(
        default=None,
        ge=1,
        description="Seconds dbt waits for a query (dbt-spark 1.10); unset: timeout_seconds, if given",
    )
    query_retries: int | None = Field(
        default=None,
        ge=0,
        description="Times dbt runs a query again after a lost connection (dbt-spark 1.10)",
    )
    poll_interval: int | None = Field(
        default=None, ge=0, description="Seconds between dbt's looks at a running query (dbt-spark 1.10)"
    )
    server_side_parameters: dict[str, str] = Field(
        default_factory=dict, description="Spark settings of dbt's sessions, each a text"
    )

    @property
    def session_parameters(self) -> dict[str, str]:
        """What dbt-spark opens its session with."""
        return {**self.server_side_parameters, "spark.sql.ansi.enabled": "false"}

    @field_validator("method", mode="before")
    @classmethod
    def _method_is_usable(cls, method: Any) -> Any:
        if isinstance(method, str) and method in REFUSED_METHODS:
            raise ValueError(REFUSED_METHODS[method])
        return method

    @field_validator("host")
    @classmethod
    def _host_of_a_server(cls, host: str) -> str:
        if host.startswith("sc://"):
            raise ValueError(_SPARK_CONNECT)
        return host

    @field_validator("auth", mode="before")
    @classmethod
    def _auth_by_its_name(cls, auth: Any) -> Any:
        if auth == "PLAIN":
            raise ValueError(
                "PLAIN is the mechanism of NONE, LDAP and CUSTOM: dbt's driver takes one of those"
            )
        return auth

    @field_validator("server_side_parameters", mode="before")
    @classmethod
    def _texts_alone(cls, parameters: Any) -> Any:
        given = parameters if isinstance(parameters, dict) else {}
        odd = [key for key, value in given.items() if isinstance(value, int | float)]
        if odd:
            raise ValueError(f"dbt-spark refuses numbers and booleans: put the value of {odd[0]} in quotes")
        return parameters

    _secrets_apart = secrets_apart(SECRET_KEYS)

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if self.database is not None and self.database != self.schema_:
            raise ValueError("database and schema are the same to Spark: give schema alone")
        unused = HTTP_ONLY if self.method == "thrift" else THRIFT_ONLY
        given = [key for key in unused if getattr(self, key) not in {None, False}]
        if given:
            raise ValueError(f"{given[0]} has no use with method: {self.method}")
        wanted = "password" if self.method == "thrift" else "token"
        if unknown := sorted(self.credentials.keys() - {wanted}):
            raise ValueError(f"credentials: {unknown[0]} has no use with method: {self.method}")
        if self.method == "thrift":
            self._thrift_complete()
        else:
            self._http_complete()
        return self

    def _thrift_complete(self) -> None:
        if "port" not in self.model_fields_set:
            raise ValueError(
                "missing: port (a Thrift server's is 10000 or 10001 as a rule; dbt-spark's is 443)"
            )
        if "://" in self.host:
            raise ValueError("host: a name or an address, without a scheme")
        if self.auth in _PASSWORD_AUTHS and "password" not in self.credentials:
            raise ValueError(f"auth: {self.auth} needs a password in `credentials`")
        if "password" in self.credentials and self.auth not in _PASSWORD_AUTHS:
            raise ValueError("credentials: dbt's driver takes a password with auth: LDAP or CUSTOM alone")
        if (self.auth == "KERBEROS") != (self.kerberos_service_name is not None):
            raise ValueError("auth: KERBEROS and kerberos_service_name go together")

    def _http_complete(self) -> None:
        if self.cluster is None:
            raise ValueError("missing: cluster")
        if "token" not in self.credentials:
            raise ValueError("missing: a token in `credentials`")
        if self.host.startswith("http://"):
            raise ValueError("host: dbt-spark speaks HTTPS alone")
