"""The HTTP headers that make a session: what dbt-trino's driver sends with every request."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from floe_monitor.compute import ComputeConfigurationError
from floe_monitor.compute.toolkit.dbt_outputs import secret_of
from floe_monitor.compute.toolkit.netrc_file import authorization_for
from floe_monitor_trino.version import __version__

if TYPE_CHECKING:
    from floe_monitor_trino.config import TrinoConfig

SOURCE = f"dbt-trino-floe-monitor-{__version__}"
"""Begins as dbt's own does (`dbt-trino-1.11.0`): selectors of resource groups that are written for dbt put a
probe where dbt's statements go, so that it waits in the same queue."""
_PROVING = re.compile(r"auth|token|secret|password|credential|cookie|key", re.IGNORECASE)
_CAPABILITIES = "PARAMETRIC_DATETIME,SESSION_AUTHORIZATION"


def session_headers(config: TrinoConfig) -> dict[str, str]:
    """Raises `ComputeConfigurationError` for a login that HTTP cannot carry."""
    headers = {
        "X-Trino-Catalog": config.catalog_name,
        "X-Trino-Schema": config.schema_,
        "X-Trino-Source": SOURCE,
        "X-Trino-Client-Info": "floe-monitor",
        "X-Trino-Client-Capabilities": _CAPABILITIES,
        "X-Trino-Transaction-Id": "NONE",
        **(config.http_headers or {}),
    }
    if config.session_user is not None:
        headers["X-Trino-User"] = config.session_user
    if config.timezone is not None:
        headers["X-Trino-Time-Zone"] = config.timezone
    if config.client_tags:
        headers["X-Trino-Client-Tags"] = ",".join(config.client_tags)
    if config.roles:
        headers["X-Trino-Role"] = _pairs({name: _role(role) for name, role in config.roles.items()})
    if config.properties:
        headers["X-Trino-Session"] = _pairs({name: str(value) for name, value in config.properties.items()})
    login = _authorization(config)
    if login is not None:
        headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
        headers["Authorization"] = login
    return headers


def secret_headers(config: TrinoConfig) -> list[str]:
    """Values of the target's own headers that prove who asks."""
    return [value for name, value in (config.http_headers or {}).items() if _PROVING.search(name)]


def _authorization(config: TrinoConfig) -> str | None:
    if config.method == "jwt":
        return f"Bearer {secret_of(config, 'jwt_token')}"
    if config.method != "ldap":
        return authorization_for(config.host)
    try:
        pair = f"{config.user}:{secret_of(config, 'password')}".encode("latin-1")
    except UnicodeEncodeError:
        raise ComputeConfigurationError(
            "user or password has characters that dbt's driver cannot send: it takes those of Latin-1"
        ) from None
    return f"Basic {base64.b64encode(pair).decode()}"


def _role(role: str) -> str:
    whole = role in {"NONE", "ALL"} or (role.startswith("ROLE{") and role.endswith("}"))
    return role if whole else f"ROLE{{{role}}}"


def _pairs(values: dict[str, str]) -> str:
    return ",".join(f"{name}={quote(value)}" for name, value in values.items())
