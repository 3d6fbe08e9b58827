"""The databases that a session attaches beside its own, but for Iceberg catalogs.

DuckDB's files are looked at like the target's own, without a lock, and stood for in the engine, which so
judges name and options. SQLite's are known by their first bytes. What only a server could tell is DEGRADED.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from floe_monitor.compute import ErrorType
from floe_monitor_duckdb import database_file, extensions, secrets
from floe_monitor_duckdb.errors import MissingExtensionError
from floe_monitor_duckdb.file_check import check_file
from floe_monitor_duckdb.paths import MEMORY, scheme_of
from floe_monitor_duckdb.sql import identifier, literal
from floe_monitor_duckdb.time_limit import require_time

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from floe_monitor.compute import Check, Validation
    from floe_monitor_duckdb.config import Attachment, DuckDBConfig
    from floe_monitor_duckdb.databases import Databases

_SQLITE = b"SQLite format 3\0"
_OWN = frozenset({"type", "secret", "read_only"})
_OF_THE_FILE = frozenset({"encryption_key", "encryption_cipher"})
"""Options that concern the content of a file, which is not opened."""
_OF_DUCKDB = frozenset({"", "duckdb"})
_OF_SQLITE = frozenset({"sqlite", "sqlite3", "sqlite_scanner"})


def examine(
    config: DuckDBConfig, connection: DuckDBPyConnection, databases: Databases, validation: Validation
) -> None:
    """Each is a check of its own, in dbt's order."""
    for entry in config.attach:
        if not entry.is_iceberg:
            with validation.check(f"attach:{entry.database}") as check:
                require_time()
                _Attachment(entry, config, connection, databases, check).examine()


class _Attachment:
    def __init__(
        self,
        entry: Attachment,
        config: DuckDBConfig,
        connection: DuckDBPyConnection,
        databases: Databases,
        check: Check,
    ) -> None:
        self._entry, self._config = entry, config
        self._connection, self._databases, self._check = connection, databases, check
        options = {key.lower(): value for key, value in (entry.options or {}).items()}
        self._kind = str(entry.type or options.get("type") or "").lower()
        self._read_only = entry.read_only or bool(options.get("read_only")) or config.read_only
        self._options: dict[str, Any] = {
            key: value for key, value in options.items() if key not in _OWN | _OF_THE_FILE
        }
        if entry.secret is not None:
            self._options["secret"] = entry.secret
        self._has_key = "encryption_key" in options

    def examine(self) -> None:
        path = self._entry.path
        if self._kind in _OF_DUCKDB and path == MEMORY:
            self._attach(is_empty=True)
        elif self._kind not in _OF_DUCKDB | _OF_SQLITE or scheme_of(path):
            self._examine_remote()
        elif self._kind in _OF_SQLITE or _begins_with(path, _SQLITE):
            self._examine_sqlite()
        else:
            self._examine_file()

    def _examine_file(self) -> None:
        if self._has_key:
            self._databases.stand_in(self._entry.database)
            self._check.degrade(f"{self._entry.path} is encrypted: whether its key opens it is not checked")
            return
        is_new = check_file(
            self._entry.path,
            self._check,
            read_only=self._read_only,
            check_writable=self._config.check_writable,
        )
        self._attach(is_empty=is_new)

    def _attach(self, *, is_empty: bool) -> None:
        """By dbt's statement, of an empty database in memory: the engine judges name and options."""
        options = [f"{key.upper()} {_option(value)}" for key, value in self._options.items() if _given(value)]
        self._connection.execute(
            f"ATTACH IF NOT EXISTS {literal(MEMORY)} AS {identifier(self._entry.database)}"
            + (f" ({', '.join(options)})" if options else "")
        )
        self._databases.stand_in(self._entry.database, is_empty=is_empty)

    def _examine_sqlite(self) -> None:
        """ATTACH opens nothing yet: a file that is none of SQLite's fails at the first look into it."""
        self._databases.stand_in(self._entry.database)
        path = self._entry.path
        file = Path(database_file.local_path(path))
        if path == MEMORY:
            pass
        elif not file.exists():
            made = "dbt would create an empty database" if file.parent.is_dir() else "nor its directory"
            self._check.degrade(f"{path} does not exist; {made}", ErrorType.CONNECTION)
        elif file.stat().st_size and not _begins_with(path, _SQLITE):
            self._check.degrade(f"{path} is not a SQLite database, or not readable", ErrorType.CONNECTION)
        self._load("sqlite_scanner")

    def _examine_remote(self) -> None:
        """Whatever answers there is not asked. That the extension for it is here can be known."""
        self._databases.stand_in(self._entry.database)
        kind = scheme_of(self._entry.path) if self._kind in _OF_DUCKDB else self._kind
        if self._kind not in _OF_DUCKDB or extensions.is_known(self._connection, kind):
            self._load(kind)
        self._check.degrade(f"{self._entry.database}: not checked, probes do not attach it")

    def _load(self, name: str) -> None:
        try:
            shortcoming = extensions.load(self._connection, name)
        except MissingExtensionError as error:
            self._check.degrade(str(error), ErrorType.EXTENSION)
        else:
            secrets.report(shortcoming, self._config, self._check)


def _begins_with(path: str, beginning: bytes) -> bool:
    """False too for what cannot be read: the check of the file says why."""
    try:
        with Path(database_file.local_path(path)).open("rb") as file:
            return file.read(len(beginning)) == beginning
    except OSError:
        return False


def _given(value: Any) -> bool:
    """dbt-duckdb leaves out an option that is null or false."""
    return value is not None and value is not False


def _option(value: Any) -> str:
    """dbt-duckdb's form: true is the name alone, and a text that has quotes already stays as it is."""
    if value is True:
        return ""
    text = str(value).strip()
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return str(value) if not isinstance(value, str) else literal(text[1:-1] if quoted else value)
