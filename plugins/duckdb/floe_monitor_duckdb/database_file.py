"""What can be known about a database file without opening it in DuckDB.

DuckDB's own open takes a lock, and a writer that finds one taken fails at once: a monitor that opens the
file breaks dbt now and then. So it is read as bytes, and checked as DuckDB checks it when it opens one.
"""

from __future__ import annotations

import errno
import functools
import os
import stat
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from floe_monitor.compute import ErrorType, resource_error_in
from floe_monitor_duckdb import file_locks, storage, wal

if TYPE_CHECKING:
    from collections.abc import Callable

    from floe_monitor.compute import Deadline, MonitorResourceError
    from floe_monitor_duckdb.file_locks import Holder

LOW_SPACE = 64 * 1024 * 1024
"""Free bytes on the file system below which a warning is given: a few hundred DuckDB blocks. Below one block
nothing more gets into the database, and below the headers none is made."""

_PAUSES = (0.002, 0.005, 0.01, 0.02, 0.04)
"""Between readings of a file that looks broken: a writer may be at work on it."""
_KINDS = (
    (stat.S_ISDIR, "is a directory"),
    (stat.S_ISFIFO, "is a FIFO"),
    (stat.S_ISSOCK, "is a socket"),
    (stat.S_ISCHR, "is a device"),
    (stat.S_ISBLK, "is a device"),
)
_OPEN_ERRORS = {
    errno.EACCES: ("may not be read by this user", ErrorType.PERMISSION),
    errno.EPERM: ("may not be read by this user", ErrorType.PERMISSION),
    errno.ENOTDIR: ("cannot exist: a part of its path is no directory", ErrorType.CONFIGURATION),
    errno.ELOOP: ("cannot be found: its symlinks lead in a circle", ErrorType.CONFIGURATION),
    errno.ENAMETOOLONG: ("cannot exist: its name is too long", ErrorType.CONFIGURATION),
}


_sound_logs: dict[str, tuple[int, int, int, int]] = {}
"""Logs found sound, by their state then: a log that has not changed is not read again."""
_MAX_SOUND_LOGS = 1024


class UnusableFileError(Exception):
    """dbt could not open this file. The message follows the path and does not name it."""

    def __init__(self, message: str, error_type: ErrorType) -> None:
        super().__init__(message)
        self.error_type = error_type


@dataclass(frozen=True, slots=True)
class FileState:
    """A file that dbt can open, or could but for `holder`. `headers` is None where none could be read."""

    exists: bool = True
    headers: storage.Headers | None = None
    holder: Holder | None = None
    limitations: tuple[str, ...] = ()
    """What keeps dbt from writing, though it can open the file."""
    shortage: str = ""
    """Of room on the file system."""
    unjudged: str = ""
    """What makes it one that only a newer DuckDB than this process has could judge."""
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class _Findings:
    limitations: list[str] = field(default_factory=list)
    shortage: str = ""
    unjudged: str = ""
    warnings: list[str] = field(default_factory=list)


def local_path(path: str) -> str:
    """The path as the operating system wants it; DuckDB understands `file:`, and `~` as `$HOME` alone."""
    if path.startswith("file://"):
        path = path.removeprefix("file://").removeprefix("localhost")
    path = path.removeprefix("file:")
    return os.environ.get("HOME", "") + path.removeprefix("~") if path.startswith("~") else path


def inspect(
    configured: str,
    *,
    read_only: bool,
    check_writable: bool,
    limit: Deadline,
    sleep: Callable[[float], None] = time.sleep,
) -> FileState:
    """Look at the file as it is now; raises `UnusableFileError`, or `MonitorResourceError`.

    A file that looks broken is read again before it is called so: a writer may be at work on it.
    """
    path = local_path(configured)
    pauses = iter(_PAUSES)
    while True:
        try:
            return _inspect_once(path, read_only=read_only, check_writable=check_writable)
        except storage.StorageError as error:
            pause = next(pauses, None)
            if pause is None or limit.remaining() < 4 * pause:
                raise UnusableFileError(str(error), ErrorType.CONNECTION) from None
            sleep(pause)


def _inspect_once(path: str, *, read_only: bool, check_writable: bool) -> FileState:
    try:
        status = os.stat(path)  # noqa: PTH116 - a str in
    except FileNotFoundError:
        return _missing(path, read_only=read_only, check_writable=check_writable)
    except OSError as error:
        raise _unusable(error) from error
    for is_kind, text in _KINDS:
        if is_kind(status.st_mode):
            raise UnusableFileError(f"{text}, not a DuckDB database file", ErrorType.CONFIGURATION)
    findings = _Findings()
    if not read_only and check_writable:
        _check_writable(path, findings)
    _check_space(path, findings, read_only=read_only)
    try:
        with file_locks.reading(path, status) as descriptor:
            return _read(
                descriptor, path, read_only=read_only, check_writable=check_writable, findings=findings
            )
    except file_locks.HeldHereError:
        return _state(findings, holder=file_locks.Holder(os.getpid(), exclusive=True))
    except FileNotFoundError:
        return _missing(path, read_only=read_only, check_writable=check_writable)
    except OSError as error:
        raise _unusable(error) from error


def _read(
    descriptor: int, path: str, *, read_only: bool, check_writable: bool, findings: _Findings
) -> FileState:
    holder = _conflicting(descriptor, read_only=read_only)
    size = os.fstat(descriptor).st_size
    try:
        headers = storage.read_headers(os.pread(descriptor, storage.HEADERS_SIZE, 0), size, _readable())
        if holder is None:
            _check_catalog(descriptor, headers)
            _check_wal(path, findings, writable=not read_only and check_writable)
    except storage.StorageError as error:
        holder = holder or _conflicting(descriptor, read_only=read_only)
        if holder is None and error.fault is storage.Fault.NEWER:
            findings.unjudged = str(error)
        elif holder is None:
            raise
        return _state(findings, holder=holder)
    return _state(findings, headers=headers, holder=holder)


@functools.cache
def _readable() -> frozenset[int]:
    import duckdb  # noqa: PLC0415 - the driver is imported only when used

    return storage.readable_by(duckdb.__version__)


def _check_catalog(descriptor: int, headers: storage.Headers) -> None:
    """The blocks in which DuckDB begins to read: that of the free list and that of the catalog's root."""
    for block in {pointer.block for pointer in (headers.free_list, headers.root) if pointer is not None}:
        data = os.pread(descriptor, headers.block_size, headers.location(block))
        if len(data) < headers.block_size:
            raise storage.StorageError(
                storage.Fault.TRUNCATED, f"is truncated: its catalog lies in block {block}"
            )
        if not storage.is_intact(data):
            raise storage.StorageError(
                storage.Fault.CORRUPT, f"is corrupt: the checksum of its catalog's block {block} is wrong"
            )


def _conflicting(descriptor: int, *, read_only: bool) -> Holder | None:
    """Who would refuse dbt's open: a reader refuses only a writer."""
    holder = file_locks.holder_of(descriptor)
    return None if holder is not None and read_only and not holder.exclusive else holder


def _missing(path: str, *, read_only: bool, check_writable: bool) -> FileState:
    if read_only:
        raise UnusableFileError("does not exist, and is to be opened read-only", ErrorType.CONNECTION)
    folder = os.path.dirname(os.path.realpath(path)) or "."  # noqa: PTH120
    if not os.path.isdir(folder):  # noqa: PTH112
        link = "is a symlink into" if os.path.islink(path) else "is in"  # noqa: PTH114
        raise UnusableFileError(
            f"does not exist: it {link} a directory that does not exist", ErrorType.CONNECTION
        )
    if check_writable and not _may(folder, os.W_OK | os.X_OK):
        raise UnusableFileError(
            "does not exist, and this user may not create it: the directory is not writable",
            ErrorType.PERMISSION,
        )
    free, files = _space(folder) or (storage.HEADERS_SIZE, None)
    if files == 0 or free < storage.HEADERS_SIZE:
        raise UnusableFileError(
            "does not exist, and cannot be created: its file system is full", ErrorType.CONNECTION
        )
    return FileState(exists=False)


def _check_writable(path: str, findings: _Findings) -> None:
    if not _may(path, os.R_OK):
        raise UnusableFileError("may not be read by this user", ErrorType.PERMISSION)
    if not _may(path, os.W_OK):
        raise UnusableFileError("may not be written by this user", ErrorType.PERMISSION)
    folder = os.path.dirname(os.path.realpath(path)) or "."  # noqa: PTH120
    if not _may(folder, os.W_OK | os.X_OK):
        findings.limitations.append(
            "its directory is not writable: dbt can read, but write no log (.wal) beside it"
        )


def _check_space(path: str, findings: _Findings, *, read_only: bool) -> None:
    space = _space(path)
    if space is None:
        return
    free, files = space
    if not read_only and (files == 0 or free < storage.DEFAULT_BLOCK_SIZE):
        left = "no more files" if files == 0 else f"only {free // 1024} KiB"
        findings.shortage = f"its file system has room for {left}: dbt can read, but hardly write"
    elif free < LOW_SPACE:
        findings.warnings.append(
            f"only {free // (1024 * 1024)} MiB are free on the file system of the database"
        )


def _space(path: str) -> tuple[int, int | None] | None:
    """The bytes and the files that this user may add; the latter None where their number has no bound."""
    try:
        found = os.statvfs(path)
    except OSError:
        return None
    if not found.f_blocks:
        return None
    is_root = os.geteuid() == 0  # whom the blocks held in reserve are for
    free = (found.f_bfree if is_root else found.f_bavail) * found.f_frsize
    files = found.f_ffree if is_root else found.f_favail
    return free, files if found.f_files else None


def _check_wal(path: str, findings: _Findings, *, writable: bool) -> None:
    """DuckDB replays `<path>.wal` on opening; where it cannot read it, the open fails."""
    log = path + ".wal"
    try:
        status = os.stat(log)  # noqa: PTH116
    except OSError:
        return
    if not stat.S_ISREG(status.st_mode):
        raise UnusableFileError("has a log (.wal) that is not a file", ErrorType.CONFIGURATION)
    if not _may(log, os.R_OK):
        raise UnusableFileError("has a log (.wal) that this user may not read", ErrorType.PERMISSION)
    if writable and not _may(log, os.W_OK):
        findings.limitations.append("its log (.wal) is not writable: dbt can read, but not write")
    key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    if _sound_logs.get(log) == key:
        return
    with file_locks.reading(log, status) as descriptor:
        altered = wal.altered_at(os.pread(descriptor, wal.MAX_BYTES, 0))
    if altered is not None:
        raise storage.StorageError(
            storage.Fault.CORRUPT, f"has a corrupt log (.wal): the entry at byte {altered} was altered"
        )
    if len(_sound_logs) >= _MAX_SOUND_LOGS:
        _sound_logs.clear()
    _sound_logs[log] = key


def cannot_hold(directory: str) -> str | None:
    """Why DuckDB, which makes no more than its last part, could not keep files in it; None where it could."""
    path = local_path(directory)
    if os.path.isdir(path):  # noqa: PTH112
        return None if _may(path, os.W_OK | os.X_OK) else "may not be written by this user"
    if os.path.lexists(path):
        return "is no directory"
    parent = os.path.dirname(os.path.realpath(path)) or "."  # noqa: PTH120
    if not os.path.isdir(parent):  # noqa: PTH112
        return "cannot be made: its parent does not exist"
    return (
        None if _may(parent, os.W_OK | os.X_OK) else "cannot be made: the directory above it is not writable"
    )


def _may(path: str, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _state(
    findings: _Findings, *, headers: storage.Headers | None = None, holder: Holder | None = None
) -> FileState:
    return FileState(
        headers=headers,
        holder=holder,
        limitations=tuple(findings.limitations),
        shortage=findings.shortage,
        unjudged=findings.unjudged,
        warnings=tuple(findings.warnings),
    )


def _unusable(error: OSError) -> UnusableFileError | MonitorResourceError:
    shortage = resource_error_in(error)
    if shortage is not None:
        return shortage
    text, error_type = _OPEN_ERRORS.get(
        error.errno or 0, (f"cannot be read: {error.strerror}", ErrorType.CONNECTION)
    )
    return UnusableFileError(text, error_type)
