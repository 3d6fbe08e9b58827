"""One session through Snowflake's own driver, every call of it bounded."""

from __future__ import annotations

import hashlib
import math
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import snowflake.connector
import snowflake.connector.aio  # the driver loads it at its first login

from floe_monitor_snowflake import judging

if TYPE_CHECKING:
    from collections.abc import Iterator

    from floe_monitor_snowflake.bounding import Line
    from floe_monitor_snowflake.config import SnowflakeConfig
    from floe_monitor_snowflake.judging import Context, Rows


def parameters(
    config: SnowflakeConfig, key: bytes | None, login_seconds: float, seconds: float
) -> dict[str, Any]:
    """The driver's arguments; `seconds` is for each statement.

    It counts in whole seconds: rounded up, for the line is the sharper bound.
    """
    login, whole = max(1, math.ceil(login_seconds)), max(1, math.ceil(seconds))
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
        "password": config.secret("password"),
        "token": config.secret("token"),
        "private_key": key,
        "authenticator": "SNOWFLAKE_JWT" if key is not None else authenticator,
        "proxy_host": config.proxy_host,
        "proxy_port": (config.proxy_port or 80) if config.proxy_host is not None else None,
    }
    return {
        **{name: value for name, value in given.items() if value is not None},
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


def fingerprint(config: SnowflakeConfig, key: bytes | None, seconds: float, *more: object) -> bytes:
    """What a kept session must be the same in to serve: all of the target, secrets and the time included."""
    secrets = sorted((name, value.get_secret_value()) for name, value in config.credentials.items())
    given = config.model_dump(exclude={"connection", "credentials"})
    return hashlib.sha256(repr((given, secrets, key, math.ceil(seconds), more)).encode()).digest()


class Session:
    """Logged in. Its statements run on a line, one for each validation that uses it."""

    def __init__(self, connection: Any, line: Line) -> None:
        self._connection = connection
        self._line = line
        self._context: Context | None = None
        self._warehouse = ""
        self.usable = True
        """False while its state is another than a login leaves, and once that cannot be brought back."""

    @classmethod
    def open(cls, config: SnowflakeConfig, key: bytes | None, seconds: float, line: Line) -> Session:
        """Raises the driver's errors, and `ComputeTimeoutError` at the line's deadline."""
        opened: list[Any] = []

        def login() -> Any:
            left = line.expires_at - time.monotonic()
            arguments = parameters(config, key, left, seconds if config.connection_reuse else left)
            opened.append(snowflake.connector.connect(**arguments))
            return opened[0]

        try:
            return cls(line.call(login, "the login"), line)
        except BaseException:
            # The login may yet succeed, with nobody waiting: its session is closed then.
            line.end(lambda: [connection.close(retry=False) for connection in opened])
            raise

    def run(self, sql: str, waiting_for: str, *, by_position: bool = False) -> Rows:
        """Rows by the columns' names in lower case, or by their numbers."""

        def execute() -> Rows:
            with self._connection.cursor() as cursor:
                cursor.execute(sql)
                columns = list(cursor.description or [])
                names = [
                    str(position) if by_position else str(column[0]).lower()
                    for position, column in enumerate(columns)
                ]
                return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

        return self._line.call(execute, waiting_for)

    # ------------------------------------------------------------ its state

    def look(self) -> Context:
        """Its role and so on, asked anew; the first answer is the state that a login leaves."""
        found = judging.read_context(self.run(judging.CONTEXT, "the query", by_position=True))
        if self._context is None:
            self._context = found
            self._warehouse = found.warehouse
        return found

    def use_warehouse(self, name: str) -> None:
        self.run(f"USE WAREHOUSE {judging.quoted(name)}", f"warehouse {name!r}")
        self._warehouse = name

    @contextmanager
    def primary_role_alone(self) -> Iterator[None]:
        self.usable = False
        self.run("USE SECONDARY ROLES NONE", "the change of roles")
        yield
        self.run("USE SECONDARY ROLES ALL", "the change of roles")
        self.usable = True

    # ------------------------------------------------------------ between validations

    def resume(self, line: Line) -> bool:
        """Go on with another line: whether the session still answers, and is as `rest` left it."""
        self._line = line
        try:
            return self.look() == self._context
        except BaseException:  # noqa: BLE001 - a new login tells it in its own words; drivers panic
            return False

    def rest(self) -> bool:
        """Bring back the state that the login left; False where the session is no more to be used."""
        if not self.usable or self._context is None:
            return False
        try:
            if self._context.warehouse:
                if self._warehouse != self._context.warehouse:
                    self.use_warehouse(self._context.warehouse)
            else:
                # No statement takes a warehouse away again; none of a probe's starts it.
                self._context = self._context._replace(warehouse=self._warehouse)
        except Exception:  # noqa: BLE001 - the verdict stands
            return False
        self._line.end()
        return True

    def end(self, *, waiting: bool = True) -> None:
        """Logs out, for as long as the deadline leaves time; later alone otherwise."""
        self._line.end(self.close, waiting=waiting)

    def close(self) -> None:
        """Logs out now; the driver allows itself a second."""
        self.usable = False
        self._connection.close(retry=False)
