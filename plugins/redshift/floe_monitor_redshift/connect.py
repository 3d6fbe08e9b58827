"""The way to a session, as dbt's driver goes it: AWS where IAM logs in, then the network, TLS, the login."""

from __future__ import annotations

import hashlib
import ipaddress
import json
from typing import TYPE_CHECKING

from floe_monitor.compute import (
    ComputeConnectionError,
    ComputeError,
    ComputeTimeoutError,
    ConnectionStatus,
    ErrorType,
    Validation,
    deadline,
    note_server,
)
from floe_monitor.compute.toolkit.bounded_socket import BoundedSocket
from floe_monitor.compute.toolkit.dbt_outputs import secret_of
from floe_monitor.compute.toolkit.tls import system_roots
from floe_monitor_redshift.aws.warehouse import DatabaseLogin
from floe_monitor_redshift.aws_checks import AwsChecks
from floe_monitor_redshift.config import PASSWORD_KEYS, SECRETS
from floe_monitor_redshift.errors import RedshiftError, classify, unknown_user
from floe_monitor_redshift.session import Session
from floe_monitor_redshift.tls import database_context

if TYPE_CHECKING:
    from floe_monitor.compute import Check
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor_redshift.config import RedshiftConfig


class Connector:
    """Gets one validation to a session, with a check for each step."""

    def __init__(self, config: RedshiftConfig, calls: BlockingCalls) -> None:
        self.deadline = deadline.with_margin()
        self._secrets = {key: secret for key in SECRETS if (secret := secret_of(config, key))}
        hidden = [secret for key, secret in self._secrets.items() if key != "access_key_id"]
        self.validation = Validation(classify, hidden)
        self._config, self._calls = config, calls
        password = next((self._secrets[key] for key in PASSWORD_KEYS if key in self._secrets), "")
        self._given = DatabaseLogin(config.user or "", password)
        self._aws = AwsChecks(config, self._secrets, calls, self.validation, self.deadline)

    def ask_aws(self) -> bool:
        """Whether the way goes on: where AWS knows that no session comes of it, none is tried."""
        with self.validation:
            note_server(self._config.host)  # before those of AWS
        return not self._config.asks_aws or self._aws.run()

    def prepare(self) -> None:
        """Before all else: what TLS trusts is part of the key."""
        try:
            self._roots = system_roots() if self._config.encrypts else ()
        except (ComputeError, OSError):
            with self.validation.check("network"):
                raise

    @property
    def key(self) -> bytes:
        """Differs wherever anything does that a kept session proves; temporary credentials are asked for anew
        by each validation, whatever is kept."""
        parts = [self._config.model_dump_json(), self._secrets, [str(version) for version in self._roots]]
        return hashlib.sha256(json.dumps(parts).encode(errors="surrogatepass")).digest()

    @property
    def steps(self) -> tuple[str, ...]:
        """The checks that `connect` records."""
        return ("network", *(("tls",) if self._config.encrypts else ()), "login", "database")

    def connect(self) -> Session:
        with self.validation.check("network"):
            connection = self._dial()
        session = Session(connection)
        try:
            if self._config.encrypts:
                with self.validation.check("tls"):
                    session.encrypt(database_context(self._config.sslmode), self._config.host)
            with self.validation.check("login") as check:
                self._log_in(session, check)
            if check.status is ConnectionStatus.HEALTHY:
                with self.validation.check("database"):
                    session.open()
        except BaseException:
            session.close()
            raise
        return session

    def _log_in(self, session: Session, check: Check) -> None:
        login = self._aws.login or self._given
        try:
            session.log_in(login.user, login.password, self._config.database_name)
        except RedshiftError as error:
            if self._config.autocreate and unknown_user(error):
                check.degrade(
                    f"{error}: dbt's login makes that user (autocreate), a probe's makes none, so that what "
                    "it could do is not shown before dbt's first run",
                    ErrorType.AUTHENTICATION,
                )
                return
            raise

    def _dial(self) -> BoundedSocket:
        """To the first address of version 4 alone, as dbt's driver: it tries no other."""
        host, port = self._config.host, self._config.port
        try:
            address = self._first_address(host)
            return BoundedSocket(address, port, self.deadline, host=host)
        except (ComputeConnectionError, ComputeTimeoutError) as error:
            if not self._aws.state_is_known and self._config.host_parts.cluster is not None:
                unknown = "whether the cluster is paused cannot be known: no keys of IAM that may describe it"
                error.args = (f"{error}; {unknown}",)
            raise

    def _first_address(self, host: str) -> str:
        found = self._calls.resolve(host, self.deadline.remaining())
        address = next((each for each in found if ipaddress.ip_address(each).version == 4), None)
        if address is None:
            raise ComputeConnectionError(
                f"{host!r} has no address of IP version 4, and dbt's driver takes no other"
            )
        return address
