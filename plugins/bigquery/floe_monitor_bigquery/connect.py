"""Getting to an API that accepts us, as dbt's driver does: credentials, network, token."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from floe_monitor.compute import (
    ComputeConfigurationError,
    ComputeConnectionError,
    ComputeTimeoutError,
    ConnectionStatus,
    ErrorType,
    Validation,
    deadline,
)
from floe_monitor.compute.toolkit.connection_cache import HOLDS, PROVING_SHARE, CachedConnection
from floe_monitor.compute.toolkit.dbt_outputs import secret_of
from floe_monitor.compute.toolkit.endpoints import still_lead_there
from floe_monitor.compute.toolkit.tls import roots_version, tls_context
from floe_monitor_bigquery.api import Api
from floe_monitor_bigquery.config import SECRETS
from floe_monitor_bigquery.credentials import (
    good_until,
    headers_of,
    impersonating,
    make_credentials,
    modules_for,
    read_stored,
    refresh,
)
from floe_monitor_bigquery.default_project import default_project
from floe_monitor_bigquery.errors import UnusableAnswerError, classify
from floe_monitor_bigquery.session import Session
from floe_monitor_bigquery.transport import Transport, new_client, roots

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from floe_monitor.compute import Check, Deadline
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor.compute.toolkit.connection_cache import ConnectionCache
    from floe_monitor_bigquery.config import BigQueryConfig


def prepare(config: BigQueryConfig) -> None:
    """What the first validation would import and load. No key is read, and no file but the TLS roots."""
    for name in modules_for(config):
        import_module(name)
    tls_context(roots())


class Connector:
    """Gets one validation to an API that it may use, with a check for each step."""

    def __init__(self, config: BigQueryConfig, calls: BlockingCalls) -> None:
        self.deadline = deadline.with_margin()
        secrets = {config.private_key, *(secret_of(config, key) for key in SECRETS)}
        self.validation = Validation(classify, [secret for secret in secrets if secret])
        self._config, self._calls = config, calls
        self._stored: Mapping[str, Any] | None = None
        self._credentials: Any = None
        self._warned: set[str] = set()

    def read_credentials(self) -> None:
        """Before all else: the file they come from may be missing, and is part of the key."""
        with self.validation.check("credentials"):
            self._stored = read_stored(self._config)
            self._credentials = make_credentials(self._config, self._stored)
            if not self._config.project_name and (project := default_project(self._stored)):
                self._config = self._config.model_copy(update={"project": project})

    def judgeable(self) -> BigQueryConfig | None:
        """The configuration with its project; None, said in a check, where only a server knows that."""
        if self._config.project_name:
            return self._config
        with self.validation.check("project") as check:
            check.degrade(
                "no `project` is given: dbt asks a server of Google's for it, the monitor does not, so that "
                "what follows cannot be judged: give `project`",
                ErrorType.CONFIGURATION,
            )
        return None

    @property
    def key(self) -> bytes:
        """Differs wherever anything differs that a login proves: secrets, a file's content, the TLS roots.

        The rest of the environment cannot change while the process runs.
        """
        parts: list[Any] = [
            self._config.model_dump(exclude={"credentials"}),
            {name: secret.get_secret_value() for name, secret in self._config.credentials.items()},
            self._stored,
        ]
        with suppress(ComputeConfigurationError):  # without roots no TLS; the connection will say so
            parts.append(roots_version(roots()))
        return hashlib.sha256(repr(parts).encode(errors="surrogatepass")).digest()

    @contextmanager
    def session(self, cache: ConnectionCache[Session]) -> Iterator[Api]:
        """The API with a token, kept afterwards where the target asks for it and nothing failed.

        Not by the toolkit's `reusing`, for which a connection is kept or it is not: here a connection that
        broke is replaced under a token that stays, and the age that counts is the token's.
        """
        reuse = self._config.connection_reuse
        key = self.key if reuse else b""
        kept = cache.take(key) if reuse else None
        kept = kept or CachedConnection.new(Session(new_client(self._calls)), self._config)
        session, token_before = kept.connection, kept.connection.credentials
        api = Api(self._config, self._transport(session, self.deadline))
        try:
            whole = self._connect(session, api)
            yield api
        except BaseException:
            # After an UNHEALTHY verdict the next probe proves everything anew.
            session.close()
            raise
        if not (whole and reuse):
            session.close()
            return
        if session.credentials is not token_before:
            kept = CachedConnection.new(session, self._config)
        cache.keep(key, kept, self._config.connection_idle_seconds)

    def _connect(self, session: Session, api: Api) -> bool:
        """Whether the login passed whole, so that it may be kept."""
        with self.validation.check("network") as check:
            accepted = self._reach(session, api, check)
        if accepted:
            self._note_kept_token(session)
            return True
        session.credentials, whole = self._log_in(session)
        api.headers = headers_of(session.credentials, self._config)
        return whole

    def _reach(self, session: Session, api: Api, check: Check) -> bool:
        """Whether the API answers, and accepts a kept token; a kept connection that broke is replaced."""
        if session.credentials is not None and not self._still_leads_there(session):
            session.forget()
        if session.credentials is None:
            api.reach()
            return False
        self.validation.hide(str(session.credentials.token))
        api.headers = headers_of(session.credentials, self._config)
        try:
            status = api.reach_with_token(self._transport(session, self.deadline.share(PROVING_SHARE)))
            check.message = HOLDS
        except (ComputeConnectionError, ComputeTimeoutError, UnusableAnswerError):
            session.client.close()
            status = api.reach_with_token()
        if status != 401 and status < 500:
            return True
        # Other connections that were kept, to the token endpoint, have not been proved.
        session.client.close()
        return False

    def _still_leads_there(self, session: Session) -> bool:
        """Whether dbt, which looks names up at each connection, would get to where the kept ones lead."""
        proving = self.deadline.share(PROVING_SHARE)
        return still_lead_there(session.client.endpoints, self._calls, proving)

    def _note_kept_token(self, session: Session) -> None:
        """The same checks from one validation to the next: a series that comes and goes shows nothing."""
        steps = [
            *(["token"] if self._asks_for_token else []),
            *(["impersonation"] if self._impersonates else []),
        ]
        for step in steps:
            with self.validation.check(step) as check:
                check.message = (good_until(session.credentials) if step == steps[-1] else "") or HOLDS

    @property
    def _asks_for_token(self) -> bool:
        return not secret_of(self._config, "token") or bool(secret_of(self._config, "refresh_token"))

    @property
    def _impersonates(self) -> bool:
        return self._config.impersonate_service_account is not None

    def _log_in(self, session: Session) -> tuple[Any, bool]:
        """Credentials with a token, and whether no step had a problem."""
        credentials, whole = self._credentials, True
        transport = self._transport(session, self.deadline)
        if self._asks_for_token:
            # With a token beside it, dbt works until that one expires.
            fixed = secret_of(self._config, "token")
            worst = ConnectionStatus.DEGRADED if fixed else ConnectionStatus.UNHEALTHY
            with self.validation.check("token", on_failure=worst) as check:
                self._refresh(credentials, transport)
            whole = check.status is ConnectionStatus.HEALTHY
        if self._impersonates:
            with self.validation.check("impersonation"):
                credentials = impersonating(credentials, self._config)
                self._refresh(credentials, transport)
        return credentials, whole

    def _refresh(self, credentials: Any, transport: Transport) -> None:
        refresh(credentials, transport)
        self.validation.hide(str(credentials.token))

    def _transport(self, session: Session, limit: Deadline) -> Transport:
        return Transport(session.client, limit, self._warn)

    def _warn(self, message: str) -> None:
        """Once: what one connection warns of, the next one does too."""
        if message not in self._warned:
            self._warned.add(message)
            self.validation.warn(message)
