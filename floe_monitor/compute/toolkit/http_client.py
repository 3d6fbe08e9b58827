"""HTTP requests that end by their deadline whatever the other side does, over connections that are kept.

Errors are `ComputeTimeoutError` and `ComputeConnectionError`; they name a URL's scheme, host and port alone.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, urljoin

from floe_monitor.compute.deadline import Deadline, remaining
from floe_monitor.compute.errors import ComputeConfigurationError, ComputeConnectionError, ComputeTimeoutError
from floe_monitor.compute.evidence import note_server
from floe_monitor.compute.toolkit import proxies
from floe_monitor.compute.toolkit.bounded_socket import ProtocolError
from floe_monitor.compute.toolkit.http_address import Origin, site_of, split_url
from floe_monitor.compute.toolkit.http_connection import BODY_LIMIT, HttpConnection
from floe_monitor.compute.toolkit.tls import tls_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from floe_monitor.compute.toolkit.bounded_socket import BoundedSocket
    from floe_monitor.compute.toolkit.dialling import Dialled
    from floe_monitor.compute.toolkit.endpoints import Endpoint
    from floe_monitor.compute.toolkit.http_connection import HttpAnswer
    from floe_monitor.compute.toolkit.proxies import Proxy

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MOST_REDIRECTS = 3
MOST_KEPT = 8
"""Connections, one for an origin; the one unused longest gives way."""
USER_AGENT = "floe-monitor"
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_OF_ONE_ORIGIN = re.compile(r"host|cookie|.*(auth|token|secret|password|credential|key).*", re.IGNORECASE)
"""Headers that prove who asks: they go nowhere else."""
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


class Dial(Protocol):
    """`dialling.dial` with its options: `partial(dial, calls=CALLS, driver_gives_up=None)`."""

    def __call__(self, host: str, port: int, *, deadline: Deadline) -> Dialled[BoundedSocket]: ...


class HttpClient:
    """Keeps one connection for each origin. Not for two threads at once."""

    def __init__(
        self,
        dial: Dial,
        *,
        context_for: Callable[[Origin], ssl.SSLContext] = lambda _: tls_context(),
        proxy_for: Callable[[str, str, int], Proxy | None] = proxies.proxy_for,
        deadline: Deadline | None = None,
    ) -> None:
        """`context_for` is asked for the TLS of a server, or of a proxy that is itself spoken to in TLS."""
        self._dial, self._context_for, self._proxy_for = dial, context_for, proxy_for
        self.deadline = deadline
        """Of requests that name none; without it, that of the validation under way."""
        self.waits_for = "the answer to an HTTP request"
        """For the text of a timeout."""
        self._kept: dict[Origin, HttpConnection] = {}

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        *,
        deadline: Deadline | None = None,
        follow_redirects: bool = False,
        body_limit: int = BODY_LIMIT,
        cut_body: bool = False,
    ) -> HttpAnswer:
        """The answer, whatever its status. With `follow_redirects` a GET ends where they lead.

        What proves who asks goes along only where scheme, host and port stay. A body longer than `body_limit`
        is cut there with `cut_body`, and is a `ProtocolError` without. A request is sent a second time, over
        a new connection, only where a kept one ended without an answer and the method is idempotent.
        """
        deadline = deadline or self.deadline or Deadline.after(remaining())
        origin, target = split_url(url)
        sent = dict(headers or {})
        warnings: tuple[str, ...] = ()
        for _ in range(MOST_REDIRECTS + 1):
            request = _Request(method, origin, target, sent, body, deadline, body_limit, cut_body)
            answer = self._answered(request)
            warnings += answer.warnings
            there = _location(url, answer)
            if there is None:
                return dataclasses.replace(answer, warnings=warnings)
            if not follow_redirects or method != "GET" or not there.lower().startswith(("http:", "https:")):
                return dataclasses.replace(answer, warnings=warnings, moved_to=site_of(there))
            before, url = origin, there
            try:
                origin, target = split_url(url)
            except ComputeConfigurationError:
                raise ComputeConnectionError(f"{before} redirects to what is no HTTP address") from None
            if origin != before:
                sent = {name: value for name, value in sent.items() if not _OF_ONE_ORIGIN.fullmatch(name)}
        raise ComputeConnectionError(f"{before}: more than {MOST_REDIRECTS} redirects")

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Of the connections that are kept: a proxy's where one is in between."""
        return tuple(kept.connection.endpoint for kept in self._kept.values())

    def adopt(self, url: str, connection: BoundedSocket) -> None:
        """Use a connection that the caller has made: dialled, past the proxy, and encrypted."""
        self._keep(split_url(url)[0], HttpConnection(connection))

    def renew(self, deadline: Deadline) -> None:
        """For another validation: its deadline. Connections that have ended meanwhile are let go."""
        self.deadline = deadline
        for origin in [origin for origin, kept in self._kept.items() if not kept.alive]:
            self._kept.pop(origin).close()

    def close(self) -> None:
        """Let go of every connection; a request that follows makes its own."""
        while self._kept:
            self._kept.popitem()[1].close()

    def _answered(self, request: _Request) -> HttpAnswer:
        note_server(request.origin.host)
        proxy = self._proxy_for(request.origin.scheme, request.origin.host, request.origin.port)
        where = f"{request.origin}" if proxy is None else f"{request.origin} by {proxy}"
        try:
            kept = self._kept.pop(request.origin, None)
            if kept is not None:
                if kept.alive:
                    try:
                        return self._exchange(kept, request, proxy)
                    except (ComputeConnectionError, ComputeTimeoutError) as error:
                        if not request.may_be_repeated(error, kept):
                            raise
                kept.close()
            connection, warnings = self._open(request, proxy)
            return dataclasses.replace(self._exchange(connection, request, proxy), warnings=warnings)
        except (ComputeConnectionError, ComputeTimeoutError) as error:
            error.args = (f"{where}: {error}",)
            raise

    def _exchange(self, connection: HttpConnection, request: _Request, proxy: Proxy | None) -> HttpAnswer:
        try:
            connection.connection.renew(request.deadline)
            connection.connection.waits_for = self.waits_for
            connection.send(request.method, *request.head(proxy), request.body)
            answer = connection.read(request.method, request.body_limit, cut=request.cut_body)
        except BaseException:
            connection.close()
            raise
        connection.connection.note_certificates()
        if connection.reusable and not request.closes:
            self._keep(request.origin, connection)
        else:
            connection.close()
        return answer

    def _open(self, request: _Request, proxy: Proxy | None) -> tuple[HttpConnection, tuple[str, ...]]:
        origin = request.origin
        context = self._context_for(origin) if origin.scheme == "https" else None
        first = origin if proxy is None else proxy.origin
        dialled = self._dial(first.host, first.port, deadline=request.deadline)
        connection = dialled.connection
        try:
            if proxy is not None and proxy.scheme == "https":
                connection.encrypt(self._context_for(proxy.origin), proxy.origin.server_hostname)
            if context is not None:
                if proxy is not None:
                    proxies.open_tunnel(connection, proxy, origin.host, origin.port)
                connection.encrypt(context, origin.server_hostname)
        except BaseException:
            connection.close()
            raise
        return HttpConnection(connection), dialled.warnings

    def _keep(self, origin: Origin, connection: HttpConnection) -> None:
        if origin in self._kept:
            self._kept.pop(origin).close()
        elif len(self._kept) >= MOST_KEPT:
            self._kept.pop(next(iter(self._kept))).close()
        self._kept[origin] = connection


@dataclasses.dataclass(frozen=True, slots=True)
class _Request:
    method: str
    origin: Origin
    target: str
    headers: Mapping[str, str] = dataclasses.field(repr=False)
    body: bytes | None = dataclasses.field(repr=False)
    deadline: Deadline
    body_limit: int
    cut_body: bool

    @property
    def closes(self) -> bool:
        """Whether it asks for the end of the connection."""
        return any(name.lower() == "connection" and "close" in value for name, value in self.headers.items())

    def head(self, proxy: Proxy | None) -> tuple[str, Mapping[str, str]]:
        """The request target and all headers: those of the caller replace those of the same name."""
        usual = {"Host": self.origin.authority, "User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
        fixed: dict[str, str] = {}
        target = self.target
        if proxy is not None and self.origin.scheme == "http":
            target = f"{self.origin}{self.target}"
            if proxy.authorization is not None:
                fixed["Proxy-Authorization"] = proxy.authorization
        if self.body is not None or self.method in {"POST", "PUT", "PATCH"}:
            fixed["Content-Length"] = str(len(self.body or b""))
        given = {name.lower() for name in (*self.headers, *fixed)}
        before = {name: value for name, value in usual.items() if name.lower() not in given}
        own = {name.lower() for name in fixed}
        return target, {
            **before,
            **{name: value for name, value in self.headers.items() if name.lower() not in own},
            **fixed,
        }

    def may_be_repeated(self, error: Exception, kept: HttpConnection) -> bool:
        ended = isinstance(error, ComputeConnectionError) and not isinstance(error, ProtocolError)
        return ended and not kept.answered and self.method in _IDEMPOTENT


def _location(url: str, answer: HttpAnswer) -> str | None:
    """Where a redirect leads; None for any other answer."""
    target = answer.headers.get("location")
    if answer.status not in REDIRECTS or not target:
        return None
    try:
        # A header's bytes come as Latin-1, whatever they were.
        return urljoin(url, quote(target.encode("latin-1"), safe=_PRINTABLE))
    except ValueError:
        return "invalid:"
