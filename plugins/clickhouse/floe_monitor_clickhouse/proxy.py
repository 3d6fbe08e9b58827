"""The proxy of the environment, as dbt's HTTP driver chooses it, by rules of its own.

It takes the lower-case variable first, knows no ALL_PROXY and no networks in NO_PROXY, and sends a proxy no
login.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from floe_monitor.compute.toolkit.proxies import parse_proxy

if TYPE_CHECKING:
    from floe_monitor.compute.toolkit.proxies import Proxy


def driver_proxy(scheme: str, host: str, port: int) -> Proxy | None:
    """Raises `ComputeConfigurationError` for a variable that holds no address of a proxy."""
    name = f"{scheme}_proxy"
    value = os.environ.get(name) or os.environ.get(name.upper())
    if not value or _is_excepted(host.lower(), port):
        return None
    return replace(parse_proxy(value, name.upper()), username=None, password=None)


def _is_excepted(host: str, port: int) -> bool:
    exceptions = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if exceptions == "*":
        return True
    names = (name.strip().lstrip(".").lower() for name in exceptions.split(","))
    return any(name in {host, f"{host}:{port}"} or host.endswith(f".{name}") for name in names if name)
