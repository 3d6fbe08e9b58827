"""The listening sockets. Binding comes before anything else is started, so that a port in use is one clear
error."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from floe_monitor.domain import forked_child
from floe_monitor.web.descriptor_reserve import ReservingSocket
from floe_monitor.web.listener_identity import ListenerIdentity

if TYPE_CHECKING:
    from floe_monitor.web.tls import ServerCertificate

BACKLOG = 512
_NOT_HERE = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
_PROBE_SECONDS = 1.0


class ListenError(Exception):
    """The address cannot be listened on; the message says which, why and what to do."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Listening sockets, one for each address the host has. `port` is the real one where 0 was asked for.

    `path` is that of a Unix socket, which has no host; `made` its device and inode.
    """

    sockets: tuple[ReservingSocket, ...]
    host: str = ""
    port: int = 0
    certificate: ServerCertificate | None = None
    path: str = ""
    made: tuple[int, int] = (0, 0)

    @property
    def url(self) -> str:
        """Where to point a browser: a wildcard address is shown as localhost."""
        if self.path:
            return f"unix:{self.path}"
        scheme = "http" if self.certificate is None else "https"
        host = "localhost" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 - a comparison
        return f"{scheme}://[{host}]:{self.port}" if ":" in host else f"{scheme}://{host}:{self.port}"

    @property
    def identity(self) -> ListenerIdentity:
        """Loopback where this machine alone can connect, whatever name the address was given by."""
        if self.path:
            return ListenerIdentity("socket")
        alone = all(ipaddress.ip_address(held.getsockname()[0]).is_loopback for held in self.sockets)
        return ListenerIdentity("loopback" if alone else "network", self.host)

    def close(self) -> None:
        for held in self.sockets:
            forked_child.release(held.fileno())
            held.close()
        if self.path:
            with suppress(OSError):
                found = os.lstat(self.path)
                # Another daemon may have replaced it.
                if (found.st_dev, found.st_ino) == self.made:
                    Path(self.path).unlink()


def listen(
    host: str, port: int, certificate: ServerCertificate | None = None, section: str = "http"
) -> Listener:
    """Bind and listen; connections wait in the backlog until they are served. Raises `ListenError`, whose
    text names keys of `section`.

    A name is listened on at each of its addresses that this machine has: where IPv6 is switched off,
    `localhost` is 127.0.0.1 alone, although the table of hosts names `::1` too.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "no host name"
        raise ListenError(f"cannot listen on {host}:{port}: {reason}; check {section}.host") from None
    sockets: list[ReservingSocket] = []
    missing: OSError | None = None
    for family, address in dict.fromkeys((entry[0], entry[4]) for entry in found):
        # Port 0: every further address takes the port the first one was given.
        taken = port or (sockets[0].getsockname()[1] if sockets else 0)
        try:
            sockets.append(_bind(family, (address[0], taken, *address[2:])))
        except OSError as error:
            if error.errno in _NOT_HERE:
                missing = error
                continue
            for held in sockets:
                held.close()
            raise ListenError(_explain(host, port, error, section)) from None
    if not sockets:
        raise ListenError(
            _explain(host, port, missing or OSError(errno.EADDRNOTAVAIL, ""), section)
        ) from None
    for held in sockets:
        forked_child.close_in_child(held.fileno())
    return Listener(tuple(sockets), host, sockets[0].getsockname()[1], certificate)


def listen_unix(path: str, mode: int) -> Listener:
    """A Unix socket with these permissions. What is left of an earlier run is replaced; a socket somebody
    listens on, and whatever else stands there, is not. Raises `ListenError`."""
    _remove_left_over(path)
    bound = ReservingSocket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(path)
        # Before `listen`, which is when somebody can connect.
        Path(path).chmod(mode)
        bound.listen(BACKLOG)
        bound.setblocking(False)
        made = os.lstat(path)
    except OSError as error:
        bound.close()
        hint = {
            errno.ENOENT: "its directory does not exist",
            errno.EACCES: "its directory may not be written by this user",
            errno.EROFS: "its directory is read-only",
        }.get(error.errno or 0, (error.strerror or "unusable").lower())
        raise ListenError(f"cannot listen on {path}: {hint}; check http.socket.path") from None
    forked_child.close_in_child(bound.fileno())
    return Listener((bound,), path=path, made=(made.st_dev, made.st_ino))


def _remove_left_over(path: str) -> None:
    try:
        found = os.lstat(path)
    except OSError:
        return  # mostly because it is not there; else binding says why
    if not stat.S_ISSOCK(found.st_mode):
        raise ListenError(
            f"cannot listen on {path}: something else than a socket is there; set http.socket.path"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_SECONDS)
        try:
            probe.connect(path)
        except ConnectionRefusedError:  # nobody listens any more
            with suppress(OSError):
                Path(path).unlink()
            return
        except OSError:
            pass  # a full backlog, or no right to connect: somebody listens
    raise ListenError(
        f"cannot listen on {path}: another process listens there (a second floe-monitor?); "
        "set http.socket.path"
    )


def _bind(family: int, address: tuple[object, ...]) -> ReservingSocket:
    # The protocol is named, since asyncio sets TCP_NODELAY only on sockets that have one, and accepted ones
    # inherit it. Without the option Nagle's algorithm holds the body of an answer, written after its head,
    # until the client's delayed acknowledgement of the head: 40 ms for each answer on a kept connection.
    bound = ReservingSocket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # Every address means those of IPv4 too; `localhost` has a socket for each.
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address[0] != "::"))
        bound.bind(address)
        bound.listen(BACKLOG)
        bound.setblocking(False)
    except OSError:
        bound.close()
        raise
    return bound


def _explain(host: str, port: int, error: OSError, section: str) -> str:
    hint = {
        errno.EADDRINUSE: f"another process listens there (a second floe-monitor?); set {section}.port",
        errno.EACCES: f"ports below 1024 need a privilege; set {section}.port",
        errno.EADDRNOTAVAIL: f"this machine has no such address; set {section}.host",
        errno.EAFNOSUPPORT: f"this machine has no IPv6; set {section}.host",
    }.get(error.errno or 0, f"check {section}.host and {section}.port")
    shown = f"[{host}]" if ":" in host else host
    return f"cannot listen on {shown}:{port}: {os.strerror(error.errno or 0).lower()}: {hint}"
