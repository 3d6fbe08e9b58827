"""DuckDB: in memory and in files, sound, broken, held and forbidden."""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
import subprocess
import sys
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from conformance.cases import Case, Engine, Situation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

_HEADER = 4096
_FACTOR = 0xBF58476D1CE4E5B9

_S3 = {"type": "s3", "region": "eu-west-1", "use_ssl": False, "scope": "s3://shop"}

_HOLD = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "read")
print("held", flush=True)
sys.stdin.read()
"""
_CRASH = """
import os, sys, duckdb
connection = duckdb.connect(sys.argv[1])
connection.execute("CREATE TABLE logged (a VARCHAR)")
connection.execute("INSERT INTO logged VALUES ('abc'), ('def')")
os._exit(0)
"""


def _create(path: Path) -> None:
    import duckdb  # noqa: PLC0415 - only where cases run

    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT range AS a FROM range(1000)")


@contextmanager
def _plain(
    folder: Path,  # noqa: ARG001 - needs no directory
    environment: Mapping[str, str] | None = None,
    **connection: Any,
) -> Iterator[Situation]:
    yield Situation({"connection": connection}, environment=environment or {})


@contextmanager
def _file(
    folder: Path,
    change: Callable[[Path], object] | None = None,
    *,
    create: bool = True,
    **connection: Any,
) -> Iterator[Situation]:
    """A target on shop.duckdb, after `change` was done to it; modes are put back at the end."""
    path = folder / "shop.duckdb"
    if create:
        _create(path)
    if change is not None:
        change(path)
    try:
        yield Situation({"connection": {"path": str(path), **connection}})
    finally:
        folder.chmod(0o755)


@contextmanager
def _extension_without_home(folder: Path) -> Iterator[Situation]:
    home = folder / "home"
    home.mkdir(mode=0o555)
    yield Situation({"connection": {"extensions": ["httpfs"]}}, environment={"HOME": str(home)})


@contextmanager
def _attached(
    folder: Path,
    change: Callable[[Path], object] | None = None,
    *,
    attach: Mapping[str, Any],
    **connection: Any,
) -> Iterator[Situation]:
    """A target with a second file, to which `change` was done."""
    path = folder / "more.duckdb"
    if change is not None:
        change(path)
    with _file(folder, attach=[{"path": str(path), **attach}], **connection) as situation:
        yield situation


@contextmanager
def _on_a_full_file_system(folder: Path, *, create: bool) -> Iterator[Situation]:
    """A small one of its own, which takes a privileged user."""
    mount, umount = shutil.which("mount") or "", shutil.which("umount") or ""
    subprocess.run([mount, "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], check=True)
    try:
        with _file(folder, create=create) as situation:
            space = os.statvfs(folder)
            with (folder / "other").open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, space.f_bavail * space.f_frsize)
            yield situation
    finally:
        subprocess.run([umount, "-l", str(folder)], check=True)


@contextmanager
def _held(folder: Path, mode: str, **connection: Any) -> Iterator[Situation]:
    with _file(folder, **connection) as situation:
        command = [sys.executable, "-c", _HOLD, str(folder / "shop.duckdb"), mode]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            if process.stdout is None or process.stdout.readline() != b"held\n":
                raise RuntimeError("the database could not be held")
            yield situation


def _create_sqlite(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (a)")


def _junk(path: Path) -> None:
    path.write_bytes(b"junk" * 9000)


def _crash(path: Path) -> None:
    subprocess.run([sys.executable, "-c", _CRASH, str(path)], check=True)


def _log(path: Path) -> Path:
    return path.with_name(path.name + ".wal")


def _alter_log(path: Path) -> None:
    _crash(path)
    _log(path).write_bytes(_log(path).read_bytes().replace(b"abc", b"abd"))


def _seal_log(path: Path) -> None:
    _crash(path)
    _log(path).chmod(0)


def _put(path: Path, offset: int, value: int, *, header: int = 0) -> None:
    """Write a number into a header, with the checksum that belongs to it."""
    data = bytearray(path.read_bytes())
    start = header * _HEADER
    struct.pack_into("<Q", data, start + offset, value)
    checksum = 5381
    for (word,) in struct.iter_unpack("<Q", data[start + 8 : start + _HEADER]):
        checksum ^= word * _FACTOR & (1 << 64) - 1
    struct.pack_into("<Q", data, start, checksum)
    path.write_bytes(data)


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[_HEADER + 16] ^= 1
    path.write_bytes(data)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: 3 * _HEADER + 5000])


_FULL: tuple[Case, ...] = (
    Case("a full file system", partial(_on_a_full_file_system, create=True)),
    Case("a full file system, no file", partial(_on_a_full_file_system, create=False)),
)
if os.geteuid() != 0:  # nobody else may mount one
    _FULL = ()

ENGINE = Engine(
    plugin="duckdb",
    requirements="dbt-duckdb.txt",
    modules=("dbt.adapters.duckdb", "duckdb"),
    about="dbt-core 1.11.16, dbt-duckdb 1.11.1, DuckDB 1.5.5, without a network. `/data` is the directory "
    "of the case. Situations about permissions run as a user bound by them.",
    cases=(
        Case("in memory", _plain),
        Case(
            "in memory, settings and options",
            partial(_plain, settings={"TimeZone": "UTC"}, config_options={"preserve_insertion_order": False}),
        ),
        Case("a sound file", _file),
        Case("a sound file with retries", partial(_file, retries={"connect_attempts": 2})),
        Case("an extension from its package", partial(_plain, extensions=["httpfs"])),
        Case("an extension built in", partial(_plain, extensions=["json"])),
        Case("an extension that is missing", partial(_plain, extensions=["spatial"])),
        Case("an extension by another name", partial(_plain, extensions=["https"])),
        Case("an extension in other letters", partial(_plain, extensions=["HTTPFS"])),
        Case("a missing extension by another name", partial(_plain, extensions=["postgres"])),
        Case("a missing extension by another name, SQLite", partial(_plain, extensions=["sqlite"])),
        Case("an extension, HOME not set", partial(_plain, environment={"HOME": ""}, extensions=["httpfs"])),
        Case(
            "an extension, HOME missing",
            partial(_plain, environment={"HOME": "/nonexistent"}, extensions=["httpfs"]),
        ),
        Case(
            "an extension, HOME not writable",
            _extension_without_home,
            ordinary_user=True,
        ),
        Case("HOME not set", partial(_plain, environment={"HOME": ""})),
        Case("a secret", partial(_plain, secrets=[{"type": "http", "extra_http_headers": {"a": "b"}}])),
        Case("a secret of an extension", partial(_plain, secrets=[_S3], extensions=["httpfs"])),
        Case("a secret of an extension that is missing", partial(_plain, secrets=[{"type": "postgres"}])),
        Case(
            "a secret with an unknown key",
            partial(_plain, secrets=[{**_S3, "regoin": "x"}], extensions=["httpfs"]),
        ),
        Case("a secret of an unknown type", partial(_plain, secrets=[{"type": "nosuch"}])),
        Case(
            "a secret of an unknown provider",
            partial(_plain, secrets=[{"type": "http", "provider": "nosuch"}]),
        ),
        Case(
            "a secret by the credential chain",
            partial(_plain, secrets=[{"type": "s3", "provider": "credential_chain"}], extensions=["httpfs"]),
        ),
        Case(
            "use_credential_provider", partial(_plain, use_credential_provider="aws", extensions=["httpfs"])
        ),
        Case("an option of a missing extension", partial(_plain, config_options={"http_timeout": 5})),
        Case("a setting that does not exist", partial(_plain, settings={"nosuch": 1})),
        Case("a setting with a bad value", partial(_plain, settings={"threads": 0})),
        Case("a schema of the file", partial(_file, settings={"schema": "shop.main"})),
        Case("a search path", partial(_file, settings={"search_path": "shop.main,main"})),
        Case(
            "a search path into an attached database",
            partial(
                _attached,
                settings={"search_path": "main,more.main"},
                attach={"alias": "more"},
                change=_create,
            ),
        ),
        Case("a search path into another schema", partial(_file, settings={"search_path": "raw"})),
        Case("a search path into no database", partial(_file, settings={"search_path": "nowhere.main"})),
        Case("in memory, a schema that is not there", partial(_plain, settings={"schema": "raw"})),
        Case("an option that does not exist", partial(_plain, config_options={"nosuch": 1})),
        Case("a bad memory limit", partial(_plain, memory_limit="much")),
        Case("a file attached", partial(_attached, attach={"alias": "more"}, change=_create)),
        Case("a file attached, read only", partial(_attached, attach={"read_only": True}, change=_create)),
        Case("a file attached that is missing", partial(_attached, attach={})),
        Case("a file attached that is missing, read only", partial(_attached, attach={"read_only": True})),
        Case("a junk file attached", partial(_attached, attach={}, change=_junk)),
        Case("a file attached by an unknown option", partial(_attached, attach={"options": {"nosuch": "x"}})),
        Case("a file attached by an alias of DuckDB's", partial(_attached, attach={"alias": "temp"})),
        Case(
            "a file attached from no directory", partial(_plain, attach=[{"path": "/nonexistent/x.duckdb"}])
        ),
        Case("a SQLite file attached", partial(_attached, attach={"type": "sqlite"}, change=_create_sqlite)),
        Case("a SQLite file attached, no type", partial(_attached, attach={}, change=_create_sqlite)),
        Case(
            "a Postgres database attached",
            partial(_plain, attach=[{"path": "host=127.0.0.1 port=1", "type": "postgres", "alias": "pg"}]),
        ),
        Case(
            "a file system that is not there", partial(_plain, filesystems=[{"fs": "nosuch", "token": None}])
        ),
        Case("a plugin that is not there", partial(_plain, plugins=[{"module": "nosuch"}])),
        Case("no file", partial(_file, create=False)),
        Case("no file, read only", partial(_file, create=False, config_options={"access_mode": "read_only"})),
        Case("locked by a setting", partial(_plain, settings={"lock_configuration": True})),
        Case(
            "locked by a setting before another",
            partial(_plain, settings={"lock_configuration": True, "TimeZone": "UTC"}),
        ),
        Case("locked by an option", partial(_plain, config_options={"lock_configuration": True})),
        Case(
            "locked by an option, nothing to set",
            partial(
                _plain,
                config_options={"lock_configuration": True},
                settings={"memory_limit": None, "threads": None},
            ),
        ),
        Case(
            "a temp_directory that cannot be made",
            partial(_plain, settings={"temp_directory": "/nonexistent/spill"}),
        ),
        *_FULL,
        Case("no directory", partial(_plain, path="/nonexistent/shop.duckdb")),
        Case(
            "a dangling symlink",
            partial(_file, change=lambda path: path.symlink_to("/nonexistent/x"), create=False),
        ),
        Case("a directory", partial(_file, change=lambda path: path.mkdir(), create=False)),
        Case("an empty file", partial(_file, change=lambda path: path.touch(), create=False)),
        Case("a junk file", partial(_file, change=_junk, create=False)),
        Case("a truncated file", partial(_file, change=_cut)),
        Case("a file with an altered header", partial(_file, change=_flip)),
        Case("a file of a newer DuckDB", partial(_file, change=partial(_put, offset=12, value=999))),
        Case("an encrypted file", partial(_file, change=partial(_put, offset=20, value=1))),
        Case("a log left by a crash", partial(_file, change=_crash)),
        Case("an altered log", partial(_file, change=_alter_log)),
        Case("held by a writer", partial(_held, mode="write")),
        Case("held by a reader", partial(_held, mode="read")),
        Case(
            "held by a reader, read only",
            partial(_held, mode="read", config_options={"access_mode": "read_only"}),
            builds=False,
        ),
        Case("a file not readable", partial(_file, change=lambda path: path.chmod(0)), ordinary_user=True),
        Case(
            "a file not writable", partial(_file, change=lambda path: path.chmod(0o444)), ordinary_user=True
        ),
        Case(
            "a file not writable, read only",
            partial(
                _file, change=lambda path: path.chmod(0o444), config_options={"access_mode": "read_only"}
            ),
            ordinary_user=True,
            builds=False,
        ),
        Case(
            "a directory not writable",
            partial(_file, change=lambda path: path.parent.chmod(0o555)),
            ordinary_user=True,
        ),
        Case(
            "no file, directory not writable",
            partial(_file, change=lambda path: path.parent.chmod(0o555), create=False),
            ordinary_user=True,
        ),
        Case("a log not readable", partial(_file, change=_seal_log), ordinary_user=True),
    ),
)
