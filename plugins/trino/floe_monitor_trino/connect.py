"""The way to a coordinator, as dbt's driver goes it: the network, through a proxy perhaps, then TLS."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from floe_monitor.compute import ComputeConfigurationError, ComputeError, Validation, deadline, note_server
from floe_monitor.compute.toolkit.dbt_outputs import secret_of
from floe_monitor.compute.toolkit.dialling import dial
from floe_monitor.compute.toolkit.http_address import Origin, split_url
from floe_monitor.compute.toolkit.http_client import HttpClient
from floe_monitor.compute.toolkit.proxies import open_tunnel, proxy_for
from floe_monitor_trino.certificates import tls_files, tls_warnings
from floe_monitor_trino.config import SECRETS
from floe_monitor_trino.errors import classify
from floe_monitor_trino.session import Session
from floe_monitor_trino.session_headers import secret_headers, session_headers

if TYPE_CHECKING:
    import ssl

    from floe_monitor.compute import Check
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor.compute.toolkit.bounded_socket import BoundedSocket
    from floe_monitor.compute.toolkit.proxies import Proxy
    from floe_monitor_trino.config import TrinoConfig

DRIVER_GIVES_UP = 30.0
"""Seconds after which dbt's driver leaves a silent address for the next.

Its `request_timeout`, which dbt-trino does not set.
"""


@dataclass(frozen=True, slots=True)
class Route:
    """Where any connection to the target goes."""

    origin: Origin
    proxy: Proxy | None

    @classmethod
    def of(cls, config: TrinoConfig) -> Route:
        origin, _ = split_url(f"{config.scheme}://{config.host}:{config.port}")
        if os.environ.get("SOCKS_PROXY"):
            raise ComputeConfigurationError(
                "SOCKS_PROXY is set, and dbt's driver goes through that proxy: a probe cannot"
            )
        return cls(origin, proxy_for(origin.scheme, origin.host, origin.port))


class Connector:
    """Gets one validation to a coordinator, with a check for each step."""

    def __init__(self, config: TrinoConfig, calls: BlockingCalls) -> None:
        self.deadline = deadline.with_margin()
        secrets = {key: secret_of(config, key) for key in SECRETS}
        self.validation = Validation(classify, [secret for secret in secrets.values() if secret])
        self.validation.hide(*secret_headers(config))
        self._config, self._calls, self._secrets = config, calls, secrets
        self._tls_files = tls_files(config, calls)
        self._route: Route
        self._headers: dict[str, str]

    def prepare(self) -> None:
        """Before all else: all of it is part of the key."""
        try:
            self._route = Route.of(self._config)
            self._headers = session_headers(self._config)
            self.validation.hide(self._headers.get("Authorization", "").rpartition(" ")[2])
            if self._config.scheme == "https":
                self._tls_files.read(self.deadline)
        except (ComputeError, OSError):
            with self.validation.check("network"):
                raise

    @property
    def key(self) -> bytes:
        """Differs wherever anything does that a kept session has: its way, what TLS trusts, who asks."""
        proxy = self._route.proxy
        login = None if proxy is None else proxy.authorization
        parts = [self._config.model_dump_json(), self._secrets, self._headers, str(proxy), login]
        parts.append(self._tls_files.version)
        return hashlib.sha256(json.dumps(parts).encode(errors="surrogatepass")).digest()

    @property
    def steps(self) -> tuple[str, ...]:
        """The checks that `connect` records."""
        return ("network", "tls") if self._config.scheme == "https" else ("network",)

    def connect(self) -> Session:
        with self.validation.check("network") as check:
            connection = self._dial(check)
        try:
            if self._config.scheme == "https":
                with self.validation.check("tls") as check:
                    check.warnings += tls_warnings(self._config)
                    connection.encrypt(self._context(), self._route.origin.server_hostname)
        except BaseException:
            connection.close()
            raise
        client = HttpClient(
            partial(dial, calls=self._calls, driver_gives_up=DRIVER_GIVES_UP),
            context_for=lambda _: self._context(),
            deadline=self.deadline,
        )
        site = str(self._route.origin)
        client.adopt(site, connection)
        return Session(client, site, self._headers, self.deadline)

    def _context(self) -> ssl.SSLContext:
        return self._tls_files.context()

    def _dial(self, check: Check) -> BoundedSocket:
        """TCP to the first address that answers, and on through the proxy, if there is one."""
        origin, proxy = self._route.origin, self._route.proxy
        note_server(origin.host)
        first = origin if proxy is None else proxy.origin
        dialled = dial(first.host, first.port, self._calls, self.deadline, driver_gives_up=DRIVER_GIVES_UP)
        check.warnings += dialled.warnings
        connection = dialled.connection
        try:
            if proxy is not None and proxy.scheme == "https":
                connection.encrypt(self._context(), proxy.origin.server_hostname)
            if proxy is not None and origin.scheme == "https":
                open_tunnel(connection, proxy, origin.host, origin.port)
        except BaseException:
            connection.close()
            raise
        return connection
