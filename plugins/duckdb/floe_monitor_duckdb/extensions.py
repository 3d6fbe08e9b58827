"""DuckDB extensions without a network: from the extension directory, or from an installed package.

Packages named `duckdb-extension-<name>` carry the signed file for one version of DuckDB. It is installed by
DuckDB itself, into the directory that dbt's own INSTALL would use; where that may not be written, into a
private one. No version is ever forced.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

from floe_monitor.compute import ErrorType
from floe_monitor_duckdb import sql
from floe_monitor_duckdb.errors import MissingExtensionError, classify

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from duckdb import DuckDBPyConnection

REQUIRES = {"iceberg": ("avro",)}
"""What an extension loads by itself: it must be in place before."""

_installing = threading.Lock()
_known: dict[str, str] = {}
"""Each name of DuckDB's own extensions, and the one it is filed under; filled when it is first needed."""
_NO_HOME = re.compile(r"Can't find the home directory at")
_NOT_FOUND = re.compile(r'(?P<name>\w+)\.duckdb_extension" not found')
_MAX_NEEDED = 4
"""Extensions that one statement may need."""


@dataclass(frozen=True, slots=True)
class Packaged:
    """The extension file of an installed package, and the DuckDB version it is for (`v1.5.5`)."""

    file: Path
    version: str


@functools.cache
def packaged(name: str) -> tuple[Packaged, ...]:
    """The files that an installed package of this extension carries; `name` is DuckDB's own for it."""
    short = name.removesuffix("_scanner")
    for module in (f"duckdb_extension_{name}", f"duckdb_ext_{name}", f"duckdb_ext_{short}"):
        spec = importlib.util.find_spec(module) if module.isidentifier() else None
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            files = sorted(Path(folder, "extensions").glob(f"*/{name}.duckdb_extension"))
            if files:
                return tuple(Packaged(file, file.parent.name) for file in files)
    return ()


def load(connection: DuckDBPyConnection, name: str) -> str | None:
    """LOAD it, after installing it from its package where needed.

    Raises `MissingExtensionError`. Returns why dbt cannot have it, where it had to be installed outside the
    directory that dbt uses.
    """
    found = canonical(connection, name)
    whole = (*REQUIRES.get(found, ()), found)
    complete = all(_is_installed(connection, part) for part in whole)
    shortcoming = None if complete else _install(connection, name)
    try:
        # By a statement: the method of this purpose holds Python's interpreter lock for 150 ms and more.
        connection.execute(f"LOAD {sql.literal(found)}")
    except Exception as error:  # DuckDB's own classes do not distinguish; classify does
        failure = classify(error)
        if failure.error_type is ErrorType.TIMEOUT:
            raise
        raise MissingExtensionError(f"extension {name!r} does not load: {failure.message}") from error
    return shortcoming


def execute(connection: DuckDBPyConnection, statement: str) -> str | None:
    """Run a statement for which dbt's DuckDB would fetch extensions; each is loaded as by `load`.

    Raises and returns what that does, or raises what DuckDB raises.
    """
    shortcoming = None
    for _ in range(_MAX_NEEDED):
        try:
            connection.execute(statement)
        except Exception as error:
            needed = _needed_by(error)
            if needed is None:
                raise
            shortcoming = load(connection, needed) or shortcoming
        else:
            return shortcoming
    connection.execute(statement)
    return shortcoming


def _needed_by(error: Exception) -> str | None:
    """The extension that a statement failed for; raises `MissingExtensionError` where none can be found."""
    text = str(error)
    if _NO_HOME.search(text):
        raise MissingExtensionError("DuckDB finds no extension: there is no home directory") from error
    found = _NOT_FOUND.search(text)
    return None if found is None else found["name"]


def install_packaged(connection: DuckDBPyConnection, names: Iterable[str]) -> bool:
    """Install those that are missing from their packages; raises `MissingExtensionError`.

    True where some were missing and all are now where dbt looks for them.
    """
    missing = [name for name in names if not _is_installed(connection, canonical(connection, name))]
    shortcomings = [_install(connection, name) for name in missing]
    return bool(missing) and not any(shortcomings)


def canonical(connection: DuckDBPyConnection, name: str) -> str:
    """The name under which DuckDB files an extension that is called by an alias, in whatever case."""
    return _aliases(connection).get(name.lower(), name.lower())


def is_known(connection: DuckDBPyConnection, name: str) -> bool:
    """Whether this is the name, or an alias, of an extension of DuckDB's own."""
    return name.lower() in _aliases(connection)


def _aliases(connection: DuckDBPyConnection) -> Mapping[str, str]:
    """DuckDB's own extensions by each of their names; empty where it lists none for want of a home."""
    if not _known:
        try:
            rows = connection.execute("SELECT extension_name, aliases FROM duckdb_extensions()").fetchall()
        except Exception as error:  # DuckDB's own classes do not tell; its words do
            if _NO_HOME.search(str(error)) is None:
                raise
            return {}
        _known.update({alias: name for name, aliases in rows for alias in (name, *aliases)})
    return _known


def _install(connection: DuckDBPyConnection, asked: str) -> str | None:
    wanted = _version()
    name = canonical(connection, asked)
    candidates = packaged(name)
    source = next((candidate for candidate in candidates if candidate.version == wanted), None)
    if source is None:
        if candidates:
            raise MissingExtensionError(
                f"the package of extension {asked!r} is for DuckDB {candidates[0].version}, not {wanted}"
                f"{_cure(name) if name in _known.values() else ''}"
            )
        if _is_built_in(connection, name):
            raise MissingExtensionError(
                f"extension {asked!r} is built into DuckDB, yet dbt downloads it: "
                "leave it out of `extensions`"
            )
        raise MissingExtensionError(f"extension {asked!r} is not installed for DuckDB {wanted}{_cure(name)}")
    shortcoming = None
    with _installing:
        hindrance = _hindrance(connection)
        if hindrance is not None:
            shortcoming = f"dbt cannot install extension {asked!r}: {hindrance}"
            _use_private_directory(connection)
        for needed in (*REQUIRES.get(name, ()), name):
            found = next((item for item in packaged(needed) if item.version == wanted), None)
            if found is not None and not _is_installed(connection, needed):
                connection.execute(f"INSTALL {sql.literal(found.file)}")
    return shortcoming


def _cure(name: str) -> str:
    """The package to install, as the end of a sentence; packages are for one version of DuckDB each."""
    if name not in _known.values():
        return ", and is none of DuckDB's own: no package has it"
    version = _version().removeprefix("v")
    if version.startswith("1.4."):
        return f": install the package duckdb-ext-{name.removesuffix('_scanner')} of {version}"
    return f": install the package duckdb-extension-{name.replace('_', '-')}=={version}"


def _is_installed(connection: DuckDBPyConnection, name: str) -> bool:
    """Whether its file is where dbt's INSTALL looks. That wants the file even of one built into DuckDB."""
    directory = _directory(connection)
    return directory is not None and any(directory.glob(f"{_version()}/*/{name}.duckdb_extension"))


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


def _directory(connection: DuckDBPyConnection) -> Path | None:
    """Where DuckDB looks for extensions; None where that is in a home which does not exist."""
    configured = _setting(connection, "extension_directory")
    if configured and not configured.startswith("~"):
        return Path(configured)
    home = _home(connection)
    if not home or not Path(home).is_dir():
        return None
    return Path(home + (configured or "~/.duckdb/extensions").removeprefix("~"))


def _home(connection: DuckDBPyConnection) -> str:
    return _setting(connection, "home_directory") or os.environ.get("HOME", "")


def _setting(connection: DuckDBPyConnection, name: str) -> str:
    row = connection.execute(f"SELECT current_setting({sql.literal(name)})").fetchone()
    return str(row[0] or "") if row else ""


def _hindrance(connection: DuckDBPyConnection) -> str | None:
    """Why DuckDB cannot install an extension, wherever it comes from; None where it can."""
    directory = _directory(connection)
    if not _home(connection):  # asked for even where extensions have a directory elsewhere
        return "HOME is not set"
    if directory is None:
        return "the directory that HOME names does not exist"
    if not _may_create(directory):
        return "the directory in which it looks for extensions may not be written here"
    return None


def _use_private_directory(connection: DuckDBPyConnection) -> None:
    private = sql.literal(private_directory())
    connection.execute(f"SET extension_directory = {private}")
    connection.execute(f"SET home_directory = {private}")


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
