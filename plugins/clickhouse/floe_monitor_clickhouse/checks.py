"""What dbt needs of a server: a login, its settings, the database and the rights to build there, the cluster.

Nothing is written. `dbt debug` creates the database and two tables; here the server is asked whether it would
let them be made.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from floe_monitor.compute import (
    ComputeConnectionError,
    ComputeTimeoutError,
    ConnectionStatus,
    EngineState,
    ErrorType,
    note_engine_state,
)
from floe_monitor.compute.toolkit.limitations import degrade_by
from floe_monitor_clickhouse.cluster import judge_cluster
from floe_monitor_clickhouse.errors import (
    SYNTAX_ERROR,
    UNKNOWN_IDENTIFIER,
    ServerError,
    UnexpectedAnswerError,
    limitation,
)
from floe_monitor_clickhouse.grants import BUILDING, lacking, may
from floe_monitor_clickhouse.session_settings import dbt_settings, http_parameters, native_settings
from floe_monitor_clickhouse.sql import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from floe_monitor.compute import Check, Validation
    from floe_monitor_clickhouse.config import ClickHouseConfig
    from floe_monitor_clickhouse.connect import Session

EXCHANGING = frozenset({"Atomic", "Replicated", "Shared"})
"""Engines of databases in which dbt exchanges tables."""
FOREIGN = frozenset(
    {
        "Backup", "DataLakeCatalog", "Dictionary", "Filesystem", "HDFS", "MaterializedMySQL",
        "MaterializedPostgreSQL", "MySQL", "PostgreSQL", "Remote", "RemoteSecure", "S3", "SQLite", "URL",
    }
)  # fmt: skip
"""Engines of databases that show tables of something else, and take none of dbt's."""
_SETTINGS = "SELECT name, value, readonly FROM system.settings"
_TOO_OLD = "the server is older than dbt-clickhouse needs"


def examine(config: ClickHouseConfig, validation: Validation, session: Session) -> None:
    """Ends early where no statement can tell more: at a server that takes none at this moment."""
    if not config.is_native:
        with validation.check("login") as check, degrade_by(limitation, check):
            _ask_version(session)
            check.message = f"version {session.version}"
        if check.status is not ConnectionStatus.HEALTHY:
            return
    with validation.check("session") as check, degrade_by(limitation, check):
        state = _SessionState.of(config, session, check)
    if check.status is ConnectionStatus.HEALTHY:
        if config.cloud_service_id is not None:
            note_engine_state(EngineState.RUNNING)
        _Examination(config, validation, session, state).run()


def _ask_version(session: Session) -> None:
    """As dbt's driver does first, without a setting, in the user's own database."""
    rows = session.run("SELECT version()", waits_for="the answer to the first query")
    if len(rows) != 1 or len(rows[0]) != 1:
        raise UnexpectedAnswerError("`SELECT version()` brought something else than one value")
    session.version = rows[0][0][:100]


class _SessionState:
    """What the user's profile lets dbt set and do."""

    def __init__(self, settings: dict[str, str], readonly: str, *, ddl: bool) -> None:
        self.settings, self._readonly, self._ddl = settings, readonly, ddl

    @classmethod
    def of(cls, config: ClickHouseConfig, session: Session, check: Check) -> _SessionState:
        """Raises what the server says to dbt's settings, and `SettingError` for what dbt's driver would."""
        wanted = dbt_settings(config)
        names = ", ".join(map(literal, [*wanted, "readonly", "allow_ddl"]))
        try:
            rows = session.run(f"{_SETTINGS} WHERE name IN ({names})")
        except ServerError as error:
            if error.code != UNKNOWN_IDENTIFIER:
                raise
            raise UnexpectedAnswerError(f"{_TOO_OLD}: {error}") from None
        known = {row[0]: (row[1], row[2] != "0") for row in rows if len(row) == 3}
        settings = native_settings(wanted) if config.is_native else http_parameters(wanted, known)
        unknown = [name for name in config.custom_settings or {} if name not in known]
        if config.is_native and unknown:
            check.warn(f"the server passes over settings that it does not know: {', '.join(unknown)}")
        if session.run("SELECT 1", settings, "the answer to a statement with dbt's settings") != [["1"]]:
            raise UnexpectedAnswerError("`SELECT 1` brought something else than 1")
        readonly, ddl = known.get("readonly", ("0", False))[0], known.get("allow_ddl", ("1", False))[0]
        return cls(settings, readonly, ddl=ddl not in {"0", "false"})

    @property
    def why_no_ddl(self) -> str | None:
        """Why no statement that creates or drops is let through, whatever the grants."""
        if self._readonly not in {"0", ""}:
            return f"the user's profile is read-only (readonly = {self._readonly})"
        return None if self._ddl else "the user's profile prohibits DDL (allow_ddl = 0)"


class _Examination:
    def __init__(
        self, config: ClickHouseConfig, validation: Validation, session: Session, state: _SessionState
    ) -> None:
        self._config, self._session, self._validation, self._state = config, session, validation, state
        self._database = config.target_database
        self._quoted = identifier(self._database)
        self._exists = False

    def run(self) -> None:
        with self._validation.check("database") as check, degrade_by(limitation, check):
            self._judge_database(check)
        if check.status is not ConnectionStatus.HEALTHY:
            return
        if self._config.on_cluster is not None:
            # dbt creates a missing database on the cluster as it connects; what else it does there, later.
            with self._beyond_debug("cluster", debug=not self._exists) as check:
                judge_cluster(self._config, self._session, check, connects=not self._exists)
            if check.status is not ConnectionStatus.HEALTHY:
                return
        with self._beyond_debug("write") as check:
            self._judge_writing(check)

    @contextmanager
    def _beyond_debug(self, name: str, *, debug: bool = False) -> Iterator[Check]:
        """What `dbt debug` does not look at, unless `debug`: a refusal degrades, only no answer is worse."""
        with (
            self._validation.check(
                name,
                on_failure=ConnectionStatus.UNHEALTHY if debug else ConnectionStatus.DEGRADED,
                fatal=(ComputeConnectionError, ComputeTimeoutError),
            ) as check,
            degrade_by(limitation, check),
        ):
            yield check

    def _judge_database(self, check: Check) -> None:
        try:
            rows = self._session.run(f"EXISTS DATABASE {self._quoted}", self._state.settings)
        except ServerError as error:
            if error.code != SYNTAX_ERROR:
                raise
            raise UnexpectedAnswerError(f"{_TOO_OLD}: it does not know EXISTS DATABASE") from None
        self._exists = rows == [["1"]]
        if not self._exists:
            self._judge_creation(check)

    def _judge_creation(self, check: Check) -> None:
        """dbt creates the database as it connects, so that `dbt debug` fails where it may not."""
        missing = f"database {self._database!r} is not there"
        if (reason := self._state.why_no_ddl) is not None:
            check.fail(f"{missing}, and dbt cannot create it: {reason}", ErrorType.PERMISSION)
            return
        engine = (self._config.database_engine or "").partition("(")[0].strip()
        known = f"SELECT count() FROM system.database_engines WHERE name = {literal(engine)}"  # noqa: S608
        if engine and self._session.run(known) == [["0"]]:
            check.fail(f"{missing}, and the server has no engine {engine} for it", ErrorType.CONFIGURATION)
            return
        allowed = may(self._session, "CREATE DATABASE", f"{self._quoted}.*")
        if allowed is False:
            check.fail(f"{missing}, and the user may not create it: CREATE DATABASE", ErrorType.PERMISSION)
        elif allowed is None:
            check.warn(f"{missing}; whether dbt may create it is not shown by a server without CHECK GRANT")
        else:
            check.warn(f"{missing}; dbt creates it")

    def _judge_writing(self, check: Check) -> None:
        if (reason := self._state.why_no_ddl) is not None:
            check.degrade(f"{reason}: dbt can read and build nothing", ErrorType.PERMISSION)
            return
        if self._exists:
            self._judge_engine(check)
        missing = lacking(self._session, BUILDING, f"{self._quoted}.*")
        if missing is None:
            check.warn("whether the user may build is not shown by a server without CHECK GRANT")
        elif missing:
            check.degrade(
                f"the user lacks {', '.join(missing)} on database {self._database!r}: dbt cannot build",
                ErrorType.PERMISSION,
            )

    def _judge_engine(self, check: Check) -> None:
        rows = self._session.run(
            f"SELECT engine FROM system.databases WHERE name = {literal(self._database)}"  # noqa: S608
        )
        engine = rows[0][0] if rows and rows[0] else ""
        if not engine:
            check.degrade(
                f"database {self._database!r} is there, but the user does not see it in system.databases",
                ErrorType.PERMISSION,
            )
        elif engine in FOREIGN:
            check.degrade(
                f"database {self._database!r} is of engine {engine}, which takes no tables of dbt's: it can "
                "read there and build nothing",
                ErrorType.CONFIGURATION,
            )
        elif engine not in EXCHANGING:
            check.warn(
                f"database {self._database!r} is of engine {engine}, in which tables are not exchanged: dbt "
                "replaces a table by dropping it, and readers see none for a moment"
            )
