"""The way to Spark, step by step as dbt goes it: network, TLS, then the login."""

from __future__ import annotations

import base64
import getpass
import hashlib
import json
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from floe_monitor.compute import ComputeConfigurationError, Validation, deadline, note_server
from floe_monitor.compute.toolkit.dbt_outputs import secret_of
from floe_monitor.compute.toolkit.dialling import dial
from floe_monitor.compute.toolkit.http_address import split_url
from floe_monitor.compute.toolkit.http_client import HttpClient
from floe_monitor.compute.toolkit.proxies import open_tunnel, parse_proxy, proxy_value
from floe_monitor.compute.toolkit.tls import tls_context
from floe_monitor_spark.cluster import Cluster, ClusterSession
from floe_monitor_spark.config import SECRET_KEYS
from floe_monitor_spark.errors import classify, translated
from floe_monitor_spark.login import kerberos_login, no_login, plain_login
from floe_monitor_spark.session import Session
from floe_monitor_spark.transport import HttpTransport, SocketTransport

if TYPE_CHECKING:
    import ssl

    from floe_monitor.compute import Check
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor.compute.toolkit.bounded_socket import BoundedSocket
    from floe_monitor.compute.toolkit.proxies import Proxy
    from floe_monitor_spark.config import SparkConfig

DRIVER_GIVES_UP = None
"""dbt's driver never leaves a silent address by itself, whatever the method.

PyHive makes a `TSocket`, dbt-spark a `TSSLSocket` for `use_ssl` and a `THttpClient` for `http`, and neither
calls `setTimeout` on them. `TSocket.open` sets `settimeout(None)` and tries one address after the other.
`THttpClient` passes `timeout=None` to `http.client`, whose `create_connection` does the same, to a proxy too;
and it makes a new connection for every message.
"""


@dataclass(frozen=True, slots=True)
class Route:
    """Where any connection to the target goes."""

    host: str
    port: int
    proxy: Proxy | None = None
    origin: str = ""
    """What the URLs of a server begin with that is spoken to in HTTP."""
    path: str = ""
    """Of Thrift there."""

    @classmethod
    def of(cls, config: SparkConfig) -> Route:
        port = 443 if config.port is None else config.port
        if config.method == "thrift":
            return cls(config.host, port)
        # As dbt-spark puts the URL together: a host with a slash at its end loses the port to the path.
        site = f"https://{config.host.removeprefix('https://')}:{port}"
        origin, path = split_url(f"{site}/sql/protocolv1/o/{config.organization or '0'}/{config.cluster}")
        return cls(origin.host, origin.port, _proxy_for(origin.host), str(origin), path)

    @property
    def first(self) -> tuple[str, int]:
        """Where TCP goes: the proxy, or the server."""
        return (self.host, self.port) if self.proxy is None else (self.proxy.host, self.proxy.port)


class Connector:
    """Gets one validation to where a session can be opened, with a check for each step."""

    def __init__(self, config: SparkConfig, calls: BlockingCalls) -> None:
        self.deadline = deadline.with_margin()
        secrets = {key: secret_of(config, key) for key in SECRET_KEYS}
        self.validation = Validation(classify, [secret for secret in secrets.values() if secret])
        self.user = config.user or ""
        self._config, self._calls, self._secrets = config, calls, secrets
        self._route = Route("", 0)

    def prepare(self) -> None:
        """Before all else, and the user too: both are part of the key."""
        try:
            self.user = self.user or system_user()
            self._route = Route.of(self._config)
        except ComputeConfigurationError:
            with self.validation.check("network"):
                raise

    @property
    def key(self) -> bytes:
        """Differs wherever anything does that proves a session: parameters, secrets, user, proxy."""
        proxy = self._route.proxy
        login = None if proxy is None else proxy.authorization
        proves = [self._config.model_dump_json(), self._secrets, self.user, str(proxy), login]
        return hashlib.sha256(json.dumps(proves).encode()).digest()

    @property
    def steps(self) -> tuple[str, ...]:
        """The checks that `connect` records."""
        logs_in = self._config.method == "thrift" and self._config.auth != "NOSASL"
        return "network", *(("tls",) if self._encrypts else ()), *(("login",) if logs_in else ())

    def connect(self) -> Session:
        """One that is not opened yet."""
        with self.validation.check("network") as check:
            connection = self._dial(check)
        try:
            if self._encrypts:
                with self.validation.check("tls"):
                    connection.encrypt(self._tls_context(), self._route.host)
            if self._config.method == "http":
                return self._over_http(connection)
            return self._over_thrift(connection)
        except BaseException:
            connection.close()
            raise

    @property
    def _encrypts(self) -> bool:
        return self._config.method == "http" or bool(self._config.use_ssl)

    def _tls_context(self) -> ssl.SSLContext:
        """As dbt-spark does: `http` verifies by the system's roots (or SSL_CERT_FILE), `use_ssl` nothing."""
        return tls_context(verify=self._config.method == "http")

    def _dial(self, check: Check) -> BoundedSocket:
        """TCP to the first address that answers, and on through the proxy, if there is one."""
        route = self._route
        note_server(route.host)
        dialled = dial(*route.first, self._calls, self.deadline, driver_gives_up=DRIVER_GIVES_UP)
        check.warnings += dialled.warnings
        if route.proxy is not None:
            try:
                with translated():
                    open_tunnel(dialled.connection, route.proxy, route.host, route.port)
            except BaseException:
                dialled.connection.close()
                raise
        return dialled.connection

    def _over_thrift(self, connection: BoundedSocket) -> Session:
        base = SocketTransport(connection)
        if self._config.auth == "NOSASL":
            opening = "the session to open (a server that wants a login ends here)"
            return Session(no_login(base), base, opening)
        with self.validation.check("login"):
            transport = self._log_in(base)
        return Session(transport, base)

    def _log_in(self, base: SocketTransport) -> Any:
        config, host = self._config, self._config.host
        base.waits_for = "the login (one with auth: NOSASL knows none)"
        if config.auth == "KERBEROS":
            return kerberos_login(base, self._calls, host=host, service=config.kerberos_service_name)
        # dbt and PyHive send some password where none is asked for: SASL wants one.
        password = self._secrets["password"] or "x"
        return plain_login(base, host=host, username=self.user, password=password)

    def _over_http(self, connection: BoundedSocket) -> ClusterSession:
        route, token = self._route, self._secrets["token"] or ""
        client = HttpClient(
            partial(dial, calls=self._calls, driver_gives_up=DRIVER_GIVES_UP),
            context_for=lambda _: self._tls_context(),
            proxy_for=lambda *_: route.proxy,
        )
        client.adopt(route.origin, connection)
        basic = base64.b64encode(f"token:{token}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}"}
        transport = HttpTransport(client, self.deadline, f"{route.origin}{route.path}", headers)
        return ClusterSession(transport, Cluster(client, route.origin, self._config, token))


@lru_cache(maxsize=1)
def system_user() -> str:
    """Who PyHive logs in as, where no user is given. Asked once: without a descriptor there is no answer."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        raise ComputeConfigurationError(
            "no user is given, and the system has no name for the one that runs this: dbt's driver fails "
            "there; set USER in the environment, or `user` with method: thrift"
        ) from None


def _proxy_for(host: str) -> Proxy | None:
    """The one that Thrift's HTTP client takes for dbt, by HTTPS_PROXY and NO_PROXY, as it takes it.

    It speaks plain HTTP to a proxy of whatever scheme, on port 443 where none is given.
    """
    value = proxy_value("https", host, as_requests=False)
    if value is None:
        return None
    proxy, given = parse_proxy(value, "HTTPS_PROXY"), urlsplit(value)
    if not given.hostname or (given.username and given.password is None):
        raise ComputeConfigurationError(
            "HTTPS_PROXY: dbt's driver takes http://host:port or http://user:password@host:port, and fails "
            "without the scheme, or with a user and no password"
        )
    return replace(proxy, scheme="http", port=given.port or 443)
