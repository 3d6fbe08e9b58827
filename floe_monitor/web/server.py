"""uvicorn's HTTP protocol in the daemon's own event loop and task group.

uvicorn's own server is not used: it installs signal handlers and a timer, and knows one listener.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
from uvicorn import Config

from floe_monitor.web.descriptor_reserve import DescriptorReserve
from floe_monitor.web.protocol import BoundedProtocol, Connections, Limits
from floe_monitor.web.tls import TlsProtocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import TaskStatus
    from starlette.types import ASGIApp

    from floe_monitor.web.listeners import Listener

_POLL = 0.02


@dataclass(frozen=True, slots=True)
class Service:
    """An application at listeners that share its limits."""

    app: ASGIApp
    listeners: tuple[Listener, ...]
    limits: Limits = field(default_factory=Limits)


async def serve(
    *services: Service,
    grace: float = 2.0,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; then give responses under way at most `grace` seconds.

    Connections still open after that are aborted, and the listeners are closed.
    """
    # Malformed requests are not logged; exceptions of routes are.
    uvicorn_log = logging.getLogger("uvicorn.error")
    former_level = uvicorn_log.level
    uvicorn_log.setLevel(logging.ERROR)
    reserve = DescriptorReserve()
    states = [Connections(service.limits, reserve) for service in services]
    servers: list[asyncio.Server] = []
    try:
        for service, state in zip(services, states, strict=True):
            servers += await _start(service, state)
        task_status.started()
        await anyio.sleep_forever()
    finally:
        with anyio.CancelScope(shield=True):
            await _close(servers, states, grace)
            for service in services:
                for listener in service.listeners:
                    listener.close()
            reserve.close()
            uvicorn_log.setLevel(former_level)


async def _start(service: Service, state: Connections) -> list[asyncio.Server]:
    config = Config(
        service.app,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_keep_alive=service.limits.keep_alive,
    )
    config.load()
    loop = asyncio.get_running_loop()
    servers = []
    for listener in service.listeners:
        connect = _connector(listener, config, state, loop)
        for held in listener.sockets:
            held.reserve = state.descriptors
            servers.append(await loop.create_server(connect, sock=held))
    return servers


def _connector(
    listener: Listener, config: Config, state: Connections, loop: asyncio.AbstractEventLoop
) -> Callable[[], asyncio.BaseProtocol]:
    """What makes the protocol of each connection that is accepted."""
    app_state, certificate = listener.identity.state, listener.certificate

    def plain() -> BoundedProtocol:
        return BoundedProtocol(config=config, server_state=state, app_state=app_state, _loop=loop)

    if certificate is None:
        return plain
    return lambda: TlsProtocol(loop, plain(), certificate.context, state.handshakes)


async def _close(servers: list[asyncio.Server], states: list[Connections], grace: float) -> None:
    for server in servers:
        server.close()
    for state in states:
        for connection in list(state.connections):
            connection.shutdown()
    with anyio.move_on_after(grace):
        while any(state.connections or state.tasks for state in states):  # noqa: ASYNC110 - uvicorn's protocol signals no such end
            await anyio.sleep(_POLL)
    tasks: set[asyncio.Task[Any]] = {task for state in states for task in state.tasks}
    for task in tasks:
        task.cancel()
    for state in states:
        for connection in list(state.connections):
            connection.transport.abort()
    if tasks:
        await asyncio.wait(tasks, timeout=1.0)
    # One turn of the loop for `connection_lost` of each protocol, which cancels its timers.
    await anyio.lowlevel.checkpoint()
