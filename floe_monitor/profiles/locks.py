"""Advisory locks beside a profiles.yml: of the daemon that keeps a profile, and of who writes the file now.

Both are `flock`s on hidden files of our own, never on the file itself, so that dbt is not touched. The
kernel frees them when their holder dies. A holder removes its lock file when it lets go; one left by a
killed process is taken over as it is.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import socket
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from floe_monitor.domain import forked_child
from floe_monitor.profiles.files import marked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
_POLL_SECONDS = 0.02


class HeldError(Exception):
    """Another process holds the lock. The text names it, as far as the lock file does."""


class NoLocksError(Exception):
    """No lock can be had here at all: the text says why."""


@dataclass(slots=True)
class FileLock:
    """An exclusive lock, held from `acquire` until `release` or the end of the process."""

    path: Path
    _descriptor: int | None = None

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    def acquire(self, wait: float = 0.0) -> None:
        """Raises `HeldError` where it is not free within `wait` seconds, `NoLocksError` without locks."""
        end = time.monotonic() + wait
        while self._descriptor is None:
            try:
                self._descriptor = self._attempt()
                if self._descriptor is not None:
                    # The lock is that of the open file: a copy of the process would hold it too.
                    forked_child.close_in_child(self._descriptor)
            except HeldError:
                if time.monotonic() >= end:
                    raise
                time.sleep(_POLL_SECONDS)

    def release(self) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            with suppress(OSError):
                # Only while it is still our file that stands there.
                if self._is_there(descriptor):
                    self.path.unlink()
            forked_child.release(descriptor)
            os.close(descriptor)

    def current(self) -> bool:
        """Whether it still holds the file that others would lock: it was not removed or replaced."""
        with suppress(OSError):
            return self._descriptor is not None and self._is_there(self._descriptor)
        return False

    def _is_there(self, descriptor: int) -> bool:
        return os.path.samestat(os.fstat(descriptor), self.path.stat(follow_symlinks=False))

    def holder(self) -> str | None:
        """Who holds it, or None where it is free; takes it for a moment to find out."""
        try:
            self.acquire()
        except HeldError as error:
            return str(error)
        except NoLocksError:
            return None
        self.release()
        return None

    def _attempt(self) -> int | None:
        """A locked descriptor, or None where the file was removed under us: try again."""
        descriptor = _open(self.path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not self._is_there(descriptor):
                raise FileNotFoundError  # noqa: TRY301 - the same case as a missing file
        except BlockingIOError:
            holder = _read_holder(descriptor)
            os.close(descriptor)
            raise HeldError(holder) from None
        except FileNotFoundError:
            os.close(descriptor)
            return None
        except OSError as error:
            os.close(descriptor)
            if error.errno in _NO_LOCKS:
                raise NoLocksError("this file system has no locks") from None
            raise NoLocksError(f"cannot lock: {error.strerror}") from None
        with suppress(OSError):  # read-only for us, or a full disk: the lock holds without a text
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, _describe_self(), 0)
        return descriptor


def owner_lock(real: Path, profile: str) -> FileLock:
    """Held for its life by the daemon that keeps this profile in this file."""
    readable = re.sub(r"[^A-Za-z0-9_]+", "-", profile)[:40]
    digest = hashlib.sha256(profile.encode()).hexdigest()[:8]
    return FileLock(marked(real, f"{readable}-{digest}.owner"))


@contextmanager
def writing(real: Path, wait: float) -> Iterator[bool]:
    """The right to read, change and replace the file; every profile's writer takes it in turn.

    Yields whether it is exclusive: without locks on the file system it is not. Raises `HeldError`.
    """
    lock = FileLock(marked(real, "lock"))
    try:
        lock.acquire(wait)
    except NoLocksError:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _open(path: Path) -> int:
    flags = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags | os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        with suppress(OSError):
            # Another user's lock file: enough to wait for it.
            return os.open(path, flags | os.O_RDONLY)
        raise NoLocksError(f"cannot create {path.name}: {error.strerror}") from None
    with suppress(OSError):
        if not os.fstat(descriptor).st_mode & 0o400:  # a umask under which nobody could read who holds it
            os.fchmod(descriptor, 0o644)
    return descriptor


def _describe_self() -> bytes:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}).encode()


def _read_holder(descriptor: int) -> str:
    """What the holder wrote about itself, trusted no further than its shape."""
    try:
        said = json.loads(os.pread(descriptor, 500, 0))
        pid, host, since = int(said["pid"]), str(said["host"])[:80], str(said["since"])[:40]
    except (OSError, ValueError, TypeError, KeyError):
        return "another process"
    text = f"process {pid} on {host} since {since}"
    return text if text.isprintable() else f"process {pid}"
