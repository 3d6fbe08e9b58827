"""Getting to a session: the way dbt's driver goes, step by step, each within what is left of the time."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from floe_monitor.compute import ComputeConnectionError, ComputeTimeoutError, Validation, deadline
from floe_monitor.compute.toolkit.dialling import dial_hosts
from floe_monitor_postgres.errors import ServerError, SessionError, Stage, TimedOutError, classify
from floe_monitor_postgres.profile import generate
from floe_monitor_postgres.session import Session, conninfo

if TYPE_CHECKING:
    from floe_monitor.compute import Deadline, Failure
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor.compute.toolkit.endpoints import Endpoint
    from floe_monitor_postgres.config import PostgresConfig

_TLS_FILES = ("sslrootcert", "sslcert", "sslkey")


def connection_parameters(config: PostgresConfig) -> dict[str, str]:
    """What dbt-postgres hands to libpq for this target, `host` and `connect_timeout` included."""
    output = generate(config)
    parameters = {
        "host": output["host"],
        "port": output["port"],
        "user": output["user"],
        "password": config.password,
        "dbname": output.get("dbname") or output.get("database"),
        "application_name": "floe-monitor",
        "connect_timeout": output.get("connect_timeout", 10),
        # 0 is dbt's way to say unset; libpq would try to set it.
        "keepalives_idle": output.get("keepalives_idle") or None,
        **{key: output.get(key) for key in ("sslmode", "sslcert", "sslkey", "sslrootcert")},
    }
    if search_path := output.get("search_path"):
        escaped = search_path.replace(" ", "\\ ")
        parameters["options"] = f"-c search_path={escaped}"
    return {key: str(value) for key, value in parameters.items() if value is not None}


class Connector:
    """Makes the session of one validation, with a check for each step."""

    def __init__(self, config: PostgresConfig, calls: BlockingCalls) -> None:
        self.deadline = deadline.with_margin()
        self.validation = Validation(self._classify, [config.password])
        self._config = config
        self._calls = calls
        self._parameters: dict[str, str] = {}

    def prepare(self) -> None:
        """Before all else: a service is read from its file, which may be missing."""
        if self._config.service is None:
            self._parameters = connection_parameters(self._config)
        else:
            with self.validation.check("service"):
                self._parameters = connection_parameters(self._config)

    @property
    def key(self) -> bytes:
        """Every parameter counts, the password too: a rotated one is proved by a new connection."""
        return hashlib.sha256(conninfo(self._parameters)).digest()

    @property
    def steps(self) -> tuple[str, ...]:
        """The checks that `connect` records."""
        return ("network", *(("tls",) if self._encrypts else ()), "login", "database")

    def connect(self) -> Session:
        with self.validation.check("network") as check:
            dialled = dial_hosts(
                [(host, int(self._parameters["port"])) for host in self._parameters["host"].split(",")],
                self._calls,
                self.deadline,
                self._start,
                driver_gives_up=self._driver_gives_up,
            )
            check.warnings += dialled.warnings
        session = dialled.connection
        try:
            if self._encrypts:
                with self.validation.check("tls"):
                    session.advance(Stage.LOGIN)
            with self.validation.check("login"):
                session.advance(Stage.DATABASE)
            with self.validation.check("database"):
                session.advance(Stage.OPEN)
        except BaseException:
            session.close()
            raise
        return session

    @property
    def _encrypts(self) -> bool:
        """Whether there is a TLS step: over a socket of the system's there is none."""
        parameters = self._parameters
        return parameters.get("sslmode") != "disable" and not parameters["host"].startswith(("/", "@"))

    @property
    def _driver_gives_up(self) -> float:
        """libpq's limit for each address; it takes nothing under two seconds."""
        return max(2.0, float(self._parameters["connect_timeout"]))

    def _start(self, endpoint: Endpoint, limit: Deadline) -> Session:
        """As far as TCP, from where libpq would go on to the next address."""
        parameters = {**self._parameters, "host": endpoint.host}
        if not endpoint.host.startswith(("/", "@")):
            parameters["hostaddr"] = endpoint.address
        session = None
        try:
            session = Session(parameters, limit)
            session.advance(Stage.TLS)
        except BaseException as error:
            if session is not None:
                session.close()
            if isinstance(error, TimedOutError):
                raise ComputeTimeoutError(str(error)) from None
            if isinstance(error, SessionError) and not isinstance(error, ServerError):
                raise ComputeConnectionError(str(error)) from None
            raise
        return session

    def _classify(self, error: Exception) -> Failure:
        names = [self._parameters.get(key) for key in _TLS_FILES]
        return classify(error, [name for name in names if name and name != "system"])
