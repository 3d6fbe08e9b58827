"""The way to Spark, step by step as dbt goes it: network, TLS, then login or cluster."""

from __future__ import annotations

import base64
import getpass
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from floe_monitor.compute import ComputeConnectionError, ComputeError, ComputeTimeoutError, ErrorType
from floe_monitor_spark.cluster import Cluster
from floe_monitor_spark.errors import SparkError, TimedOutError
from floe_monitor_spark.exchange import Exchange, HttpTransport, tunnel
from floe_monitor_spark.keeping import Channel
from floe_monitor_spark.session import Session, kerberos_login, no_login, plain_login
from floe_monitor_spark.wire import Link

if TYPE_CHECKING:
    from floe_monitor.compute import Check, Validation
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor_spark.config import SparkConfig

_OPENING = "the session to open"


@dataclass(frozen=True, slots=True)
class Route:
    """What any connection to the target takes."""

    host: str
    port: int
    proxy: SplitResult | None
    context: ssl.SSLContext | None

    @classmethod
    def of(cls, config: SparkConfig) -> Route:
        host = config.host.removeprefix("https://").rstrip("/")
        port = 443 if config.port is None else config.port
        if config.method == "http":
            # As dbt-spark does it, by the system's roots (or those of SSL_CERT_FILE).
            return cls(host, port, _proxy_for(host), ssl.create_default_context())
        if not config.use_ssl:
            return cls(host, port, None, None)
        # As dbt-spark does it: encrypted, and the certificate not looked at.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return cls(host, port, None, context)

    @property
    def first(self) -> tuple[str, int]:
        """Where TCP goes: the proxy, or the server."""
        if self.proxy is None:
            return self.host, self.port
        return self.proxy.hostname or "", self.proxy.port or 80

    @property
    def authority(self) -> str:
        return self.host if self.port == 443 else f"{self.host}:{self.port}"

    def again(self, address: tuple[str, int], expires_at: float) -> Link:
        """One more connection to an address that has served."""
        link = Link(address, expires_at)
        try:
            self.pass_on(link)
            self.encrypt(link)
        except BaseException:
            link.close()
            raise
        return link

    def pass_on(self, link: Link) -> None:
        """Through the proxy, if there is one."""
        if self.proxy is None:
            return
        credentials = None
        if self.proxy.username:
            credentials = f"{unquote(self.proxy.username)}:{unquote(self.proxy.password or '')}"
        tunnel(link, f"{self.host}:{self.port}", credentials)

    def encrypt(self, link: Link) -> None:
        if self.context is not None:
            link.waits_for = "the TLS handshake"
            link.encrypt(self.context, self.host)


def user_of(config: SparkConfig) -> str:
    return config.user or getpass.getuser()


def held_checks(config: SparkConfig) -> tuple[str, ...]:
    """Those that a kept session answers by being there; a cluster's state is asked all the same."""
    if config.method == "http":
        return "network", "tls"
    return "network", *(("tls",) if config.use_ssl else ()), *(("login",) if config.auth != "NOSASL" else ())


class Journey:
    """One, with a check for each step."""

    def __init__(
        self,
        config: SparkConfig,
        route: Route,
        calls: BlockingCalls,
        validation: Validation,
        expires_at: float,
    ) -> None:
        self._config = config
        self._route = route
        self._calls = calls
        self._validation = validation
        self._expires_at = expires_at

    def channel(self) -> Channel | None:
        """None for a cluster that a probe would have to wake."""
        link, address = self._connect()
        try:
            if self._route.context is not None:
                with self._validation.check("tls"):
                    self._route.encrypt(link)
            if self._config.method == "http":
                return self._over_http(link, address)
            transport = self._logged_in(link)
            link.waits_for = _OPENING
            if self._config.auth == "NOSASL":
                link.waits_for += " (a server that wants a login ends here)"
            return Channel(Session(transport, link))
        except BaseException:
            link.close()
            raise

    def _connect(self) -> tuple[Link, tuple[str, int]]:
        """TCP to the first address that answers, in the order dbt's driver has."""
        with self._validation.check("network") as check:
            host, port = self._route.first
            addresses = self._calls.resolve(host, self._expires_at - time.monotonic())
            failed: list[ComputeError] = []
            for position, address in enumerate(addresses):
                left = self._expires_at - time.monotonic()
                share = left / (len(addresses) - position)
                try:
                    link = Link((address, port), time.monotonic() + share)
                except SparkError as error:
                    failed.append(_of_address(error, address, port))
                    continue
                link.expires_at = self._expires_at
                _note(failed, check)
                try:
                    self._route.pass_on(link)
                except BaseException:
                    link.close()
                    raise
                return link, (address, port)
            raise _together(failed)
        raise AssertionError("a failed check ends the validation")

    def _logged_in(self, link: Link) -> Any:
        config = self._config
        if config.auth == "NOSASL":
            return no_login(link)
        with self._validation.check("login"):
            link.waits_for = "the login (one with auth: NOSASL knows none)"
            if config.auth == "KERBEROS":
                host, service = self._route.host, config.kerberos_service_name
                return kerberos_login(link, self._calls, host=host, service=service)
            # dbt and PyHive send some password where none is asked for: SASL wants one.
            password = config.secret("password") or "x"
            return plain_login(link, host=self._route.host, username=user_of(config), password=password)
        raise AssertionError("a failed check ends the validation")

    def _over_http(self, link: Link, address: tuple[str, int]) -> Channel | None:
        config, route = self._config, self._route
        token = config.secret("token") or ""
        exchange = Exchange(link, lambda expires_at: route.again(address, expires_at), route.authority)
        try:
            with self._validation.check("cluster") as check:
                cluster = Cluster(exchange, config, token)
                state = cluster.state()
                state.report(check)
        except BaseException:
            exchange.close()
            raise
        if not state.usable:
            exchange.close()
            return None
        basic = base64.b64encode(f"token:{token}".encode()).decode()
        path = f"/sql/protocolv1/o/{config.organization or '0'}/{config.cluster}"
        exchange.waits_for = _OPENING
        transport = HttpTransport(exchange, path, {"Authorization": f"Basic {basic}"})
        return Channel(Session(transport, exchange), cluster, state)


def _proxy_for(host: str) -> SplitResult | None:
    """The one that Thrift's HTTP client takes for dbt, by HTTPS_PROXY and NO_PROXY."""
    proxy = getproxies().get("https")
    return urlsplit(proxy) if proxy and not proxy_bypass(host) else None


def _of_address(error: SparkError, address: str, port: int) -> ComputeError:
    text = f"{address} port {port}: {error}"
    return (ComputeTimeoutError if isinstance(error, TimedOutError) else ComputeConnectionError)(text)


def _together(failed: list[ComputeError]) -> ComputeError:
    timed_out = any(isinstance(error, ComputeTimeoutError) for error in failed)
    return (ComputeTimeoutError if timed_out else ComputeConnectionError)("; ".join(map(str, failed)))


def _note(failed: list[ComputeError], check: Check) -> None:
    for error in failed:
        if isinstance(error, ComputeTimeoutError):
            check.degrade(f"{error}: dbt waits for it at every connection", ErrorType.CONNECTION)
        else:
            check.warn(str(error))
