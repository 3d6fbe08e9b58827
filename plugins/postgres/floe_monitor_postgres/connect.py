"""Getting to a session: the way dbt's driver goes, step by step, each within what is left of the time."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from floe_monitor.compute import (
    ComputeConnectionError,
    ComputeTimeoutError,
    ExpiryKind,
    Validation,
    deadline,
    note_expiry,
)
from floe_monitor.compute.toolkit.certificates import valid_until
from floe_monitor.compute.toolkit.dialling import dial_hosts
from floe_monitor_postgres.errors import ServerError, SessionError, Stage, TimedOutError, classify
from floe_monitor_postgres.hosts import read_rules, why_unwanted
from floe_monitor_postgres.libpq import conninfo, defaults
from floe_monitor_postgres.profile import generate
from floe_monitor_postgres.session import Session

if TYPE_CHECKING:
    from floe_monitor.compute import Deadline, Failure
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor.compute.toolkit.dialling import Dialled
    from floe_monitor.compute.toolkit.endpoints import Endpoint
    from floe_monitor_postgres.config import PostgresConfig
    from floe_monitor_postgres.hosts import HostRules

_TLS_FILES = ("sslrootcert", "sslcert", "sslkey")


def connection_parameters(config: PostgresConfig) -> dict[str, str]:
    """What dbt-postgres passes to libpq for this target, `host` and `connect_timeout` included."""
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
        self._defaults: dict[str, str] = {}
        self._left: set[str] = set()
        """Hosts that the present round goes no further with, whatever other addresses they have."""

    def prepare(self) -> None:
        """Before all else: a service is read from its file, which may be missing."""
        if self._config.service is None:
            self._parameters = connection_parameters(self._config)
        else:
            with self.validation.check("service"):
                self._parameters = connection_parameters(self._config)
        self._defaults = defaults()
        if self._defaults.get("sslmode") == "disable":
            self._parameters.setdefault("sslmode", "disable")

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
            rules = read_rules(self._parameters["host"], self._defaults)
            dialled = self._dial(rules)
            check.warnings += dialled.warnings
        session = dialled.connection
        try:
            if self._encrypts:
                with self.validation.check("tls"):
                    session.advance(Stage.LOGIN)
                    _note_certificates(session)
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

    def _dial(self, rules: HostRules) -> Dialled[Session]:
        *earlier, last = rules.rounds
        for wanted in earlier:
            with suppress(ComputeTimeoutError, ComputeConnectionError):
                dialled = self._dial_round(rules, wanted, self.deadline.share(0.5))
                dialled.connection.deadline = self.deadline
                return dialled
        return self._dial_round(rules, last, self.deadline)

    def _dial_round(self, rules: HostRules, wanted: str, until: Deadline) -> Dialled[Session]:
        self._left.clear()
        return dial_hosts(
            [(host, int(self._parameters["port"])) for host in rules.hosts],
            self._calls,
            until,
            partial(self._start, rules, wanted),
            driver_gives_up=self._driver_gives_up,
        )

    def _start(self, rules: HostRules, wanted: str, endpoint: Endpoint, limit: Deadline) -> Session:
        """As far as libpq has to be to know whether it goes on to the next address: TCP, or a session."""
        if endpoint.host in self._left:
            raise ComputeConnectionError("not tried: libpq leaves a host whose server it cannot use")
        parameters = {**self._parameters, "host": rules.name_of(endpoint.host)}
        if not endpoint.host.startswith(("/", "@")):
            parameters["hostaddr"] = endpoint.address
        session = None
        try:
            session = Session(parameters, limit)
            session.endpoints = (endpoint,)
            session.advance(Stage.TLS)
            if rules.choosing:
                self._choose(session, wanted, endpoint)
        except BaseException as error:
            if session is not None:
                session.close()
            if isinstance(error, TimedOutError):
                raise ComputeTimeoutError(str(error)) from None
            if isinstance(error, SessionError) and not isinstance(error, ServerError):
                raise ComputeConnectionError(str(error)) from None
            raise
        return session

    def _choose(self, session: Session, wanted: str, endpoint: Endpoint) -> None:
        """Raise what has libpq go on to the next host; of other failures the steps to come tell."""
        try:
            session.advance_or_hold(Stage.OPEN)
        except ServerError as error:
            self._left.add(endpoint.host)
            raise ComputeConnectionError(str(error)) from None
        if not session.usable:
            return
        session.wanted = wanted
        try:
            unwanted = why_unwanted(session, wanted)
        except ServerError as error:
            unwanted = str(error)
        if unwanted is not None:
            self._left.add(endpoint.host)
            raise ComputeConnectionError(unwanted)

    def _classify(self, error: Exception) -> Failure:
        names = [self._parameters.get(key) for key in _TLS_FILES]
        return classify(error, [name for name in names if name and name != "system"])


def _note_certificates(session: Session) -> None:
    server, client = session.certificates
    host = session.endpoints[0].host
    note_expiry(ExpiryKind.SERVER_CERTIFICATE, valid_until(server), f"the certificate of {host}")
    note_expiry(ExpiryKind.KEY, valid_until(client), "the client's certificate")
