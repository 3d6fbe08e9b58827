"""The configuration of a Postgres target: dbt-postgres' own keys, and a few that only the monitor reads."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from floe_monitor.compute.toolkit import connection_cache
from floe_monitor.compute.toolkit.connection_cache import ReusingConfig
from floe_monitor.compute.toolkit.dbt_outputs import secrets_apart

SslMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
Text = Annotated[str, Field(min_length=1, pattern=r"^[^\x00-\x1f\x7f]*$", max_length=4096)]

PASSWORD_KEYS = ("password", "pass")
MONITOR_ONLY = connection_cache.MONITOR_ONLY | {"service"}
_ROLE = re.compile(r'^(?:[^\W\d][\w$]*|"(?:[^"\x00]|"")+")$')
"""dbt writes the role into `set role …` as it stands: an identifier, or a quoted one."""


class PostgresConfig(ReusingConfig):
    """The keys of `connection`, under dbt-postgres' names."""

    model_config = ConfigDict(extra="forbid")

    plugin: Literal["postgres"] = "postgres"
    host: Text | None = Field(default=None, description="Server, several with commas, or a socket directory")
    port: int = Field(default=5432, ge=1, le=65535, description="Port")
    user: Text | None = Field(default=None, description="User to log in as")
    dbname: Text | None = Field(default=None, description="Database")
    database: Text | None = Field(default=None, description="The same as dbname, as dbt allows")
    schema_: Text = Field(alias="schema", description="Schema that dbt builds in")
    service: Text | None = Field(
        default=None,
        description="Section of pg_service.conf that fills what is not given here; written out in full in "
        "profiles.yml, because dbt-postgres has no such key",
    )
    role: Text | None = Field(default=None, description="Role that dbt assumes with SET ROLE")
    search_path: Text | None = Field(default=None, description="search_path of dbt's sessions")
    sslmode: SslMode | None = Field(default=None, description="TLS mode; unset: libpq's default, prefer")
    sslcert: Text | None = Field(default=None, description="File with the client certificate")
    sslkey: Text | None = Field(default=None, description="File with the client certificate's key")
    sslrootcert: Text | None = Field(default=None, description="File with trusted roots, or system")
    connect_timeout: int | None = Field(
        default=10, ge=1, description="Seconds dbt waits for one address; null leaves it to dbt-postgres"
    )
    retries: int | None = Field(
        default=1, ge=0, description="Times dbt tries to connect again; null leaves it to dbt-postgres"
    )
    keepalives_idle: int | None = Field(
        default=None, ge=0, description="Idle seconds before TCP keepalives; 0 is the system's default"
    )
    application_name: str | None = Field(
        default=None, max_length=63, description="Name of dbt's sessions; probes are named floe-monitor"
    )
    autocommit: bool | None = Field(default=None, description="Whether dbt opens its sessions in autocommit")

    @property
    def database_name(self) -> str | None:
        return self.dbname or self.database

    @property
    def password(self) -> str:
        """Empty where none is given, as in the profile: libpq then looks into its password file."""
        for key in PASSWORD_KEYS:
            if key in self.credentials:
                return self.credentials[key].get_secret_value()
        return ""

    _password_apart = secrets_apart(PASSWORD_KEYS)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.dbname and self.database:
            raise ValueError("dbname and database are the same key to dbt: give one")
        if self.service is None:
            required = {"host": self.host, "user": self.user, "dbname": self.database_name}
            missing = [key for key, value in required.items() if not value]
            if missing:
                raise ValueError(f"missing: {', '.join(missing)} (or a `service` that holds them)")
        unknown = sorted(self.credentials.keys() - set(PASSWORD_KEYS))
        if unknown:
            raise ValueError(f"credentials: {unknown[0]} has no use; dbt-postgres knows `password` alone")
        if len(self.credentials) > 1:
            raise ValueError("credentials: password and pass are the same key to dbt: give one")
        if self.role is not None and "{{" not in self.role and not _ROLE.match(self.role):
            raise ValueError(
                "role: dbt writes it into SQL as it stands, so a name with other characters "
                "than letters, digits, _ and $ goes in double quotes: role: '\"my-role\"'"
            )
        return self

    @model_validator(mode="after")
    def _tls_fits_together(self) -> Self:
        files = [key for key in ("sslcert", "sslkey", "sslrootcert") if getattr(self, key)]
        if bool(self.sslcert) != bool(self.sslkey):
            raise ValueError("sslcert and sslkey go together: the certificate and its key")
        if self.sslmode == "disable" and files:
            raise ValueError(f"sslmode: disable leaves {', '.join(files)} without use")
        if self.sslrootcert == "system" and self.sslmode not in {None, "verify-full"}:
            raise ValueError("sslrootcert: system works with sslmode: verify-full alone")
        return self
