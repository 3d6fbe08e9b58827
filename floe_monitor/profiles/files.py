"""Reading and replacing a file so that no reader ever sees half of it.

The new content is written to a temporary file beside the old one, made durable, and renamed over it. All
functions block, for as long as the file system likes: call them from a thread that may hang.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 4 << 20
_MARK = "floe-monitor"


class FileError(Exception):
    """The file cannot be read or replaced. The message is for the operator."""


class ChangedMeanwhileError(Exception):
    """Another process wrote the file after it was read: read it again."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A file as it was read. `real` is where its symbolic links lead; `data` is None where there is none."""

    real: Path
    data: bytes | None
    status: os.stat_result | None

    @property
    def identity(self) -> tuple[int, ...] | None:
        return _identity(self.status)


def real_path(path: str) -> Path:
    """Where a configured path leads, `~` and symbolic links followed."""
    return Path(os.path.realpath(Path(path).expanduser()))


def marked(real: Path, what: str) -> Path:
    """A hidden file of the monitor's own beside `real`."""
    return real.with_name(f".{real.name}.{_MARK}.{what}")


def read(path: str) -> Snapshot:
    return read_at(real_path(path))


def read_at(real: Path) -> Snapshot:
    """The file of that very name: a symbolic link there is refused."""
    try:
        # O_NONBLOCK: opening a FIFO must not wait for its writer.
        descriptor = os.open(real, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except FileNotFoundError:
        return Snapshot(real, None, None)
    except OSError as error:
        raise FileError(f"cannot read it: {explain(error)}") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise FileError("it is not a regular file")
        if status.st_size > MAX_BYTES:
            raise FileError(f"it is larger than {MAX_BYTES} bytes")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return Snapshot(real, file.read(MAX_BYTES), status)
    except OSError as error:
        raise FileError(f"cannot read it: {explain(error)}") from None
    finally:
        os.close(descriptor)


def make_directory(path: str) -> None:
    """Create what is missing above a configured path, for the owner alone. A dangling link stays dangling."""
    missing = []
    try:
        directory = Path(path).expanduser().absolute().parent
        while not directory.exists() and not directory.is_symlink():
            missing.append(directory)
            directory = directory.parent
        for each in reversed(missing):
            with suppress(FileExistsError):
                each.mkdir(mode=0o700)
                each.chmod(0o700)  # whatever umask there is
    except OSError as error:
        raise FileError(f"cannot create its directory: {explain(error)}") from None


def replace(before: Snapshot, data: bytes) -> None:
    """Put `data` in the file's place, keeping its mode and, where permitted, its owner; 0600 when new.

    Raises `ChangedMeanwhileError` where the file is not the one that was read, and `FileError` where it
    cannot be replaced whole; it is then as before.
    """
    real = before.real
    with staged(before, data, "cannot replace it") as temporary:
        if _identity(_stat(real)) != before.identity:
            raise ChangedMeanwhileError
        temporary.rename(real)
    _sync_directory(real.parent)


@contextmanager
def staged(beside: Snapshot, data: bytes, failing: str) -> Iterator[Path]:
    """A temporary file that holds `data` durably, with the owner, mode and attributes of `beside`.

    Rename it, or it is removed. An `OSError` of the making or of the body becomes a `FileError` that begins
    with `failing`.
    """
    real = beside.real
    temporary = marked(real, f"{os.getpid()}-{secrets.token_hex(4)}.tmp")
    with _explained(failing), _removed_at_the_end(temporary):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            if beside.status is None:
                os.fchmod(file.fileno(), 0o600)  # whatever umask there is
            else:
                _dress_like(file.fileno(), real, beside.status)
            os.fsync(file.fileno())
        yield temporary


def put(temporary: Path, path: Path) -> None:
    """Rename what was staged over `path`, durably."""
    temporary.rename(path)
    _sync_directory(path.parent)


def put_new(temporary: Path, path: Path) -> None:
    """Rename what was staged to `path`, durably. Raises `FileExistsError` where something stands there."""
    # The name is reserved first: a rename alone would replace, and not every file system has hard links.
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    try:
        put(temporary, path)
    except OSError:
        with suppress(OSError):
            path.unlink()
        raise


def opener_than(path: Path, other: Snapshot) -> bool:
    """Whether a user may read `path` who may not read the other file."""
    status = _stat(path)
    if status is None or other.status is None:
        return False
    return bool(stat.S_IMODE(status.st_mode) & ~stat.S_IMODE(other.status.st_mode) & 0o444)


def sweep(real: Path) -> None:
    """Remove what killed writers left. Only under the write lock, where no other writer can be at work."""
    prefix, suffix = f".{real.name}.{_MARK}.", ".tmp"
    with suppress(OSError), os.scandir(real.parent) as entries:
        for entry in entries:
            if entry.name.startswith(prefix) and entry.name.endswith(suffix):
                with suppress(OSError):
                    Path(entry.path).unlink()


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None


def _identity(status: os.stat_result | None) -> tuple[int, ...] | None:
    if status is None:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _dress_like(descriptor: int, real: Path, status: os.stat_result) -> None:
    """Owner, mode and extended attributes (access lists among them) of another file."""
    try:
        os.fchown(descriptor, status.st_uid, status.st_gid)
    except OSError:
        with suppress(OSError):
            os.fchown(descriptor, -1, status.st_gid)
    mode = stat.S_IMODE(status.st_mode)
    if os.fstat(descriptor).st_gid != status.st_gid:
        # The group's rights were given to another group: leave ours only what everybody has.
        mode = (mode & ~0o070) | ((mode & 0o007) << 3)
    os.fchmod(descriptor, mode)
    if hasattr(os, "listxattr"):
        with suppress(OSError):
            for name in os.listxattr(real):
                with suppress(OSError):
                    os.setxattr(descriptor, name, os.getxattr(real, name))


def _sync_directory(directory: Path) -> None:
    with suppress(OSError):  # the rename is done; not every file system can sync a directory
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _removed_at_the_end(temporary: Path) -> Iterator[None]:
    try:
        yield
    finally:  # once it is renamed there is nothing to remove
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def _explained(failing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileError(f"{failing}: {explain(error)}") from None


_REASONS = {
    errno.EROFS: "the file system is read-only",
    errno.EBUSY: "it is mounted as a single file (a bind mount or subPath); mount its directory instead",
    errno.EXDEV: "it is mounted as a single file (a bind mount or subPath); mount its directory instead",
    errno.ENOSPC: "no space is left",
    errno.EDQUOT: "the quota is used up",
    errno.EFBIG: "the file size limit is reached",
    errno.EACCES: "permission denied",
    errno.EPERM: "the operation is not permitted",
    errno.ENOENT: "its directory does not exist",
    errno.ENOTDIR: "a part of its path is not a directory",
    errno.ELOOP: "its symbolic links lead in a circle",
    errno.EISDIR: "it is a directory",
}


def explain(error: OSError) -> str:
    """The reason without the path, in the words of what an operator can do about it."""
    return _REASONS.get(error.errno or 0) or (error.strerror or type(error).__name__)
