"""DuckDB extensions without a network: from the extension directory, or from an installed package.

Packages named `duckdb-extension-<name>` carry the signed file for one version of DuckDB. It is installed by
DuckDB itself, into the directory that dbt's own INSTALL would use; where that may not be written, into a
private one. No version is ever forced.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

from floe_monitor.compute import ErrorType
from floe_monitor_duckdb import sql
from floe_monitor_duckdb.errors import MissingExtensionError, classify

if TYPE_CHECKING:
    from collections.abc import Iterable

    from duckdb import DuckDBPyConnection

REQUIRES = {"iceberg": ("avro",)}
"""What an extension loads by itself: it must be in place before."""

_installing = threading.Lock()


@dataclass(frozen=True, slots=True)
class Packaged:
    """The extension file of an installed package, and the DuckDB version it is for (`v1.5.5`)."""

    file: Path
    version: str


@functools.cache
def packaged(name: str) -> tuple[Packaged, ...]:
    """The files that an installed package `duckdb_extension_<name>` carries."""
    for module in (f"duckdb_extension_{name}", f"duckdb_ext_{name}"):
        spec = importlib.util.find_spec(module) if module.isidentifier() else None
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            files = sorted(Path(folder, "extensions").glob(f"*/{name}.duckdb_extension"))
            if files:
                return tuple(Packaged(file, file.parent.name) for file in files)
    return ()


def load(connection: DuckDBPyConnection, name: str) -> str | None:
    """LOAD it, after installing it from its package where needed.

    Raises `MissingExtensionError`. Returns a warning where it had to be installed outside the directory that
    dbt uses.
    """
    whole = (*REQUIRES.get(name, ()), name)
    complete = all(_is_installed(connection, part) for part in whole)
    warning = None if complete else _install(connection, name)
    try:
        # By a statement: the method of this purpose holds Python's interpreter lock for 150 ms and more.
        connection.execute(f"LOAD {sql.literal(name)}")
    except Exception as error:  # DuckDB's own classes do not distinguish; classify does
        failure = classify(error)
        if failure.error_type is ErrorType.TIMEOUT:
            raise
        raise MissingExtensionError(f"extension {name!r} does not load: {failure.message}") from error
    return warning


def install_packaged(connection: DuckDBPyConnection, names: Iterable[str]) -> bool:
    """Install those that are missing from their packages; raises `MissingExtensionError`.

    True where some were missing and all are now where dbt looks for them.
    """
    missing = [name for name in names if not _is_installed(connection, name)]
    return bool(missing) and not any(_install(connection, name) for name in missing)


def _install(connection: DuckDBPyConnection, name: str) -> str | None:
    wanted = _version()
    candidates = packaged(name)
    source = next((candidate for candidate in candidates if candidate.version == wanted), None)
    if source is None:
        if candidates:
            raise MissingExtensionError(
                f"the package of extension {name!r} is for DuckDB {candidates[0].version}, not {wanted}"
            )
        if _is_built_in(connection, name):
            raise MissingExtensionError(
                f"extension {name!r} is built into DuckDB, yet dbt downloads it: leave it out of `extensions`"
            )
        raise MissingExtensionError(
            f"extension {name!r} is not installed for DuckDB {wanted}, and there is no package of it"
        )
    warning = None
    with _installing:
        directory = _directory(connection)
        if not _may_create(directory):
            private = private_directory()
            _set_directory(connection, private)
            warning = (
                f"extension {name!r} was loaded from its package: the directory in which dbt looks "
                "for extensions may not be written here"
            )
        for needed in (*REQUIRES.get(name, ()), name):
            found = next((item for item in packaged(needed) if item.version == wanted), None)
            if found is not None and not _is_installed(connection, needed):
                connection.execute(f"INSTALL {sql.literal(found.file)}")
    return warning


def _is_installed(connection: DuckDBPyConnection, name: str) -> bool:
    """Whether its file is where dbt's INSTALL looks. That wants the file even of one built into DuckDB."""
    return any(_directory(connection).glob(f"{_version()}/*/{name}.duckdb_extension"))


def _is_built_in(connection: DuckDBPyConnection, name: str) -> bool:
    row = connection.execute(
        "SELECT count(*) FROM duckdb_extensions() "
        "WHERE extension_name = $1 AND install_mode = 'STATICALLY_LINKED'",
        [name],
    ).fetchone()
    return bool(row and row[0])


def _version() -> str:
    import duckdb  # noqa: PLC0415 - the driver is imported only when used

    return f"v{duckdb.__version__}"


def _directory(connection: DuckDBPyConnection) -> Path:
    row = connection.execute("SELECT current_setting('extension_directory')").fetchone()
    configured = str(row[0]) if row and row[0] else "~/.duckdb/extensions"
    # os.path leaves a `~` that leads nowhere as it is, where Path would raise.
    return Path(os.path.expanduser(configured))  # noqa: PTH111


def _set_directory(connection: DuckDBPyConnection, directory: Path) -> None:
    connection.execute(f"SET extension_directory = {sql.literal(directory)}")


def _may_create(directory: Path) -> bool:
    """Whether this user may write there, creating it where it is missing."""
    for folder in (directory, *directory.parents):
        if folder.exists():
            effective = os.access in os.supports_effective_ids
            return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK, effective_ids=effective)
    return False


@functools.cache
def private_directory() -> Path:
    """A directory of this user's own in the system's temporary one; what it holds is signed."""
    directory = Path(gettempdir(), f"floe-monitor-duckdb-{os.getuid()}")
    directory.mkdir(mode=0o700, exist_ok=True)
    status = directory.lstat()
    if status.st_uid != os.getuid() or directory.is_symlink():
        raise MissingExtensionError("the private directory for extensions belongs to another user")
    return directory
