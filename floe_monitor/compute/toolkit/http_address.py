"""What of a URL says where a request goes, and what of it may be said in a message."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from floe_monitor.compute.errors import ComputeConfigurationError

_DEFAULT_PORTS = {"http": 80, "https": 443}
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
_UNREADABLE = "the address given"


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port: credentials go nowhere else, and messages say no more of a URL."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        """As in a Host header: without the port that the scheme implies."""
        return self.host_in_url if self.port == _DEFAULT_PORTS.get(self.scheme) else self.host_and_port

    @property
    def host_and_port(self) -> str:
        return f"{self.host_in_url}:{self.port}"

    @property
    def host_in_url(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def server_hostname(self) -> str:
        """As certificates have it: without the dot that ends an absolute name."""
        return self.host.rstrip(".") or self.host


def split_url(url: str) -> tuple[Origin, str]:
    """Where to connect, and what to ask for there: path and query, in printable ASCII.

    Raises `ComputeConfigurationError`. User and password in a URL are passed over.
    """
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme, parts.hostname or "", parts.port
        if not host.isascii():
            host = host.encode("idna").decode()
    except ValueError:
        scheme = host = ""
    if scheme not in _DEFAULT_PORTS or not host or not set(host) <= set(_PRINTABLE):
        raise ComputeConfigurationError(f"{site_of(url)} is no HTTP address")
    target = quote(parts.path, safe=_PRINTABLE) or "/"
    if parts.query:
        target += f"?{quote(parts.query, safe=_PRINTABLE)}"
    return Origin(scheme, host, port or _DEFAULT_PORTS[scheme]), target


def site_of(url: str) -> str:
    """Scheme, host and port of any URL, for a message; never user, password, path or query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return _UNREADABLE
    # A password with a slash in it ends the host's part early.
    if not parts.scheme or not parts.netloc or ("@" not in parts.netloc and "@" in url):
        return _UNREADABLE
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
