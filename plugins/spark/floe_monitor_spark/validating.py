"""One validation: the way dbt goes to Spark, step by step, and what dbt needs once there."""

from __future__ import annotations

import base64
import getpass
import ssl
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from floe_monitor.compute import (
    ComputeConnectionError,
    ComputeError,
    ComputeTimeoutError,
    ConnectionResult,
    ConnectionStatus,
    ErrorType,
    Failure,
    Validation,
    deadline,
)
from floe_monitor_spark.cluster import examine_cluster
from floe_monitor_spark.errors import ServerError, SparkError, StrangeError, TimedOutError, classify
from floe_monitor_spark.session import Session, kerberos_login, no_login, plain_login
from floe_monitor_spark.wire import Exchange, HttpTransport, Link, tunnel

if TYPE_CHECKING:
    from floe_monitor.compute import Check
    from floe_monitor_spark.config import SparkConfig
    from floe_monitor_spark.leaving import Calls

MARGIN = 0.05
"""Seconds, or share of the time if less, by which a validation ends early, to be heard in its own words."""
PROBE_NAME = "floe_monitor_probe"


def validate(config: SparkConfig, calls: Calls) -> ConnectionResult:
    return _Run(config, calls).result()


class _Run:
    def __init__(self, config: SparkConfig, calls: Calls) -> None:
        self._config = config
        self._calls = calls
        allowed = deadline.remaining()
        self._expires_at = time.monotonic() + allowed - min(MARGIN, allowed * MARGIN)
        self._validation = Validation(self._classify)
        self._host = config.host.removeprefix("https://").rstrip("/")
        self._port = 443 if config.port is None else config.port
        self._proxy = _proxy_for(self._host) if config.method == "http" else None
        self._address = (self._host, self._port)
        """Where the connection went."""

    def result(self) -> ConnectionResult:
        message = ""
        with self._validation as validation:
            session = self._over_http() if self._config.method == "http" else self._over_thrift()
            if session is None:
                return validation.result()
            try:
                with validation.check("session"):
                    self._open(session)
                self._use(session)
            except BaseException:
                session.close()
                raise
            session.close()
            message = f"dbt can work in schema {self._config.schema_!r}"
        return validation.result(message)

    # ------------------------------------------------------------ getting there

    def _over_thrift(self) -> Session:
        link = self._reach()
        try:
            if self._config.use_ssl:
                # As dbt-spark does it: encrypted, and the certificate not looked at.
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
                with self._validation.check("tls"):
                    self._encrypt(link, context)
            if self._config.auth == "NOSASL":
                transport = no_login(link)
                link.waits_for = "the session to open (a server that wants a login ends here)"
            else:
                with self._validation.check("login"):
                    transport = self._log_in(link)
                link.waits_for = "the session to open"
        except BaseException:
            link.close()
            raise
        return Session(transport, link, self._expires_at)

    def _over_http(self) -> Session | None:
        """None for a cluster that a probe would have to wake."""
        config = self._config
        link = self._reach()
        links = [link]
        try:
            # As dbt-spark does it, by the system's roots (or those of SSL_CERT_FILE).
            context = ssl.create_default_context()
            with self._validation.check("tls"):
                self._encrypt(link, context)
        except BaseException:
            link.close()
            raise
        link.waits_for = "the answer to an HTTP request"

        def dial() -> Link:
            if links:
                return links.pop()
            again = Link(self._address, self._expires_at)
            self._pass_on(again)
            self._encrypt(again, context)
            again.waits_for = "the answer to an HTTP request"
            return again

        authority = self._host if self._port == 443 else f"{self._host}:{self._port}"
        token = config.secret("token") or ""
        exchange = Exchange(dial, authority)
        try:
            with self._validation.check("cluster") as check:
                awake = examine_cluster(exchange, config, token, check)
            if not awake:
                exchange.close()
                return None
        except BaseException:
            exchange.close()
            raise
        basic = base64.b64encode(f"token:{token}".encode()).decode()
        path = f"/sql/protocolv1/o/{config.organization or '0'}/{config.cluster}"
        transport = HttpTransport(exchange, path, {"Authorization": f"Basic {basic}"})
        return Session(transport, None, self._expires_at)

    def _reach(self) -> Link:
        """TCP to the first address that answers, in the order dbt's driver has."""
        with self._validation.check("network") as check:
            host, port = self._host, self._port
            if self._proxy is not None:
                host, port = self._proxy.hostname or "", self._proxy.port or 80
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
                self._address = (address, port)
                _note(failed, check)
                self._pass_on(link)
                return link
            raise _together(failed)
        raise AssertionError("a failed check ends the validation")

    def _pass_on(self, link: Link) -> None:
        if self._proxy is None:
            return
        credentials = None
        if self._proxy.username:
            credentials = f"{unquote(self._proxy.username)}:{unquote(self._proxy.password or '')}"
        try:
            tunnel(link, f"{self._host}:{self._port}", credentials)
        except BaseException:
            link.close()
            raise

    def _encrypt(self, link: Link, context: ssl.SSLContext) -> None:
        link.waits_for = "the TLS handshake"
        link.encrypt(context, self._host)

    def _log_in(self, link: Link) -> Any:
        config = self._config
        link.waits_for = "the login (one with auth: NOSASL knows none)"
        if config.auth == "KERBEROS":
            return kerberos_login(link, self._calls, host=self._host, service=config.kerberos_service_name)
        # dbt and PyHive send some password where none is asked for: SASL wants one.
        password = config.secret("password") or "x"
        return plain_login(link, host=self._host, username=self._user, password=password)

    @property
    def _user(self) -> str:
        return self._config.user or getpass.getuser()

    # ------------------------------------------------------------ once there

    def _open(self, session: Session) -> None:
        session.open(self._user, self._config.session_parameters)
        # PyHive does so before it hands out a connection.
        session.run("USE `default`")

    def _use(self, session: Session) -> None:
        with self._validation.check("query"):
            if session.run("select 1 as id") != [[1]]:
                raise StrangeError("`select 1` brought something else than 1")
        with self._validation.check("schema", on_failure=ConnectionStatus.DEGRADED) as check:
            exists = self._look_for_schema(session, check)
        if check.status is ConnectionStatus.HEALTHY:
            with self._validation.check("create", on_failure=ConnectionStatus.DEGRADED):
                self._plan_creation(session, exists=exists)

    def _look_for_schema(self, session: Session, check: Check) -> bool:
        """Whether it exists; dbt writes its name into statements as it stands, and so do we."""
        schema = self._config.schema_
        try:
            session.run(f"DESCRIBE SCHEMA {schema}")
        except ServerError as error:
            if error.condition != "SCHEMA_NOT_FOUND" and "NoSuchDatabaseException" not in error.java_classes:
                raise
            check.warn(f"schema {schema!r} does not exist yet; dbt will create it")
            return False
        return True

    def _plan_creation(self, session: Session, *, exists: bool) -> None:
        """Let Spark plan what dbt will execute: authorization plugins act on plans. Nothing is created."""
        schema = self._config.schema_
        if exists:
            session.run(f"EXPLAIN CREATE OR REPLACE VIEW {schema}.{PROBE_NAME} AS SELECT 1 AS id")
        else:
            session.run(f"EXPLAIN CREATE SCHEMA IF NOT EXISTS {schema}")

    def _classify(self, error: Exception) -> Failure:
        failure = classify(error)
        for key in ("password", "token"):
            secret = self._config.secret(key)
            if secret and secret in failure.message:
                failure = failure._replace(message=failure.message.replace(secret, "***"))
        return failure


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
