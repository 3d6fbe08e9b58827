"""The way to a workspace, as dbt's driver goes it: the network, through a proxy perhaps, then TLS."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from typing import TYPE_CHECKING

from floe_monitor.compute import ComputeError, Validation, deadline, note_server
from floe_monitor.compute.toolkit.dbt_outputs import secret_of
from floe_monitor.compute.toolkit.dialling import dial
from floe_monitor.compute.toolkit.http_address import split_url
from floe_monitor.compute.toolkit.http_client import HttpClient
from floe_monitor.compute.toolkit.proxies import open_tunnel, proxy_for
from floe_monitor_databricks.certificates import tls_files, tls_warnings
from floe_monitor_databricks.config import SECRETS
from floe_monitor_databricks.errors import classify
from floe_monitor_databricks.oauth import log_in
from floe_monitor_databricks.session import Session, Token

if TYPE_CHECKING:
    from floe_monitor.compute import Check
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor.compute.toolkit.bounded_socket import BoundedSocket
    from floe_monitor.compute.toolkit.http_address import Origin
    from floe_monitor.compute.toolkit.proxies import Proxy
    from floe_monitor_databricks.config import DatabricksConfig

_SOCKET_SECONDS = 600.0


def driver_gives_up(config: DatabricksConfig) -> float:
    """Seconds after which dbt's driver leaves a silent address for the next: its limit of any wait."""
    given = (config.connection_parameters or {}).get("_socket_timeout")
    return float(given) if isinstance(given, int | float) and given > 0 else _SOCKET_SECONDS


class Connector:
    """Gets one validation to a workspace, with a check for each step."""

    def __init__(self, config: DatabricksConfig, calls: BlockingCalls) -> None:
        self.deadline = deadline.with_margin()
        self._secrets = {key: secret_of(config, key) for key in SECRETS}
        self.validation = Validation(classify, [secret for secret in self._secrets.values() if secret])
        self._config, self._calls = config, calls
        self._dial_first = partial(dial, calls=calls, driver_gives_up=driver_gives_up(config))
        self._tls_files = tls_files(config, calls)
        self._origin: Origin
        self._proxy: Proxy | None = None

    def prepare(self) -> None:
        """Before all else: all of it is part of the key."""
        try:
            self._origin, _ = split_url(f"https://{self._config.host}")
            self._proxy = proxy_for("https", self._origin.host, self._origin.port)
            self._tls_files.read(self.deadline)
        except (ComputeError, OSError):
            with self.validation.check("network"):
                raise

    @property
    def key(self) -> bytes:
        """Differs wherever anything does that a kept session has: its way, what TLS trusts, who asks."""
        login = None if self._proxy is None else self._proxy.authorization
        parts = [self._config.model_dump_json(), self._secrets, str(self._proxy), login]
        parts.append(self._tls_files.version)
        return hashlib.sha256(json.dumps(parts).encode(errors="surrogatepass")).digest()

    @property
    def steps(self) -> tuple[str, ...]:
        """The checks that `connect` records."""
        return ("network", "tls")

    def connect(self) -> Session:
        with self.validation.check("network") as check:
            connection = self._dial(check)
        try:
            with self.validation.check("tls") as check:
                check.warnings += tls_warnings(self._config)
                connection.encrypt(self._tls_files.context(), self._origin.server_hostname)
        except BaseException:
            connection.close()
            raise
        client = HttpClient(
            self._dial_first, context_for=lambda _: self._tls_files.context(), deadline=self.deadline
        )
        site = str(self._origin)
        client.adopt(site, connection)
        given = self._secrets["token"]
        token = None if given is None else Token(given)
        return Session(client, site, self._config.workspace_id, self.deadline, token)

    def log_in(self, session: Session) -> Token:
        return log_in(self._config, session, self._calls, self.validation.hide)

    def _dial(self, check: Check) -> BoundedSocket:
        """TCP to the first address that answers, and on through the proxy, if there is one."""
        self._warn_of_another_address(check)
        origin, proxy = self._origin, self._proxy
        note_server(origin.host)
        first = origin if proxy is None else proxy.origin
        dialled = self._dial_first(first.host, first.port, deadline=self.deadline)
        check.warnings += dialled.warnings
        connection = dialled.connection
        try:
            if proxy is not None:
                if proxy.scheme == "https":
                    connection.encrypt(self._tls_files.context(), proxy.origin.server_hostname)
                open_tunnel(connection, proxy, origin.host, origin.port)
        except BaseException:
            connection.close()
            raise
        return connection

    def _warn_of_another_address(self, check: Check) -> None:
        """A probe asks the workspace's API, which may be reached where dbt's statements are not."""
        given = self._config.connection_parameters or {}
        there = self._origin
        if uri := given.get("_connection_uri"):
            there, _ = split_url(str(uri))
        elif isinstance(given.get("_port"), int):
            there = type(there)(there.scheme, there.host, given["_port"])
        if there != self._origin:
            check.warn(f"dbt's statements go to {there}, which a probe does not ask: it asks {self._origin}")
