"""Who may ask for what: rules made of the section `http`, without any waiting or reading.

Health is for everybody. What a request wants follows from its method and path alone, so that no route can be
forgotten: whatever is not read acts, and what is read and not named here is page or API.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from floe_monitor.settings.http_models import UNIX, Scope

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.datastructures import Headers

    from floe_monitor.settings.http_models import HttpSettings
    from floe_monitor.web.listener_identity import ListenerIdentity

HEALTH_ROUTES = frozenset({"/healthz", "/readyz"})
READING = frozenset({"GET", "HEAD", "OPTIONS"})
PUBLIC = "/public"
_ASSETS = "/assets/"
_ANY: frozenset[Scope] = frozenset({"read", "metrics", "act"})
_MOST_HOPS = 20
_IPv4Or6 = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks, as the audit names it, and what for. `known` is false for one that gave no credential."""

    name: str
    scopes: frozenset[Scope]
    known: bool = True


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request comes from. `key` is what its rate is counted by, `proxied` whether a proxy that is
    believed has passed it on, and `local` whether this machine alone can have sent it."""

    address: str
    key: str
    proxied: bool
    local: bool


def wanted_scope(method: str, path: str) -> Scope | None:
    """None: open to everybody. Style sheet and script of the pages say nothing that is not public."""
    if path in HEALTH_ROUTES:
        return None
    if method not in READING:
        return "act"
    if path == "/metrics":
        return "metrics"
    return None if path.startswith(_ASSETS) else "read"


def is_public(path: str) -> bool:
    """Whether it is of the public page, which is open where there is one."""
    return path == PUBLIC or path.startswith(f"{PUBLIC}/")


class AccessRules:
    """Immutable; a reload makes new ones."""

    def __init__(self, http: HttpSettings) -> None:
        self.http = http
        proxy = http.proxy
        self._believes_socket = proxy is not None and UNIX in proxy.addresses
        self._networks = tuple(
            ipaddress.ip_network(each) for each in (proxy.addresses if proxy else ()) if each != UNIX
        )

    def client(self, peer: str | None, headers: Headers, listener: ListenerIdentity) -> Client:
        """`peer`: the address connected from, None for the Unix socket."""
        if peer is None:
            address, proxied = None, self._believes_socket
        else:
            address = _address(peer)
            proxied = self._believes(address)
        local = listener.local and not proxied
        if proxied:
            address = self._first_unknown(headers.getlist("x-forwarded-for")) or address
        return Client(str(address or peer or UNIX), _key(address), proxied, local)

    def wanted(self, method: str, path: str) -> Scope | None:
        """As `wanted_scope`, but for what the configuration opens to everybody: the public page."""
        if self.http.public_page is not None and method in READING and is_public(path):
            return None
        return wanted_scope(method, path)

    def open_to(self, client: Client) -> frozenset[Scope]:
        """What wants no credential."""
        scopes = {"read", "act"} if client.local else ({"read"} if self.http.public_read else set())
        return _ANY & (scopes | (set() if self.http.metrics_auth else {"metrics"}))

    def forwarded(self, client: Client, headers: Headers) -> Identity | None:
        """Whom a proxy that is believed names, if it names one."""
        proxy = self.http.proxy
        if proxy is None or proxy.user_header is None or not client.proxied:
            return None
        named = headers.getlist(proxy.user_header)
        # A second one may be the client's own.
        if len(named) != 1 or not named[0].strip() or len(named[0]) > 128 or not named[0].isprintable():
            return None
        return Identity(f"forwarded {named[0].strip()}", frozenset(proxy.scopes))

    def _believes(self, address: _IPv4Or6 | None) -> bool:
        return address is not None and any(address in network for network in self._networks)

    def _first_unknown(self, fields: Iterable[str]) -> _IPv4Or6 | None:
        """Each proxy appends whom it was asked by, so the last address that is no proxy's is the client's;
        what stands before it anybody may have written."""
        hops = ",".join(fields).rsplit(",", _MOST_HOPS)[-_MOST_HOPS:]
        for hop in reversed(hops):
            address = _address(hop)
            if address is None or not self._believes(address):
                return address
        return None


def _address(text: str) -> _IPv4Or6 | None:
    bare = text.strip().strip("[]").partition("%")[0]
    try:
        found = ipaddress.ip_address(bare)
    except ValueError:
        return None
    # A socket of both families shows clients of IPv4 so.
    return getattr(found, "ipv4_mapped", None) or found


def _key(address: _IPv4Or6 | None) -> str:
    """Whoever has one address of a /64 has all of them."""
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address or UNIX)
