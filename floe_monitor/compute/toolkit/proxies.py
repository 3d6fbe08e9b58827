"""HTTP proxies: which one the environment names for a host, and the way through it."""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from floe_monitor.compute.errors import ComputeConfigurationError, ComputeConnectionError
from floe_monitor.compute.toolkit.http_address import Origin
from floe_monitor.compute.toolkit.http_connection import HttpConnection

if TYPE_CHECKING:
    from floe_monitor.compute.toolkit.bounded_socket import BoundedSocket

_DEFAULT_PORTS = {"http": 80, "https": 443}


class ProxyError(ComputeConnectionError):
    """The proxy answered, and does not pass the connection on."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Proxy:
    host: str
    port: int
    scheme: str = "http"
    """How the proxy itself is spoken to."""
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"the proxy {self.host} port {self.port}"

    @property
    def origin(self) -> Origin:
        return Origin(self.scheme, self.host, self.port)

    @property
    def authorization(self) -> str | None:
        """The value of Proxy-Authorization."""
        if self.username is None:
            return None
        pair = f"{self.username}:{self.password or ''}".encode("utf-8", "surrogatepass")
        return f"Basic {base64.b64encode(pair).decode()}"


def proxy_for(scheme: str, host: str, port: int | None = None, *, as_requests: bool = True) -> Proxy | None:
    """As `proxy_value`, parsed. Raises `ComputeConfigurationError` for no address."""
    value = proxy_value(scheme, host, port, as_requests=as_requests)
    return None if value is None else parse_proxy(value, f"{scheme.upper()}_PROXY")


def proxy_value(scheme: str, host: str, port: int | None = None, *, as_requests: bool = True) -> str | None:
    """What HTTPS_PROXY, HTTP_PROXY and NO_PROXY, or the system's settings, name as the proxy for that host.

    As urllib reads them; with `as_requests` also as the requests library does, which knows ALL_PROXY, and in
    NO_PROXY networks (`10.0.0.0/8`) and names with a port. The text as it was given, with a password perhaps.
    """
    found = getproxies()
    value = found.get(scheme) or (found.get("all") if as_requests else None)
    if not value or not value.strip() or proxy_bypass(host):
        return None
    if as_requests and _is_excepted(host, port, found.get("no", "")):
        return None
    return value


def parse_proxy(value: str, what: str) -> Proxy:
    """A proxy's address, as such variables have it; `what` is named where it is none."""
    value = value.strip()
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host:
        raise ComputeConfigurationError(f"{what} is no address of a proxy")
    if parts.scheme not in _DEFAULT_PORTS:
        raise ComputeConfigurationError(f"{what}: a proxy of scheme {parts.scheme} is not supported")
    return Proxy(
        host,
        port or _DEFAULT_PORTS[parts.scheme],
        parts.scheme,
        None if parts.username is None else unquote(parts.username),
        None if parts.password is None else unquote(parts.password),
    )


def open_tunnel(connection: BoundedSocket, proxy: Proxy, host: str, port: int) -> None:
    """Have the proxy at the other end of `connection` pass it on. Raises `ProxyError` where it does not."""
    connection.waits_for = "the proxy"
    authority = Origin("https", host, port).host_and_port
    headers = {"Host": authority}
    if proxy.authorization is not None:
        headers["Proxy-Authorization"] = proxy.authorization
    through = HttpConnection(connection)
    through.send("CONNECT", authority, headers, None)
    status, reason = through.read_head("CONNECT")
    if 200 <= status < 300:
        return
    text = f"{proxy} answers {f'{status} {reason}'.rstrip()}"
    if status == 407:
        text += ": it wants a login" if proxy.authorization is None else ": it refuses the login"
    raise ProxyError(status, text)


def _is_excepted(host: str, port: int | None, exceptions: str) -> bool:
    names = [name for name in exceptions.replace(" ", "").split(",") if name]
    try:
        address = ipaddress.IPv4Address(host)
    except ValueError:
        return any(f".{host}:{port}".endswith(f".{name.lstrip('.')}") for name in names)
    return any(_is_within(address, name) for name in names)


def _is_within(address: ipaddress.IPv4Address, network: str) -> bool:
    try:
        return address in ipaddress.IPv4Network(network, strict=False)
    except ValueError:
        return False
