"""uvicorn's HTTP protocol inside the daemon's own loop and task group: no signals, no second clock."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
from uvicorn import Config

from floe_monitor.web.protocol import BoundedProtocol, Connections, Limits

if TYPE_CHECKING:
    from anyio.abc import TaskStatus
    from starlette.types import ASGIApp

    from floe_monitor.web.listener import Listener

_POLL = 0.02


async def serve(
    app: ASGIApp,
    listener: Listener,
    *,
    grace: float = 2.0,
    limits: Limits | None = None,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Answer until cancelled; then let answers under way finish for at most `grace` seconds.

    Open connections, silent or slow, are cut after that, and the listener is closed.
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
        limit_concurrency=limits.connections + 1,
        timeout_keep_alive=limits.keep_alive,
    )
    # What clients send wrong is theirs; an exception in a route is ours and stays.
    uvicorn_log = logging.getLogger("uvicorn.error")
    former_level = uvicorn_log.level
    uvicorn_log.setLevel(logging.ERROR)
    config.load()
    state = Connections(limits)
    loop = asyncio.get_running_loop()

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
    # One turn for the transports to tell their protocols, so that no timer of theirs is left behind.
    await anyio.lowlevel.checkpoint()
