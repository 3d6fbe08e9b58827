"""The HTTP surface of the daemon: its listeners, what is served at each, and what keeps them current."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import anyio

from floe_monitor.compute.toolkit.headroom import descriptor_limit
from floe_monitor.web.access_control import AccessControl
from floe_monitor.web.admission import STREAMS
from floe_monitor.web.app import create_app
from floe_monitor.web.authentication import Authenticator
from floe_monitor.web.health import Health, create_health_app
from floe_monitor.web.listeners import ListenError, listen, listen_unix
from floe_monitor.web.protocol import Limits
from floe_monitor.web.server import Service, serve
from floe_monitor.web.tls import CertificateError, ServerCertificate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from anyio.abc import TaskStatus

    from floe_monitor.domain.events import Publish
    from floe_monitor.domain.liveness import LivenessLimits
    from floe_monitor.domain.state import MonitorState
    from floe_monitor.domain.uptime import PastSource
    from floe_monitor.settings.http_models import HttpSettings
    from floe_monitor.web.change_feed import ChangeFeed
    from floe_monitor.web.interfaces import ControllerProtocol, HistoryProtocol, MetricsPageProtocol
    from floe_monitor.web.listeners import Listener


@dataclass(frozen=True, slots=True)
class Listeners:
    """`main` has one for host and port, one for the Unix socket, or both in this order."""

    main: tuple[Listener, ...]
    health: Listener | None = None
    certificate: ServerCertificate | None = None

    def close(self) -> None:
        for listener in (*self.main, *([self.health] if self.health is not None else [])):
            listener.close()


def bind(http: HttpSettings) -> Listeners:
    """Raises `ListenError`, and leaves nothing open then."""
    main: list[Listener] = []
    health: Listener | None = None
    try:
        certificate = None
        on_tcp = http.socket is None or not http.socket.only
        if http.tls is not None and on_tcp:
            certificate = ServerCertificate(http.tls.certificate, http.tls.key)
        if on_tcp:
            main.append(listen(http.host, http.port, certificate))
        if http.health is not None:
            health = listen(http.health.host or http.host, http.health.port, section="http.health")
        if http.socket is not None:
            main.append(listen_unix(os.path.abspath(http.socket.path), int(http.socket.mode, 8)))  # noqa: PTH100 - links stay
    except (ListenError, CertificateError) as error:
        Listeners(tuple(main), health).close()
        raise ListenError(str(error)) from None
    return Listeners(tuple(main), health, certificate)


class HttpSurface:
    """Made within the event loop."""

    def __init__(self, listeners: Listeners, http: HttpSettings, environ: Mapping[str, str]) -> None:
        self._listeners = listeners
        self.access = AccessControl(http, Authenticator(environ))

    async def run(
        self,
        state: MonitorState,
        page: MetricsPageProtocol,
        controller: ControllerProtocol,
        *,
        limits: Callable[[], LivenessLimits],
        publish: Publish,
        feed: ChangeFeed,
        past: PastSource | None,
        history: HistoryProtocol | None,
        interval: Callable[[], float],
        task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """Until cancelled. `interval`: seconds after which files are read again."""
        health = Health(state, limits)
        bounds = Limits.within(descriptor_limit())
        app = create_app(
            state,
            page,
            controller,
            health=health,
            access=self.access,
            publish=publish,
            feed=feed,
            past=past,
            history=history,
            streams=min(STREAMS, bounds.connections // 4),
        )
        services = [Service(app, self._listeners.main, bounds)]
        if self._listeners.health is not None:
            health_app = create_health_app(health, lambda: self.access.rules.http)
            few = Limits.for_health(descriptor_limit())
            services.append(Service(health_app, (self._listeners.health,), few))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(self.access.keep_current, interval), name="access")
            tasks.start_soon(feed.run, name="events")
            if past is not None:
                tasks.start_soon(past.run, name="past")
            if self._listeners.certificate is not None:
                tasks.start_soon(self._listeners.certificate.follow, interval, name="certificate")
            await serve(*services, task_status=task_status)
