"""The way to a server, as dbt's driver goes it: the network, through a proxy perhaps, TLS, and a login."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING

from floe_monitor.compute import ComputeError, Validation, deadline, note_server
from floe_monitor.compute.toolkit.dbt_outputs import secret_of
from floe_monitor.compute.toolkit.dialling import dial
from floe_monitor.compute.toolkit.http_address import Origin
from floe_monitor.compute.toolkit.proxies import open_tunnel
from floe_monitor_clickhouse.certificates import tls_files, tls_warnings
from floe_monitor_clickhouse.config import SECRETS
from floe_monitor_clickhouse.errors import classify
from floe_monitor_clickhouse.http_session import HttpSession
from floe_monitor_clickhouse.native_session import NativeSession
from floe_monitor_clickhouse.proxy import driver_proxy

if TYPE_CHECKING:
    from floe_monitor.compute import Check, Deadline
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor.compute.toolkit.bounded_socket import BoundedSocket
    from floe_monitor.compute.toolkit.proxies import Proxy
    from floe_monitor_clickhouse.config import ClickHouseConfig

Session = HttpSession | NativeSession
_GIVES_UP = 10.0
"""Seconds after which dbt's driver leaves a silent address for the next, unless `connect_timeout` says."""


class Connector:
    """Gets one validation to a session, with a check for each step."""

    def __init__(self, config: ClickHouseConfig, calls: BlockingCalls) -> None:
        self.deadline = deadline.with_margin()
        secrets = {key: secret_of(config, key) for key in SECRETS}
        self.validation = Validation(classify, [secret for secret in secrets.values() if secret])
        self._config, self._calls, self._secrets = config, calls, secrets
        self._tls_files = tls_files(config, calls)
        scheme = "https" if config.secure else "http"
        self._origin = Origin(scheme, _ascii(config.server), config.server_port)
        self._name = config.server_host_name or self._origin.server_hostname
        self._proxy: Proxy | None = None

    def prepare(self) -> None:
        """Before all else: all of it is part of the key."""
        try:
            if not self._config.is_native:
                origin = self._origin
                self._proxy = driver_proxy(origin.scheme, origin.host, origin.port)
            if self._config.secure:
                self._tls_files.read(self.deadline)
        except (ComputeError, OSError):
            with self.validation.check("network"):
                raise

    @property
    def key(self) -> bytes:
        """Differs wherever anything does that a kept session has: its way, what TLS shows, who asks."""
        parts = [self._config.model_dump_json(), self._secrets, str(self._proxy), self._tls_files.version]
        return hashlib.sha256(json.dumps(parts).encode(errors="surrogatepass")).digest()

    @property
    def steps(self) -> tuple[str, ...]:
        """The checks that `connect` records."""
        tls = ("tls",) if self._config.secure else ()
        login = ("login",) if self._config.is_native else ()
        return ("network", *tls, *login)

    def connect(self) -> Session:
        with self.validation.check("network") as check:
            connection = self._dial(self.deadline, check)
        try:
            if self._config.secure:
                with self.validation.check("tls") as check:
                    check.warnings += tls_warnings(self._config)
                    connection.encrypt(self._tls_files.context(), self._name)
            if not self._config.is_native:
                return HttpSession(connection, self._reopen, self._site, self._headers())
            session = NativeSession(connection)
            with self.validation.check("login"):
                session.log_in(self._config.login, self._secrets["password"] or "")
        except BaseException:
            connection.close()
            raise
        return session

    def _reopen(self, until: Deadline) -> BoundedSocket:
        """Once more, where the other side has ended the connection between two requests."""
        connection = self._dial(until)
        try:
            if self._config.secure:
                connection.encrypt(self._tls_files.context(), self._name)
        except BaseException:
            connection.close()
            raise
        return connection

    @property
    def _site(self) -> str:
        return str(self._origin) if self._proxy is not None and not self._config.secure else ""

    def _headers(self) -> dict[str, str]:
        headers = {
            "Host": self._config.server_host_name or self._origin.authority,
            "User-Agent": "floe-monitor",
            "Accept-Encoding": "identity",
        }
        if self._config.client_cert is not None:
            return {
                **headers,
                "X-ClickHouse-User": self._config.login,
                "X-ClickHouse-SSL-Certificate-Auth": "on",
            }
        pair = f"{self._config.login}:{self._secrets['password'] or ''}".encode()
        login = base64.b64encode(pair).decode()
        self.validation.hide(login)
        return {**headers, "Authorization": f"Basic {login}"}

    def _dial(self, until: Deadline, check: Check | None = None) -> BoundedSocket:
        """TCP to the first address that answers, and on through the proxy, if there is one."""
        origin, proxy = self._origin, self._proxy
        note_server(origin.host)
        first = origin if proxy is None else proxy.origin
        gives_up = float(self._config.connect_timeout or _GIVES_UP)
        dialled = dial(first.host, first.port, self._calls, until, driver_gives_up=gives_up)
        if check is not None:
            check.warnings += dialled.warnings
        connection = dialled.connection
        try:
            if proxy is not None and proxy.scheme == "https":
                connection.encrypt(self._tls_files.context(), proxy.origin.server_hostname)
            if proxy is not None and self._config.secure:
                open_tunnel(connection, proxy, origin.host, origin.port)
        except BaseException:
            connection.close()
            raise
        return connection


def _ascii(host: str) -> str:
    """As a header and a certificate have the name."""
    try:
        return host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        return host  # which no name service knows
