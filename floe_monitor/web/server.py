"""The listening sockets, and uvicorn's HTTP protocol in the daemon's own event loop and task group.

uvicorn's own server is not used: it installs signal handlers and a timer. Binding is separate from serving,
and before anything else is started, so that a port in use is one clear error.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
from uvicorn import Config

from floe_monitor.domain import forked_child
from floe_monitor.web.descriptor_reserve import ReservingSocket
from floe_monitor.web.protocol import BoundedProtocol, Connections, Limits

if TYPE_CHECKING:
    from anyio.abc import TaskStatus
    from starlette.types import ASGIApp

_POLL = 0.02
_BACKLOG = 512
_NOT_HERE = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


class ListenError(Exception):
    """The address cannot be listened on; the message says which, why and what to do."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Listening sockets, one for each address the host has. `port` is the real one where 0 was asked for."""

    sockets: tuple[ReservingSocket, ...]
    host: str
    port: int

    @property
    def url(self) -> str:
        """Where to point a browser: a wildcard address is shown as localhost."""
        host = "localhost" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 - a comparison
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether this machine alone can connect, whatever name the address was given by."""
        return all(ipaddress.ip_address(held.getsockname()[0]).is_loopback for held in self.sockets)

    def close(self) -> None:
        for held in self.sockets:
            forked_child.release(held.fileno())
            held.close()


def listen(host: str, port: int) -> Listener:
    """Bind and listen; connections wait in the backlog until `serve` runs. Raises `ListenError`.

    A name is listened on at each of its addresses that this machine has: where IPv6 is switched off,
    `localhost` is 127.0.0.1 alone, although the table of hosts names `::1` too.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "no host name"
        raise ListenError(f"cannot listen on {host}:{port}: {reason}; check http.host") from None
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
            raise ListenError(_explain(host, port, error)) from None
    if not sockets:
        raise ListenError(_explain(host, port, missing or OSError(errno.EADDRNOTAVAIL, ""))) from None
    for held in sockets:
        forked_child.close_in_child(held.fileno())
    return Listener(tuple(sockets), host, sockets[0].getsockname()[1])


async def serve(
    app: ASGIApp,
    listener: Listener,
    *,
    grace: float = 2.0,
    limits: Limits | None = None,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; then give responses under way at most `grace` seconds.

    Connections still open after that are aborted, and the listener is closed.
    """
    limits = limits or Limits()
    config = Config(
        app,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_keep_alive=limits.keep_alive,
    )
    # Malformed requests are not logged; exceptions of routes are.
    uvicorn_log = logging.getLogger("uvicorn.error")
    former_level = uvicorn_log.level
    uvicorn_log.setLevel(logging.ERROR)
    config.load()
    state = Connections(limits)
    loop = asyncio.get_running_loop()
    for held in listener.sockets:
        held.reserve = state.descriptors

    def connect() -> asyncio.Protocol:
        return BoundedProtocol(config=config, server_state=state, app_state={}, _loop=loop)

    servers = [await loop.create_server(connect, sock=sock) for sock in listener.sockets]
    task_status.started()
    try:
        await anyio.sleep_forever()
    finally:
        with anyio.CancelScope(shield=True):
            await _close(servers, state, grace)
            listener.close()
            state.descriptors.close()
            uvicorn_log.setLevel(former_level)


async def _close(servers: list[asyncio.Server], state: Connections, grace: float) -> None:
    for server in servers:
        server.close()
    for connection in list(state.connections):
        connection.shutdown()
    with anyio.move_on_after(grace):
        while state.connections or state.tasks:  # noqa: ASYNC110 - uvicorn's protocol signals no such end
            await anyio.sleep(_POLL)
    tasks: set[asyncio.Task[Any]] = set(state.tasks)
    for task in tasks:
        task.cancel()
    for connection in list(state.connections):
        connection.transport.abort()
    if tasks:
        await asyncio.wait(tasks, timeout=1.0)
    # One turn of the loop for `connection_lost` of each protocol, which cancels its timers.
    await anyio.lowlevel.checkpoint()


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
        errno.EAFNOSUPPORT: "this machine has no IPv6; set http.host",
    }.get(error.errno or 0, "check http.host and http.port")
    shown = f"[{host}]" if ":" in host else host
    return f"cannot listen on {shown}:{port}: {os.strerror(error.errno or 0).lower()}: {hint}"
