"""Taking the address, before anything else is started, so that a busy port is one clear error."""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import dataclass

_BACKLOG = 512


class ListenError(Exception):
    """The address cannot be listened on; the message says which, why and what to do."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Listening sockets, one for each address the host has. `port` is the real one where 0 was asked for."""

    sockets: tuple[socket.socket, ...]
    host: str
    port: int

    @property
    def url(self) -> str:
        """Where to point a browser: a wildcard address is shown as localhost."""
        host = "localhost" if self.host in ("", "0.0.0.0", "::") else self.host  # noqa: S104 - a comparison
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def close(self) -> None:
        for held in self.sockets:
            held.close()


def listen(host: str, port: int) -> Listener:
    """Bind and listen; connections wait in the backlog until `serve` runs. Raises `ListenError`."""
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise ListenError(f"cannot listen on {host}:{port}: {error.strerror}; check http.host") from None
    sockets: list[socket.socket] = []
    try:
        for family, address in dict.fromkeys((entry[0], entry[4]) for entry in found):
            # Port 0: every further address takes the port the first one was given.
            taken = port or (sockets[0].getsockname()[1] if sockets else 0)
            sockets.append(_bind(family, (address[0], taken, *address[2:])))
    except OSError as error:
        for held in sockets:
            held.close()
        raise ListenError(_explain(host, port, error)) from None
    return Listener(tuple(sockets), host, sockets[0].getsockname()[1])


def _bind(family: int, address: tuple[object, ...]) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
        bound.listen(_BACKLOG)
        bound.setblocking(False)
    except OSError:
        bound.close()
        raise
    return bound


def _explain(host: str, port: int, error: OSError) -> str:
    hint = {
        errno.EADDRINUSE: "another process listens there (a second floe-monitor?); set http.port",
        errno.EACCES: "ports below 1024 need a privilege; set http.port",
        errno.EADDRNOTAVAIL: "this machine has no such address; set http.host",
    }.get(error.errno or 0, "check http.host and http.port")
    return f"cannot listen on {host}:{port}: {os.strerror(error.errno or 0).lower()}: {hint}"
