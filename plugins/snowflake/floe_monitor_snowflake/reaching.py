"""The way to the server without the driver: TCP and TLS, each with its own failure.

The driver tells all of them as one failed login. Nothing is sent over the connection, and its certificate is
left for the driver to judge, which has its own roots.
"""

from __future__ import annotations

import socket
import ssl
import time
import urllib.request
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from floe_monitor.compute import ComputeConnectionError, ComputeTimeoutError

if TYPE_CHECKING:
    from floe_monitor_snowflake.config import SnowflakeConfig


class Way:
    """Where the first connection goes: to the server, or to a proxy before it."""

    def __init__(self, config: SnowflakeConfig) -> None:
        host, port = config.address
        self.proxied = True
        if config.proxy_host is not None:
            self.host, self.port = config.proxy_host, config.proxy_port or 80
            return
        # The driver honours the same variables.
        proxy = urllib.request.getproxies().get("https" if config.encrypts else "http")
        if proxy and not urllib.request.proxy_bypass(host):
            found = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
            if found.hostname:
                self.host, self.port = found.hostname, found.port or 80
                return
        self.proxied, self.host, self.port = False, host, port

    @property
    def address(self) -> tuple[str, int, bool]:
        return self.host, self.port, self.proxied


def dial(way: Way, addresses: list[str], expires_at: float) -> socket.socket:
    """TCP to the first address that answers; each has its share of the time."""
    failures: list[str] = []
    timed_out = False
    for position, address in enumerate(addresses):
        left = expires_at - time.monotonic()
        if left <= 0:
            timed_out = True
            break
        try:
            return socket.create_connection((address, way.port), timeout=left / (len(addresses) - position))
        except TimeoutError:
            timed_out = True
            failures.append(f"{address} port {way.port}: no answer to the TCP connection in time")
        except OSError as error:
            failures.append(f"{address} port {way.port}: {error.strerror or type(error).__name__}")
    text = "; ".join(failures) or "no time left for the TCP connection"
    raise (ComputeTimeoutError if timed_out else ComputeConnectionError)(text)


def shake_hands(connection: socket.socket, host: str, expires_at: float) -> str:
    """TLS up to the end of the handshake, in steps that each respect the deadline; gives the version."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=host)
    while True:
        done = False
        try:
            tls.do_handshake()
            done = True
        except ssl.SSLWantReadError:
            pass
        left = expires_at - time.monotonic()
        if left <= 0:
            raise ComputeTimeoutError("no answer in time while waiting for the TLS handshake")
        connection.settimeout(left)
        try:
            if outgoing.pending:
                connection.sendall(outgoing.read())
            if done:
                return tls.version() or "TLS"
            received = connection.recv(16384)
        except TimeoutError:
            raise ComputeTimeoutError("no answer in time while waiting for the TLS handshake") from None
        except OSError as error:
            raise ComputeConnectionError(f"TLS handshake: {error.strerror}") from error
        if not received:
            raise ComputeConnectionError("the server ended the connection during the TLS handshake")
        incoming.write(received)
