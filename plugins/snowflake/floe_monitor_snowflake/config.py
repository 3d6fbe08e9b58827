"""The configuration of a Snowflake target: dbt-snowflake's own keys."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from floe_monitor.compute.toolkit.connection_cache import ReusingConfig
from floe_monitor.compute.toolkit.dbt_outputs import connection_without

Text = Annotated[str, Field(min_length=1, pattern=r"^[^\x00-\x1f\x7f]*$", max_length=4096)]

SECRETS = ("password", "private_key", "private_key_passphrase", "token")
"""The credentials dbt-snowflake knows that a daemon can use."""
_TOKEN_METHODS = frozenset({"oauth", "jwt", "programmatic_access_token"})
_NOBODY_THERE = {
    "externalbrowser": "it opens a browser for a person to sign in, and no one sits at a daemon",
    "username_password_mfa": "it asks a person for a second factor at each login",
    "oauth_authorization_code": "it opens a browser for a person to sign in, and no one sits at a daemon",
    "workload_identity": "it takes its proof from the cloud that dbt runs in, which a probe elsewhere lacks",
    "oauth_client_credentials": "dbt-snowflake does not know it",
}
_INSTEAD = "; use a key pair, a programmatic access token or an OAuth token"


class SnowflakeConfig(ReusingConfig):
    """The keys of `connection`, under dbt-snowflake's names."""

    model_config = ConfigDict(extra="forbid")

    plugin: Literal["snowflake"] = "snowflake"
    account: Text = Field(description="Account identifier, as in ORGANIZATION-ACCOUNT, without a domain")
    user: Text | None = Field(default=None, description="User to log in as; a token may stand for one")
    database: Text = Field(description="Database that dbt builds in")
    schema_: Text = Field(alias="schema", description="Schema that dbt builds in")
    warehouse: Text | None = Field(default=None, description="Warehouse of dbt's queries; unset: the user's")
    role: Text | None = Field(default=None, description="Role of dbt's sessions; unset: the user's")
    authenticator: Text | None = Field(
        default=None,
        description="oauth, jwt or programmatic_access_token with `token`; unset for password and key pair",
    )
    private_key_path: Text | None = Field(default=None, description="File with the private key, PEM")
    host: Text | None = Field(default=None, description="Server, where it is not the account's own")
    port: int | None = Field(default=None, ge=1, le=65535, description="Port; unset: 443")
    protocol: Literal["http", "https"] | None = Field(default=None, description="Unset: https")
    proxy_host: Text | None = Field(default=None, description="HTTP proxy on the way")
    proxy_port: int | None = Field(default=None, ge=1, le=65535, description="Port of the proxy")
    client_session_keep_alive: bool | None = Field(
        default=False, description="Whether dbt keeps idle sessions from ending after four hours"
    )
    connect_retries: int | None = Field(
        default=1, ge=0, description="Times dbt tries to connect again; null leaves it to dbt-snowflake"
    )
    connect_timeout: int | None = Field(
        default=10, ge=0, description="Seconds dbt waits between two tries; null leaves it to dbt-snowflake"
    )
    retry_on_database_errors: bool | None = Field(
        default=None, description="Whether dbt tries again after errors of the database"
    )
    retry_all: bool | None = Field(default=None, description="Whether dbt tries again after any error")
    reuse_connections: bool | None = Field(
        default=None, description="Whether dbt goes on with an idle session; of dbt, not of probes"
    )
    query_tag: str | None = Field(
        default=None, max_length=2000, description="QUERY_TAG of dbt's sessions; probes carry floe-monitor"
    )
    insecure_mode: bool | None = Field(
        default=None, description="Whether dbt's driver skips looking up revoked certificates"
    )
    s3_stage_vpce_dns_name: Text | None = Field(default=None, description="DNS name of the stage's endpoint")
    platform_detection_timeout_seconds: float | None = Field(
        default=None, ge=0, description="Seconds dbt's driver looks for the cloud it runs in"
    )

    @property
    def method(self) -> str:
        return (self.authenticator or "snowflake").lower()

    @property
    def lacks(self) -> str | None:
        """What is missing to log in; reported late, for a target may be described without its credentials."""
        if self.method in _TOKEN_METHODS:
            return (
                None
                if "token" in self.credentials
                else f"authenticator {self.method} needs credentials.token"
            )
        if self.has_key_pair or "password" in self.credentials:
            return None
        return "no way to log in: give credentials.password, a private key, or `authenticator` and a token"

    @property
    def has_key_pair(self) -> bool:
        return self.private_key_path is not None or "private_key" in self.credentials

    @property
    def address(self) -> tuple[str, int]:
        if self.host:
            return self.host, self.port or 443
        account = self.account.replace("_", "-")
        domain = "cn" if ".cn-" in account.lower() else "com"
        return f"{account}.snowflakecomputing.{domain}", self.port or 443

    @property
    def encrypts(self) -> bool:
        return self.protocol != "http"

    @model_validator(mode="before")
    @classmethod
    def _secrets_apart(cls, data: Any) -> Any:
        connection = connection_without(SECRETS, data)
        for key in ("oauth_client_id", "oauth_client_secret"):
            if key in connection:
                raise ValueError(f"{key}: {_NO_REFRESH}")
        for key in ("workload_identity_provider", "workload_identity_entra_resource"):
            if key in connection:
                raise ValueError(f"{key}: workload_identity is refused: {_NOBODY_THERE['workload_identity']}")
        return data

    @field_validator("authenticator")
    @classmethod
    def _without_a_person(cls, value: str | None) -> str | None:
        method = (value or "snowflake").lower()
        if "{{" in method:
            raise ValueError("it decides what else is needed: write it out")
        if method in _NOBODY_THERE:
            raise ValueError(f"refused: {_NOBODY_THERE[method]}{_INSTEAD}")
        if method.startswith("https:"):
            raise ValueError(f"refused: a sign-in through Okta is a person's, with a second factor{_INSTEAD}")
        if method not in {"snowflake", "snowflake_jwt", *_TOKEN_METHODS}:
            raise ValueError("one of oauth, jwt, programmatic_access_token, snowflake, snowflake_jwt")
        return value

    @model_validator(mode="after")
    def _one_way_to_log_in(self) -> Self:
        for key in sorted(self.credentials):
            if key.startswith("oauth_client_"):
                raise ValueError(f"credentials: {key}: {_NO_REFRESH}")
            if key not in SECRETS:
                raise ValueError(f"credentials: {key} has no use; dbt-snowflake knows {', '.join(SECRETS)}")
        method = self.method
        self._fits(method)
        if self.user is None and method not in _TOKEN_METHODS:
            raise ValueError("missing: user")
        return self

    def _fits(self, method: str) -> None:
        given = {key for key in SECRETS if key in self.credentials}
        key_pair = self.has_key_pair
        if "private_key" in given and self.private_key_path is not None:
            raise ValueError("credentials.private_key and private_key_path exclude each other: give one")
        if "private_key_passphrase" in given and not key_pair:
            raise ValueError("credentials.private_key_passphrase has no use without a private key")
        if "token" in given and method not in _TOKEN_METHODS:
            raise ValueError(
                "credentials.token needs `authenticator`: oauth, jwt or programmatic_access_token"
            )
        if "password" in given and (key_pair or method in {"snowflake_jwt", *_TOKEN_METHODS}):
            raise ValueError("credentials.password beside another way to log in: give one")
        if key_pair and method in _TOKEN_METHODS:
            # `snowflake` does not: the driver then takes the key all the same.
            raise ValueError("authenticator: a token leaves the private key without use")
        if method == "snowflake_jwt" and not key_pair:
            raise ValueError("authenticator: snowflake_jwt needs a private key")

    @model_validator(mode="after")
    def _account_alone(self) -> Self:
        if "snowflakecomputing" in self.account or "/" in self.account:
            raise ValueError("account: the identifier alone, without https:// and .snowflakecomputing.com")
        if self.proxy_port is not None and self.proxy_host is None:
            raise ValueError("proxy_port has no use without proxy_host")
        return self


_NO_REFRESH = (
    "dbt trades a refresh token for an access token with it; a probe that did the same might use up "
    "the token that dbt needs. Give an access token"
)
