"""Sockets that end at a moment, below the HTTP library that dbt's driver uses too.

The library's own timeouts bound one wait each: an answer that drips in a byte at a time has no end. Here
every wait, from the name look-up to the last byte, gets what is left until the moment set by `running`.
"""

from __future__ import annotations

import os
import socket
import ssl
import time
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from floe_monitor.compute import ComputeConfigurationError, ComputeConnectionError, ComputeTimeoutError
from floe_monitor.compute.toolkit.blocking_calls import family_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls

_expires_at: ContextVar[float] = ContextVar("floe_monitor_bigquery_expires_at")
_calls: ContextVar[BlockingCalls] = ContextVar("floe_monitor_bigquery_asides")


@contextmanager
def running(expires_at: float, calls: BlockingCalls) -> Iterator[None]:
    """Bound every wait of this thread's sockets, whenever they were made; names are looked up aside."""
    token = _calls.set(calls)
    try:
        with until(expires_at):
            yield
    finally:
        _calls.reset(token)


@contextmanager
def until(expires_at: float) -> Iterator[None]:
    """Within `running`: an earlier moment for some of the waits. Of two nested ones the earlier counts."""
    token = _expires_at.set(min(expires_at, _expires_at.get(expires_at)))
    try:
        yield
    finally:
        _expires_at.reset(token)


def left() -> float:
    """Seconds left, more than 0; raises `ComputeTimeoutError` where there are none."""
    seconds = _expires_at.get() - time.monotonic()
    if seconds <= 0:
        raise ComputeTimeoutError("no answer in time")
    return seconds


class _Bounded(socket.socket):
    """Each operation sets its own limit anew; `sendall` of the base class counts in all."""

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(left())
        return super().recv_into(*args, **kwargs)

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self.settimeout(left())
        super().sendall(*args, **kwargs)


class _BoundedTls(ssl.SSLSocket):
    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(left())
        return super().recv_into(*args, **kwargs)

    def send(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(left())
        return super().send(*args, **kwargs)


def _connect(host: str, port: int) -> socket.socket:
    """To the first address that answers, each with its share of the time."""
    addresses = _calls.get().resolve(host, left())
    problems: list[str] = []
    timed_out = False
    for position, address in enumerate(addresses):
        link = _Bounded(family_of(address), socket.SOCK_STREAM)
        try:
            link.settimeout(left() / (len(addresses) - position))
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link.connect((address, port))
            link.settimeout(left())
        except OSError as error:
            link.close()
            timed_out = timed_out or isinstance(error, TimeoutError)
            reason = "no answer in time" if isinstance(error, TimeoutError) else error.strerror
            problems.append(f"{address} port {port}: {reason}")
        except BaseException:  # a socket must not stay open
            link.close()
            raise
        else:
            return link
    kind = ComputeTimeoutError if timed_out else ComputeConnectionError
    raise kind(f"cannot connect to {host}: {'; '.join(problems)}")


class _Http(urllib3.connection.HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _connect(self._dns_host, self.port)


class _Https(urllib3.connection.HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _connect(self._dns_host, self.port)


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Https


_POOLS = {"http": _HttpPool, "https": _HttpsPool}


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def build_connection_pool_key_attributes(
        self, request: Any, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        if host["scheme"] == "https":
            pool = {"cert_reqs": "CERT_REQUIRED", "ssl_context": _context(verify)}
        return host, pool

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """The context holds the roots already; the base class would load them for each connection."""


def roots() -> tuple[Path, int, int]:
    """The file that the library takes its roots from: `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`, or its own.

    With its time and size, which tell whether it has changed. Raises `ComputeConfigurationError`.
    """
    return _state(os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE"))


def load_roots() -> None:
    """Ahead of the first connection."""
    _made_context(*roots())


def _state(verify: Any) -> tuple[Path, int, int]:
    bundle = Path(verify if isinstance(verify, str) else DEFAULT_CA_BUNDLE_PATH)
    try:
        state = bundle.stat()
    except OSError as error:
        raise _unreadable(bundle, error) from None
    return bundle, state.st_mtime_ns, state.st_size


def _context(verify: Any) -> ssl.SSLContext:
    bundle, *state = _state(verify)
    try:
        return _made_context(bundle, *state)
    except OSError as error:
        raise _unreadable(bundle, error) from None


def _unreadable(bundle: Path, error: OSError) -> ComputeConfigurationError:
    return ComputeConfigurationError(f"cannot read the TLS roots in {bundle}: {error.strerror}")


@lru_cache(maxsize=4)
def _made_context(bundle: Path, *_: int) -> ssl.SSLContext:
    """Made again once the file has changed; loading the roots costs some 20 ms."""
    place = str(bundle)
    folder = bundle.is_dir()
    context = ssl.create_default_context(cafile=None if folder else place, capath=place if folder else None)
    context.sslsocket_class = _BoundedTls
    return context


def session() -> requests.Session:
    """Proxies, roots and .netrc as in dbt's driver: from the environment."""
    made = requests.Session()
    adapter = _Adapter(pool_connections=4, pool_maxsize=2, max_retries=0)
    made.mount("https://", adapter)
    made.mount("http://", adapter)
    return made
