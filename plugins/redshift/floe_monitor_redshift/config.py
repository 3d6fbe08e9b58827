"""The configuration of a Redshift target: dbt-redshift's own keys, and a few that only the monitor reads."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from floe_monitor.compute.toolkit import connection_cache
from floe_monitor.compute.toolkit.connection_cache import ReusingConfig
from floe_monitor.compute.toolkit.dbt_outputs import require_known, secrets_apart
from floe_monitor.compute.toolkit.login_methods import LoginMethods
from floe_monitor_redshift.endpoints import HostParts, parts_of

Text = Annotated[str, Field(min_length=1, pattern=r"^[^\x00-\x1f\x7f]*$", max_length=4096)]
SslMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]

PASSWORD_KEYS = ("password", "pass")
AWS_KEYS = ("access_key_id", "secret_access_key")
SECRETS = (*PASSWORD_KEYS, *AWS_KEYS)
MONITOR_ONLY = connection_cache.MONITOR_ONLY | {"wake_workgroup"}
_NOT_CHECKABLE = {
    "browser_identity_center": "it opens a browser for a person to sign in, and no one sits at a daemon; use "
    "iam, iam_role or database",
    "oauth_token_identity_center": "it spends the refresh token of its token_endpoint, and where a provider "
    "rotates such tokens, dbt could not use it any more; use iam, iam_role or database",
}
"""The methods of dbt-redshift that a probe cannot use, each with its reason."""
_OF_METHOD = {
    "database": ("user", *PASSWORD_KEYS, *AWS_KEYS, "iam_profile"),
    "iam": ("user", *AWS_KEYS, "iam_profile", "autocreate", "db_groups"),
    "iam_role": ("iam_profile",),
}
"""The keys of the login by method; those of AWS beside a password are the monitor's, to ask for the state of
the cluster: dbt-redshift reads past them."""
LOGIN_METHODS = LoginMethods(_OF_METHOD, _NOT_CHECKABLE)
_ROLE = re.compile(r'^(?:[^\W\d][\w$]*|"(?:[^"\x00]|"")+")$')
"""dbt writes the role into `set role …` as it stands: an identifier, or a quoted one."""


class RedshiftConfig(ReusingConfig):
    """The keys of `connection`, under dbt-redshift's names."""

    model_config = ConfigDict(extra="forbid")

    plugin: Literal["redshift"] = "redshift"
    method: Literal["database", "iam", "iam_role"] = Field(
        default="database",
        description="How to log in: by a password, or by temporary credentials that IAM grants",
    )
    host: Text = Field(description="Endpoint of the cluster or workgroup; a name or an address alone")
    port: int = Field(default=5439, ge=1, le=65535, description="Its port")
    user: Text | None = Field(default=None, description="User of the database; with iam the one to log in as")
    dbname: Text | None = Field(default=None, description="Database")
    database: Text | None = Field(default=None, description="The same as dbname, as dbt allows")
    schema_: Text = Field(alias="schema", description="Schema that dbt builds in")
    sslmode: SslMode | None = Field(
        default=None,
        description="disable: no TLS; verify-full: the certificate is verified with its name; every other, "
        "and unset: it is verified without",
    )
    cluster_id: Text | None = Field(
        default=None, description="Identifier of the cluster; needed by iam and iam_role, unless serverless"
    )
    region: Text | None = Field(default=None, description="Region of AWS, where the host does not name it")
    iam_profile: Text | None = Field(default=None, description="Profile of AWS' configuration files")
    autocreate: bool | None = Field(
        default=None, description="Whether dbt's login makes a user that is not there; a probe never does"
    )
    db_groups: list[Text] | None = Field(default=None, description="Groups that the session joins")
    is_serverless: bool | None = Field(
        default=None, description="Whether it is a serverless workgroup, where the host does not say so"
    )
    serverless_work_group: Text | None = Field(
        default=None, description="Workgroup, where the host does not name it"
    )
    serverless_acct_id: Text | None = Field(default=None, description="Account of the workgroup")
    role: Text | None = Field(default=None, description="Role that dbt assumes with SET ROLE")
    query_group: Text | None = Field(default=None, description="Query group of dbt's sessions")
    ra3_node: bool | None = Field(
        default=None, description="Whether dbt may refer to other databases: nodes of type RA3, serverless"
    )
    datasharing: bool | None = Field(
        default=None, description="Whether dbt reads catalogs with SHOW, other databases' among them"
    )
    connect_timeout: int | None = Field(
        default=None,
        ge=1,
        description="Seconds of silence after which dbt's driver gives up, models that run for longer "
        "included; unset: it waits without end",
    )
    retries: int | None = Field(default=None, ge=0, description="Times dbt tries to connect again; unset: 1")
    retry_all: bool | None = Field(default=None, description="Whether dbt repeats statements that failed")
    autocommit: bool | None = Field(default=None, description="Whether dbt's sessions autocommit; unset: yes")
    tcp_keepalive: bool | None = Field(default=None, description="TCP keepalives; unset: yes")
    tcp_keepalive_idle: int | None = Field(default=None, ge=1, description="Idle seconds before the first")
    tcp_keepalive_interval: int | None = Field(default=None, ge=1, description="Seconds between them")
    tcp_keepalive_count: int | None = Field(default=None, ge=1, description="Unanswered ones that end it")
    allow_concurrent_drops: bool | None = Field(
        default=None, description="Whether dbt drops relations without waiting for one another"
    )
    drop_without_cascade: bool | None = Field(default=None, description="Whether dbt drops without CASCADE")
    wake_workgroup: bool = Field(
        default=False,
        description="Run statements on a serverless workgroup, each of which is billed for a minute at "
        "least; read by the monitor alone",
    )

    @property
    def database_name(self) -> str:
        return self.dbname or self.database or ""

    @property
    def host_parts(self) -> HostParts:
        return parts_of(self.host)

    @property
    def serverless(self) -> bool:
        """As dbt-redshift tells it."""
        return "serverless" in self.host or self.is_serverless is True

    @property
    def workgroup(self) -> str | None:
        return self.serverless_work_group or self.host_parts.workgroup

    @property
    def cluster(self) -> str | None:
        return self.cluster_id or self.host_parts.cluster

    @property
    def uses_iam(self) -> bool:
        return self.method in {"iam", "iam_role"}

    @property
    def asks_aws(self) -> bool:
        """Whether AWS' services can be asked: to log in, or beside a password for the state alone."""
        named = self.workgroup if self.serverless else self.cluster
        return self.uses_iam or (
            named is not None and (self.iam_profile is not None or "access_key_id" in self.credentials)
        )

    @property
    def encrypts(self) -> bool:
        return self.sslmode != "disable"

    @field_validator("method", mode="before")
    @classmethod
    def _method_is_usable(cls, method: Any) -> Any:
        LOGIN_METHODS.require_usable(method)
        return method

    @field_validator("host")
    @classmethod
    def _name_alone(cls, host: str) -> str:
        if "{{" not in host and ("://" in host or "/" in host):
            raise ValueError("a name or an address alone: port and database have keys of their own")
        return host

    _secrets_apart = secrets_apart(SECRETS)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.dbname and self.database:
            raise ValueError("dbname and database are the same key to dbt: give one")
        if not self.database_name:
            raise ValueError("missing: dbname")
        require_known(self.credentials, SECRETS)
        if all(key in self.credentials for key in PASSWORD_KEYS):
            raise ValueError("credentials: password and pass are the same key to dbt: give one")
        given_keys = [key for key in AWS_KEYS if key in self.credentials]
        if len(given_keys) == 1:
            raise ValueError(f"credentials: {' and '.join(AWS_KEYS)} go together")
        if given_keys and self.iam_profile is not None:
            raise ValueError("iam_profile: dbt reads past it where access_key_id is given: give one")
        if self.role is not None and "{{" not in self.role and not _ROLE.match(self.role):
            raise ValueError(
                "role: dbt writes it into SQL as it stands, so a name with other characters "
                "than letters, digits, _ and $ goes in double quotes: role: '\"my-role\"'"
            )
        return self

    @model_validator(mode="after")
    def _login_fits_the_method(self) -> Self:
        given = LOGIN_METHODS.keys_given(self)
        without_use = sorted(given & LOGIN_METHODS.keys_of_others(self.method))
        if without_use:
            raise ValueError(f"{', '.join(without_use)}: of no use with method: {self.method}")
        if self.method in {"database", "iam"} and self.user is None:
            raise ValueError(f"method: {self.method} needs user")
        if self.method == "database" and given.isdisjoint(PASSWORD_KEYS):
            raise ValueError("method: database needs credentials.password")
        if self.uses_iam:
            if self.sslmode == "disable":
                # The mode is not repeated: a message names no value.
                raise ValueError(f"sslmode: method: {self.method} logs in over TLS alone")
            if not self.serverless and self.cluster_id is None:
                raise ValueError(f"method: {self.method} needs cluster_id, unless it is serverless")
        return self
