"""The section `http` as models: where is listened, who may ask for what, and what stands in front."""

from __future__ import annotations

import ipaddress
import re
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator

from floe_monitor.settings.fields import CredentialReference, HostName, Model, Name, Pathname

Scope = Literal["read", "metrics", "act"]
"""What a credential opens: page and API; `/metrics` where it is closed; validate and reload."""

MOST_CREDENTIALS = 256
"""Tokens, and users: every one is compared with each request that has a credential."""

LONGEST_SOCKET_PATH = 107
"""Bytes: the system's own bound."""

TRACE_ID = "{trace_id}"
"""In `http.trace_url`."""

UNIX = "unix"
"""In `http.proxy.addresses`: whoever connects to the Unix socket."""

OWN_SEGMENTS = frozenset(
    {
        "-",
        "api",
        "assets",
        "badges",
        "healthz",
        "incidents",
        "maintenance",
        "metrics",
        "public",
        "readyz",
        "targets",
    }
)
"""First parts of the routes, which a path prefix would hide."""

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def _bare_host(host: str) -> str:
    """An IPv6 address may stand in the brackets that a URL needs."""
    bare = host.strip()
    if bare.startswith("[") and bare.endswith("]"):
        bare = bare[1:-1]
    if not bare:
        # To the system an empty name is every address, which must not follow from an unset variable.
        raise ValueError(
            "must not be empty; write 127.0.0.1 for this machine alone, 0.0.0.0 or '::' for every address"
        )
    return bare


def _moment(value: Any) -> datetime:
    """A date is its beginning in UTC."""
    if isinstance(value, datetime):
        found = value
    else:
        try:
            text = str(value).strip()
            if _DATE.fullmatch(text):
                return datetime.combine(date.fromisoformat(text), time(), UTC)
            found = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError("must be a date or a time: 2027-06-30 or 2027-06-30T18:00:00Z") from None
    if found.tzinfo is None:
        raise ValueError("needs a time zone: write 2027-06-30T18:00:00Z")
    return found


Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2}))?$",
        }
    ),
]
Scopes = Annotated[list[Scope], Field(min_length=1)]


class HealthListenerSettings(Model):
    """A listener for /healthz and /readyz alone, without TLS; they stay where they were too."""

    host: str | None = Field(default=None, description="Address to listen on; http.host if unset")
    port: int = Field(ge=0, le=65535, description="Port to listen on; 0 picks a free one")

    @field_validator("host")
    @classmethod
    def _one_address(cls, host: str | None) -> str | None:
        return host if host is None else _bare_host(host)


class SocketSettings(Model):
    """A Unix socket. Who may open it, the system decides by its mode and its directory's."""

    path: Pathname = Field(description="Where the socket is made; what an earlier run left there is replaced")
    mode: Annotated[str, Field(pattern=r"^0?[0-7]{3}$")] = Field(
        default="0600", description="Its permissions, in octal and in quotes"
    )
    only: bool = Field(default=False, description="Listen there alone, and not on host and port")

    @field_validator("path")
    @classmethod
    def _short_enough(cls, path: str) -> str:
        if len(path.encode("utf-8", "surrogateescape")) > LONGEST_SOCKET_PATH:
            raise ValueError(f"is longer than the {LONGEST_SOCKET_PATH} bytes that a socket's path may have")
        return path


class TlsSettings(Model):
    """Files in PEM, read again every `reload.poll_interval`."""

    certificate: Pathname = Field(description="Certificate, and after it those that lead to its authority")
    key: Pathname = Field(description="Its private key, not encrypted")


class TokenSettings(Model):
    """A bearer token. `floe-monitor token NAME` makes one with its hash."""

    hash: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] = Field(
        description="As `floe-monitor token` prints it"
    )
    scopes: Scopes = Field(description="read: page and API; metrics: /metrics; act: validate and reload")
    expires: Moment | None = Field(default=None, description="When it ends: a date, or a time with its zone")

    def has_ended(self, now: datetime) -> bool:
        return self.expires is not None and self.expires <= now


class UserSettings(Model):
    """A user of basic authentication. `floe-monitor password` makes the hash."""

    password_hash: CredentialReference = Field(
        description="As `floe-monitor password` prints it, by reference"
    )
    scopes: Scopes = Field(description="As those of a token")


class ProxySettings(Model):
    """A proxy whose word is believed on who asks. It must set the headers, whatever a client sent."""

    addresses: list[str] = Field(
        min_length=1,
        max_length=MOST_CREDENTIALS,
        description="Where it connects from: addresses, networks, or unix for the Unix socket",
    )
    user_header: Annotated[str, Field(pattern=r"^[A-Za-z0-9\-]{1,64}$")] | None = Field(
        default=None, description="Header that names the user it has authenticated: X-Forwarded-User"
    )
    scopes: Scopes = Field(default=["read"], description="What such a user may do")

    @field_validator("addresses")
    @classmethod
    def _addresses(cls, addresses: list[str]) -> list[str]:
        for each in addresses:
            if each != UNIX:
                try:
                    ipaddress.ip_network(each)
                except ValueError:
                    raise ValueError(
                        f"{each[:64]!r} is no address or network: write 10.0.0.7, 10.0.0.0/8 or {UNIX}"
                    ) from None
        return addresses


class RateLimitSettings(Model):
    """For each client address; of IPv6, each /64. Not for health, this machine's loopback or its socket."""

    requests: int = Field(default=50, ge=1, le=100_000, description="Requests a second, going on")
    burst: int = Field(default=200, ge=1, le=1_000_000, description="Requests at once, after a rest")
    failures: int = Field(default=10, ge=1, le=10_000, description="Wrong credentials a minute")


PublicName = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^/\x00-\x1f]+$")]


class PublicPageSettings(Model):
    """`/public`: for everybody who gets there, without a login, whether these targets can be used."""

    heading: PublicName = Field(default="Status", description="What stands above it")
    targets: Annotated[dict[Name, PublicName], Field(min_length=1, max_length=1000)] = Field(
        description="The targets that it shows, each with the name that it shows them by, in this order"
    )
    badges: bool = Field(
        default=True, description="Their badges at /public/badges, for pages of other sites too"
    )

    @field_validator("targets")
    @classmethod
    def _distinct(cls, targets: dict[str, str]) -> dict[str, str]:
        shown: dict[str, str] = {}
        for name, public in targets.items():
            if shown.setdefault(public, name) != name:
                raise ValueError(f"{shown[public]} and {name} have the same name there: {public!r}")
        return targets


class HttpSettings(Model):
    host: str = Field(
        default="127.0.0.1",
        description="Address to listen on; 0.0.0.0: every one of IPv4, '::': every one of IPv6 and IPv4",
        json_schema_extra={"minLength": 1},
    )
    port: int = Field(default=9464, ge=0, le=65535, description="Port to listen on; 0 picks a free one")
    allowed_hosts: list[HostName] = Field(
        default_factory=list, description="Names under which browsers reach the page besides its address"
    )
    health: HealthListenerSettings | None = Field(
        default=None, description="A listener of its own for /healthz and /readyz"
    )
    socket: SocketSettings | None = Field(default=None, description="A Unix socket to listen on besides")
    tls: TlsSettings | None = Field(default=None, description="Certificate and key; unset: plain HTTP")
    public_read: bool = Field(
        default=False, description="Page and API for everybody, on addresses that others reach too"
    )
    public_page: PublicPageSettings | None = Field(
        default=None, description="A page for everybody, with chosen targets and nothing but their status"
    )
    metrics_auth: bool = Field(
        default=False, description="/metrics for credentials with the scope metrics alone"
    )
    tokens: Annotated[dict[Name, TokenSettings], Field(max_length=MOST_CREDENTIALS)] = Field(
        default_factory=dict, description="Bearer tokens, by name"
    )
    users: Annotated[dict[Name, UserSettings], Field(max_length=MOST_CREDENTIALS)] = Field(
        default_factory=dict, description="Users of basic authentication, by name"
    )
    proxy: ProxySettings | None = Field(
        default=None, description="A proxy whose X-Forwarded-For and user header are believed"
    )
    rate_limit: RateLimitSettings = Field(
        default_factory=RateLimitSettings, description="What one client may ask for"
    )
    external_url: str | None = Field(
        default=None,
        description="Where browsers reach the page, its path prefix included: https://tools.example/floe",
    )
    trace_url: str | None = Field(
        default=None,
        description="Where a trace is looked at, by its id: https://traces.example/trace/{trace_id}",
    )

    @field_validator("host")
    @classmethod
    def _one_address(cls, host: str) -> str:
        return _bare_host(host)

    @field_validator("trace_url")
    @classmethod
    def _trace(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc or TRACE_ID not in url:
            raise ValueError(f"write https://HOST/PATH with {TRACE_ID} where the trace's id belongs")
        return url

    @field_validator("external_url")
    @classmethod
    def _page(cls, url: str | None) -> str | None:
        if url is None:
            return None
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable or parts.query or parts.fragment or "@" in parts.netloc:
            raise ValueError("must be a URL of scheme, host and path alone: https://tools.example/floe")
        path = parts.path.rstrip("/")
        if path.split("/")[1:2] and path.split("/")[1] in OWN_SEGMENTS:
            raise ValueError(f"its path begins like a route of the monitor's own: /{path.split('/')[1]}")
        # As browsers write it: without the port that the scheme implies.
        default = ":443" if parts.scheme == "https" else ":80"
        return f"{parts.scheme}://{parts.netloc.lower().removesuffix(default)}{path}"

    @property
    def listening(self) -> tuple[object, ...]:
        """What is read at start alone; the rest takes effect with a reload."""
        return self.host, self.port, self.health, self.socket, self.tls

    @property
    def path_prefix(self) -> str:
        """Of `external_url`, without a slash at its end; mostly empty."""
        return urlsplit(self.external_url).path if self.external_url else ""

    @property
    def external_origin(self) -> str:
        """Of `external_url`, as browsers write it into Origin."""
        return self.external_url.removesuffix(self.path_prefix) if self.external_url else ""

    @property
    def external_authority(self) -> str:
        """Host and port of `external_url`, as browsers write them into Host."""
        return urlsplit(self.external_url).netloc if self.external_url else ""
