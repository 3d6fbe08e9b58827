"""The configuration of a Databricks target: dbt-databricks' own keys, and a few of the monitor's."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import parse_qs

from pydantic import ConfigDict, Field, field_validator, model_validator

from floe_monitor.compute.toolkit import connection_cache
from floe_monitor.compute.toolkit.connection_cache import ReusingConfig
from floe_monitor.compute.toolkit.dbt_outputs import require_known, secrets_apart
from floe_monitor.compute.toolkit.env_references import is_template

Text = Annotated[str, Field(min_length=1, pattern=r"^[^\x00-\x1f\x7f]*$", max_length=4096)]
Login = Literal["token", "oauth-m2m", "azure", "env-oidc", "file-oidc"]

SECRETS = ("token", "client_secret", "azure_client_secret")
MONITOR_ONLY = connection_cache.MONITOR_ONLY | {"run_query"}
HIVE_METASTORE = "hive_metastore"
BROWSER = (
    "auth_type: oauth without a secret opens a browser for a person to sign in, and no one sits at a daemon: "
    "give client_id and client_secret of a service principal"
)
_AUTH_TYPES = ("oauth", "env-oidc", "file-oidc")
"""What dbt takes without a token; with one it does not look at it."""
CATALOG_PROPERTY = "databricks.catalog"
"""A session property that dbt takes for the key `database`."""
_RESERVED_PARAMETERS = (
    "server_hostname", "http_path", "access_token", "client_id", "client_secret", "session_configuration",
    "catalog", "schema", "_user_agent_entry", "user_agent_entry",
)  # fmt: skip
"""dbt-databricks sets them itself and refuses another value."""
_WAREHOUSE = re.compile(r"/?sql/1\.0/(?:warehouses|endpoints)/([0-9A-Za-z_-]+)/?(?:\?.*)?")
_CLUSTER = re.compile(r"/?sql/protocolv1/o/(\d+)/([0-9A-Za-z_-]+)/?(?:\?.*)?")
_SOCKET_SECONDS, _RETRY_SECONDS = 600.0, 900.0
"""dbt's limits of one answer, and of all attempts at a request, where the target does not give its own."""


class DatabricksConfig(ReusingConfig):
    """The keys of `connection`, under dbt-databricks' names."""

    model_config = ConfigDict(extra="forbid")

    plugin: Literal["databricks"] = "databricks"
    host: Text = Field(description="Workspace; a name alone, without a scheme")
    http_path: Text = Field(
        description="HTTP path of the SQL warehouse (/sql/1.0/warehouses/ID) or of the cluster "
        "(sql/protocolv1/o/WORKSPACE/ID)"
    )
    schema_: Text = Field(alias="schema", description="Schema that dbt builds in")
    database: Text | None = Field(
        default=None, description="Catalog that dbt builds in; unset: hive_metastore, outside Unity Catalog"
    )
    catalog: Text | None = Field(default=None, description="The same as database, as dbt allows")
    auth_type: Text | None = Field(
        default=None,
        description="How to log in without a token: oauth, or by an identity token: env-oidc, file-oidc",
    )
    client_id: Text | None = Field(default=None, description="Application id of the service principal")
    azure_client_id: Text | None = Field(
        default=None, description="Application id of a service principal of Microsoft Entra ID"
    )
    oidc_token_filepath: Text | None = Field(
        default=None, description="With file-oidc: file of the identity token, read at each login"
    )
    oauth_redirect_url: Text | None = Field(default=None, description="Of a person's login, dbt's alone")
    oauth_scopes: list[Text] | None = Field(default=None, description="Of a person's login, dbt's alone")
    session_properties: dict[str, Any] | None = Field(
        default=None,
        description="Session properties of dbt's statements; unset: STATEMENT_TIMEOUT, by timeout_seconds "
        "where that is given and http_path is a SQL warehouse's",
    )
    connection_parameters: dict[str, Any] | None = Field(
        default=None, description="Options of dbt's driver, its time limits and http_headers among them"
    )
    compute: dict[str, Any] | None = Field(
        default=None,
        description="Further compute by name, each with its http_path, for models that ask for it",
    )
    query_tags: Text | None = Field(default=None, description="Tags of dbt's queries, as JSON")
    connect_retries: int | None = Field(
        default=None, ge=0, description="Times dbt tries to connect again; unset: 1"
    )
    connect_timeout: int | None = Field(
        default=None, ge=0, description="Seconds dbt waits between two tries, no limit of one"
    )
    retry_all: bool | None = Field(default=None, description="Whether dbt retries after any failure")
    connect_max_idle: int | None = Field(
        default=None, ge=0, description="Seconds after which dbt replaces an idle connection"
    )
    run_query: bool = Field(
        default=False,
        description="Run `select 1` on a warehouse that is running, though that puts off its auto stop; read "
        "by the monitor alone",
    )

    # ------------------------------------------------------------ what the keys come to

    @property
    def catalog_name(self) -> str:
        by_property = (self.session_properties or {}).get(CATALOG_PROPERTY)
        return (self.database or self.catalog or str(by_property or HIVE_METASTORE)).strip()

    @property
    def warehouse_id(self) -> str | None:
        found = _WAREHOUSE.fullmatch(self.http_path)
        return found and found[1]

    @property
    def cluster_id(self) -> str | None:
        found = _CLUSTER.fullmatch(self.http_path)
        return found and found[2]

    @property
    def workspace_id(self) -> str | None:
        """Which workspace of a host that serves several: dbt sends it along with each request."""
        asked = parse_qs(self.http_path.partition("?")[2]).get("o")
        if asked:
            return asked[0]
        found = _CLUSTER.fullmatch(self.http_path)
        return found and (found[1] if found[1] != "0" else None)

    @property
    def login(self) -> Login:
        """In dbt-databricks' order: a token counts before all else."""
        if "token" in self.credentials:
            return "token"
        if self.auth_type == "file-oidc":
            return "file-oidc"
        if self.auth_type == "env-oidc":
            return "env-oidc"
        return "azure" if "azure_client_secret" in self.credentials else "oauth-m2m"

    @property
    def longest_wait(self) -> float:
        """Seconds that dbt's driver waits for compute that starts, by its own limits."""
        given = self.connection_parameters or {}
        limits = (
            given.get("_socket_timeout", _SOCKET_SECONDS),
            given.get("_retry_stop_after_attempts_duration", _RETRY_SECONDS),
        )
        return min((float(each) for each in limits if isinstance(each, int | float)), default=_RETRY_SECONDS)

    @property
    def properties(self) -> dict[str, Any] | None:
        """The session properties of dbt's statements: as given, null included; else `timeout_seconds`, where
        that is given, for which dbt-databricks has no key."""
        if "session_properties" in self.model_fields_set:
            return self.session_properties
        if "timeout_seconds" in self.model_fields_set and self.warehouse_id:
            return {"STATEMENT_TIMEOUT": str(self.timeout_seconds)}
        return None

    # ------------------------------------------------------------ what is refused

    @field_validator("host")
    @classmethod
    def _name_alone(cls, host: str) -> str:
        if not is_template(host) and ("://" in host or "/" in host):
            raise ValueError("a name alone, without https:// and without a path: http_path says the rest")
        return host

    @field_validator("http_path")
    @classmethod
    def _of_known_compute(cls, path: str) -> str:
        if not (is_template(path) or _WAREHOUSE.fullmatch(path) or _CLUSTER.fullmatch(path)):
            raise ValueError(
                "no path of a SQL warehouse (/sql/1.0/warehouses/ID) or a cluster "
                "(sql/protocolv1/o/WORKSPACE/ID): it stands in the compute's connection details"
            )
        return path

    @field_validator("schema_")
    @classmethod
    def _schema_alone(cls, schema: str) -> str:
        if "." in schema and not is_template(schema):
            raise ValueError("dbt refuses a dot in it: the catalog belongs under database")
        return schema

    @field_validator("connection_parameters")
    @classmethod
    def _parameters_of_ones_own(cls, parameters: dict[str, Any] | None) -> dict[str, Any] | None:
        reserved = [key for key in _RESERVED_PARAMETERS if key in (parameters or {})]
        if reserved:
            raise ValueError(f"dbt-databricks sets {reserved[0]} itself and refuses another")
        return parameters

    _secrets_apart = secrets_apart(SECRETS)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.database and self.catalog:
            raise ValueError("database and catalog are the same key to dbt: give one")
        if (self.database or self.catalog) and CATALOG_PROPERTY in (self.session_properties or {}):
            raise ValueError(f"database and the session property {CATALOG_PROPERTY} are the same: give one")
        require_known(self.credentials, SECRETS)
        self._log_in_by_something()
        port = self.host.rpartition(":")[2]
        if port.isdecimal() and "_connection_uri" not in (self.connection_parameters or {}):
            raise ValueError(
                "host has a port, to which dbt's driver would add its own: leave it out, or give the whole "
                "address as connection_parameters._connection_uri"
            )
        return self

    def _log_in_by_something(self) -> None:
        given = self.credentials
        if ("azure_client_secret" in given) != (self.azure_client_id is not None):
            raise ValueError("azure_client_id and credentials.azure_client_secret go together")
        if "client_secret" in given and self.client_id is None:
            raise ValueError("credentials.client_secret needs client_id")
        if "token" in given:
            return
        if self.auth_type is None:
            raise ValueError("missing: credentials.token, or auth_type and what it needs")
        if self.auth_type not in _AUTH_TYPES and not is_template(self.auth_type):
            raise ValueError(f"auth_type is none of {', '.join(_AUTH_TYPES)}, and there is no token")
        if self.auth_type in {"env-oidc", "file-oidc"} and self.client_id is None:
            raise ValueError(f"auth_type: {self.auth_type} needs client_id")
        if self.auth_type == "file-oidc" and self.oidc_token_filepath is None:
            raise ValueError("auth_type: file-oidc needs oidc_token_filepath")
        if self.auth_type == "oauth" and not {"client_secret", "azure_client_secret"} & given.keys():
            raise ValueError(BROWSER)
