"""The configuration of a Trino target: dbt-trino's own keys, and a few that only the monitor reads."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from floe_monitor.compute.toolkit import connection_cache
from floe_monitor.compute.toolkit.connection_cache import ReusingConfig
from floe_monitor.compute.toolkit.dbt_outputs import require_known, secrets_apart
from floe_monitor.compute.toolkit.login_methods import LoginMethods

Text = Annotated[str, Field(min_length=1, pattern=r"^[^\x00-\x1f\x7f]*$", max_length=4096)]

SECRETS = ("password", "jwt_token", "starburst_secret_key")
MONITOR_ONLY = connection_cache.MONITOR_ONLY | {"wake_cluster"}
_NOT_CHECKABLE = {
    "kerberos": "its driver waits for the Kerberos library and a key distribution centre, and sets a "
    "variable in the environment of its whole process; use ldap, jwt or certificate",
    "gssapi": "its driver waits for the Kerberos library and a key distribution centre, which nothing "
    "bounds; use ldap, jwt or certificate",
    "oauth": "it opens a browser for a person to sign in, and no one sits at a daemon; use jwt",
    "oauth_console": "it waits for a person to open an address that it prints, and no one sits at a daemon; "
    "use jwt",
}
"""The methods of dbt-trino that a probe cannot use, each with its reason."""
_OF_METHOD = {
    "none": ("user", "http_scheme"),
    "ldap": ("user", "password", "impersonation_user"),
    "jwt": ("user", "jwt_token"),
    "certificate": ("user", "client_certificate", "client_private_key"),
}
"""The keys of the login that dbt-trino reads, by method; it ignores those of another."""
LOGIN_METHODS = LoginMethods(_OF_METHOD, _NOT_CHECKABLE)
_NEEDED = {
    "none": ("user",),
    "ldap": ("user", "password"),
    "jwt": ("jwt_token",),
    "certificate": ("client_certificate", "client_private_key"),
}
_RESERVED_HEADERS = frozenset(
    f"x-trino-{name}"
    for name in (
        "catalog", "schema", "source", "user", "original-user", "time-zone", "query-data-encoding",
        "client-capabilities", "role", "client-tags", "session", "prepared-statement", "transaction-id",
        "extra-credential",
    )
) | {"user-agent"}  # fmt: skip
"""dbt's driver sets them itself and refuses another value."""
_GALAXY = ".galaxy.starburst.io"


class TrinoConfig(ReusingConfig):
    """The keys of `connection`, under dbt-trino's names."""

    model_config = ConfigDict(extra="forbid")

    plugin: Literal["trino"] = "trino"
    method: Literal["none", "ldap", "jwt", "certificate"] = Field(
        default="none", description="How to authenticate; none sends the user's name alone"
    )
    host: Text = Field(description="Coordinator, or what stands before it; a name or an address alone")
    port: int = Field(ge=1, le=65535, description="Its port")
    http_scheme: Literal["http", "https"] | None = Field(
        default=None, description="With method: none; unset: http. The other methods always use https"
    )
    user: Text | None = Field(
        default=None, description="User of the session; with jwt and certificate Trino can take it from those"
    )
    impersonation_user: Text | None = Field(
        default=None, description="With ldap: the session's user, where `user` logs in for another"
    )
    database: Text | None = Field(default=None, description="Catalog that dbt builds in")
    catalog: Text | None = Field(default=None, description="The same as database, as dbt allows")
    schema_: Text = Field(alias="schema", description="Schema that dbt builds in")
    roles: dict[str, Text] | None = Field(default=None, description="Role in each catalog, by its name")
    cert: bool | Text | None = Field(
        default=True,
        description="true: the server's certificate is verified; a file or directory: by those roots; "
        "false, or null: not at all, as is dbt-trino's own default",
    )
    client_certificate: Text | None = Field(default=None, description="File of the client's certificate, PEM")
    client_private_key: Text | None = Field(default=None, description="File of its key, PEM, not encrypted")
    http_headers: dict[str, str] | None = Field(default=None, description="HTTP headers of every request")
    client_tags: list[Text] | None = Field(default=None, description="Tags that resource groups may look at")
    session_properties: dict[str, Any] | None = Field(
        default=None,
        description="Session properties of dbt's statements, and of the probe's; unset: query_max_run_time, "
        "by timeout_seconds",
    )
    prepared_statements_enabled: bool | None = Field(
        default=None, description="Whether dbt prepares statements with parameters; unset: it does"
    )
    retries: int | None = Field(
        default=None, ge=1, description="Attempts that dbt makes of each request; unset: 3"
    )
    timezone: Text | None = Field(
        default=None, description="Time zone of the session; unset: that of dbt's host"
    )
    suppress_cert_warning: bool | None = Field(
        default=None, description="Whether dbt is silent about certificates that it does not verify"
    )
    starburst_url: Text | None = Field(default=None, description="Starburst's API for dbt's metadata")
    starburst_client_id: Text | None = Field(default=None, description="Client of that API")
    starburst_metadata_failure_strategy: Text | None = Field(
        default=None, description="What dbt does where that API fails"
    )
    starburst_max_column_batch_size: int | None = Field(
        default=None, ge=1, description="Columns in one request to that API"
    )
    wake_cluster: bool = Field(
        default=False,
        description="Probe a cluster of Starburst Galaxy, though a statement resumes a suspended one; read "
        "by the monitor alone",
    )

    @property
    def scheme(self) -> str:
        return "https" if self.method != "none" else self.http_scheme or "http"

    @property
    def catalog_name(self) -> str:
        return self.database or self.catalog or ""

    @property
    def session_user(self) -> str | None:
        return self.impersonation_user or self.user

    @property
    def may_be_asleep(self) -> bool:
        """Whether a statement might resume a cluster whose state is not to be seen before."""
        return self.host.lower().rstrip(".").endswith(_GALAXY) and not self.wake_cluster

    @property
    def properties(self) -> dict[str, Any]:
        """The session properties of dbt's statements: as given, null included; of a target that does not give
        any, `timeout_seconds`, for which dbt-trino has no key."""
        if "session_properties" in self.model_fields_set:
            return self.session_properties or {}
        return {"query_max_run_time": f"{self.timeout_seconds}s"}

    @field_validator("method", mode="before")
    @classmethod
    def _method_is_usable(cls, method: Any) -> Any:
        LOGIN_METHODS.require_usable(method)
        return method

    @field_validator("host")
    @classmethod
    def _name_alone(cls, host: str) -> str:
        if "://" in host or "/" in host:
            raise ValueError("a name or an address alone: http_scheme and port say the rest")
        return host

    @field_validator("http_headers")
    @classmethod
    def _headers_of_ones_own(cls, headers: dict[str, str] | None) -> dict[str, str] | None:
        for name in headers or {}:
            if name.lower() in _RESERVED_HEADERS:
                raise ValueError(f"dbt's driver sets {name} itself and refuses another: use the key for it")
        return headers

    _secrets_apart = secrets_apart(SECRETS)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.database and self.catalog:
            raise ValueError("database and catalog are the same key to dbt: give one")
        if not self.catalog_name:
            raise ValueError("missing: database")
        require_known(self.credentials, SECRETS)
        given = LOGIN_METHODS.keys_given(self)
        without_use = sorted(given & LOGIN_METHODS.keys_of_others(self.method))
        if without_use == ["http_scheme"]:
            # Its value is not repeated in messages, and would be found in the key's name.
            raise ValueError(f"the scheme is of no use with method: {self.method}, which always uses TLS")
        if without_use:
            raise ValueError(f"{', '.join(without_use)}: of no use with method: {self.method}")
        missing = [key for key in _NEEDED.get(self.method, ()) if key not in given]
        if missing:
            place = "credentials." if missing[0] in SECRETS else ""
            raise ValueError(f"method: {self.method} needs {place}{missing[0]}")
        return self
