"""Getting to a session: the key, the way to the server, the login, each within what is left of the time."""

from __future__ import annotations

import hashlib
import math
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from floe_monitor.compute import (
    ComputeConfigurationError,
    ComputeConnectionError,
    ErrorType,
    Validation,
    deadline,
    note_server,
)
from floe_monitor.compute.toolkit.dbt_outputs import secret_of
from floe_monitor.compute.toolkit.dialling import dial
from floe_monitor.compute.toolkit.proxies import proxy_for
from floe_monitor.compute.toolkit.tls import tls_context
from floe_monitor_snowflake.errors import ROLE_NUMBERS, classify, describe
from floe_monitor_snowflake.keypair import private_key
from floe_monitor_snowflake.session import Session

if TYPE_CHECKING:
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor.compute.toolkit.bounded_socket import BoundedSocket
    from floe_monitor.compute.toolkit.driver_thread import DriverThreads
    from floe_monitor.compute.toolkit.endpoints import Endpoint
    from floe_monitor_snowflake.config import SnowflakeConfig

# dbt's driver (connector 4.x, network.py and auth/keypair.py) connects with urllib3, which tries each address
# for the whole timeout of the socket: a minute, or JWT_CNXN_WAIT_TIME while it logs in with a key pair.
_GIVES_UP = 60.0
_GIVES_UP_WITH_KEY_PAIR = 10.0
_PROXY_PORT = 80


@dataclass(frozen=True, slots=True)
class Route:
    """Where the first connection goes: to the server, or to a proxy before it."""

    host: str
    port: int
    proxied: bool = False

    @classmethod
    def of(cls, config: SnowflakeConfig) -> Route:
        """Raises `ComputeConfigurationError` where a variable names a proxy that is none."""
        host, port = config.address
        if config.proxy_host is not None:
            return cls(config.proxy_host, config.proxy_port or _PROXY_PORT, proxied=True)
        # The driver honours the same variables.
        proxy = proxy_for("https" if config.encrypts else "http", host, port, as_requests=False)
        return cls(host, port) if proxy is None else cls(proxy.host, proxy.port, proxied=True)


class Connector:
    """Makes the session of one validation, with a check for each step."""

    def __init__(self, config: SnowflakeConfig, calls: BlockingCalls, threads: DriverThreads) -> None:
        self.deadline = deadline.with_margin()
        secrets = (secret.get_secret_value() for secret in config.credentials.values())
        self.validation = Validation(classify, secrets)
        self._config = config
        self._calls = calls
        self._threads = threads
        self._seconds = self.deadline.remaining()
        self._private_key: bytes | None = None
        self._route = Route(*config.address)

    def prepare(self) -> None:
        """Before all else: what to log in with, and the way, which a kept session must have in common."""
        if self._config.lacks is not None:
            with self.validation.check("login") as check:
                check.fail(self._config.lacks, ErrorType.CONFIGURATION)
        if self._config.has_key_pair:
            with self.validation.check("key"):
                self._private_key = private_key(self._config, self._calls, self.deadline)
        try:
            self._route = Route.of(self._config)
        except ComputeConfigurationError:
            with self.validation.check("network"):
                raise

    @property
    def key(self) -> bytes:
        """All of the target counts, its secrets and the time for a statement too."""
        secrets = sorted((name, value.get_secret_value()) for name, value in self._config.credentials.items())
        given = self._config.model_dump(exclude={"connection", "credentials"})
        parts = (given, secrets, self._private_key, math.ceil(self._seconds), self._route)
        return hashlib.sha256(repr(parts).encode()).digest()

    @property
    def steps(self) -> tuple[str, ...]:
        """The checks that `connect` records."""
        return ("network", *(("tls",) if self._has_tls_check else ()), "login")

    def connect(self) -> Session:
        """TCP and TLS first, without the driver: to it all three are one failed login."""
        with self.validation.check("network") as check:
            note_server(self._config.address[0])
            dialled = dial(
                self._route.host,
                self._route.port,
                self._calls,
                self.deadline,
                driver_gives_up=_GIVES_UP_WITH_KEY_PAIR if self._config.has_key_pair else _GIVES_UP,
            )
            check.warnings += dialled.warnings
            if self._route.proxied:
                check.message = f"by the proxy {self._route.host} port {self._route.port}"
        with dialled.connection as connection:
            if self._has_tls_check:
                with self.validation.check("tls"):
                    self._encrypt(connection)
        return self._log_in(dialled.endpoint)

    @property
    def _has_tls_check(self) -> bool:
        """Through a proxy TLS comes after the driver's own request to it: that is part of the login then."""
        return self._config.encrypts and not self._route.proxied

    def _encrypt(self, connection: BoundedSocket) -> None:
        """Nothing is sent within. The driver verifies the certificate, with its own roots."""
        try:
            connection.encrypt(tls_context(verify=False), self._route.host)
        except ComputeConnectionError as error:
            if isinstance(error.__cause__, ssl.SSLError):
                raise error.__cause__ from None
            raise

    def _log_in(self, endpoint: Endpoint) -> Session:
        session: Session | Exception
        with self.validation.check("login"):
            try:
                session = Session.open(self._arguments(), self._threads, self.deadline, endpoint)
            except Exception as error:
                # Snowflake looks at the role once the credentials have passed.
                if describe(error).number not in ROLE_NUMBERS:
                    raise
                session = error
        if isinstance(session, Exception):
            with self.validation.check("role"):
                raise session
        return session

    def _arguments(self) -> dict[str, Any]:
        left = self.deadline.remaining()
        # A kept session serves other validations too, each with all of their time.
        return driver_arguments(
            self._config, self._private_key, left, self._seconds if self._config.connection_reuse else left
        )


def driver_arguments(
    config: SnowflakeConfig, key: bytes | None, login_seconds: float, seconds: float
) -> dict[str, Any]:
    """What the driver is called with; `seconds` is for each statement.

    It counts in whole seconds: rounded up, for the driver thread's deadline is the sharper bound.
    """
    login, whole = max(1, math.ceil(login_seconds)), max(1, math.ceil(seconds))
    return {
        **_target_arguments(config, key),
        "application": "floe-monitor",
        "session_parameters": {
            "QUERY_TAG": "floe-monitor",
            "CLIENT_TELEMETRY_ENABLED": False,
            "STATEMENT_TIMEOUT_IN_SECONDS": whole,
            "STATEMENT_QUEUED_TIMEOUT_IN_SECONDS": whole,
        },
        # An account may have it on for all, and a kept session would send heartbeats.
        "client_session_keep_alive": False,
        "client_out_of_band_telemetry_enabled": False,
        "autocommit": True,
        # Bounds on the whole of each step, retries included; and no retries: the next probe is one.
        "login_timeout": login,
        "authentication_timeout": login,
        "connect_timeout": login,
        "query_timeout": whole,
        "request_timeout": whole,
        "retry_max_attempts": 1,
        "logout_max_attempts": 1,
        "logout_request_timeout_seconds": 1,
        "logout_total_timeout_seconds": 1,
        "server_session_keep_alive": False,
        "enable_server_session_keep_alive_auto_detection": False,
        # Nothing left in files, key rings or at the interpreter's end.
        "client_store_temporary_credential": False,
        "crl_enable_disk_caching": False,
        "auto_cleanup": False,
    }


def _target_arguments(config: SnowflakeConfig, key: bytes | None) -> dict[str, Any]:
    host, port = config.address
    method = config.method
    authenticator = {"jwt": "oauth", "snowflake": None}.get(method, method)
    given: dict[str, Any] = {
        "account": config.account.replace("_", "-"),
        "user": config.user,
        "host": host,
        "port": port,
        "protocol": "https" if config.encrypts else "http",
        "role": config.role,
        "password": secret_of(config, "password"),
        "token": secret_of(config, "token"),
        "private_key": key,
        "authenticator": "SNOWFLAKE_JWT" if key is not None else authenticator,
        "proxy_host": config.proxy_host,
        "proxy_port": (config.proxy_port or _PROXY_PORT) if config.proxy_host is not None else None,
    }
    return {name: value for name, value in given.items() if value is not None}
