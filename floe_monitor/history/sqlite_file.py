"""The file of an embedded history: who may write it, what stands in it, and room for it on a full disk."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from typing import TYPE_CHECKING, Literal

from floe_monitor.domain.writer_lock import WriterLock
from floe_monitor.history.database import APPLICATION_ID
from floe_monitor.history.errors import HistoryCorruptError, HistoryUnavailableError

if TYPE_CHECKING:
    from pathlib import Path

BALLAST_BYTES = 4 * 1024 * 1024
"""Kept beside the file and given up on a full disk: deleting takes room too, as much as the write-ahead log
may grow to. Four times what that is."""
_HEADER = b"SQLite format 3\0"


class SqliteFile:
    """For one thread. Everything raises `HistoryUnavailableError` with what to do about it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = WriterLock(path)
        self._inode: tuple[int, int] | None = None

    def acquire(self) -> None:
        """Make the directory, and be the only process that writes; refuses a file that is not ours."""
        folder = self.path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            whose = self._owner()
            if whose == "another's":
                raise HistoryUnavailableError(
                    f"{self.path}: is no history of floe-monitor, and is left as it is: "
                    "give history.url another name"
                )
            if not self._lock.take():
                raise HistoryUnavailableError(
                    f"{self.path}: another floe-monitor writes it: give each its own file, or all a server"
                )
            if whose == "nobody's":
                os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            if whose == "damaged":
                raise HistoryCorruptError(f"{self.path}: its beginning is damaged")
        except OSError as error:
            raise HistoryUnavailableError(f"{error.filename or folder}: {error.strerror}") from None

    def opened(self) -> None:
        """After the database was opened: remembers which file it is, and keeps room for a full disk."""
        found = self.path.stat()
        self._inode = found.st_dev, found.st_ino
        self.restore_ballast()

    def is_still_there(self) -> bool:
        """A file that was deleted takes what is written, and nobody will ever read it."""
        try:
            found = self.path.stat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._inode

    def check(self) -> None:
        """Every page is read: the database itself notices a bad one only when it comes upon it."""
        try:
            with contextlib.closing(sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True)) as connection:
                (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            if is_corrupt(error):
                raise HistoryCorruptError(f"{self.path}: {error}") from None
            raise
        if found != "ok":
            raise HistoryCorruptError(f"{self.path}: {' '.join(str(found).split())[:200]}")

    def set_aside(self) -> Path:
        """A damaged file is kept under another name, the last one only, and a new one begun."""
        aside = self.path.with_name(f"{self.path.name}.corrupt")
        for suffix in ("", "-wal", "-shm"):
            source = self.path.with_name(self.path.name + suffix)
            with contextlib.suppress(FileNotFoundError):
                os.replace(source, aside.with_name(aside.name + suffix))  # noqa: PTH105 - as its neighbours
        return aside

    def give_up_ballast(self) -> None:
        with contextlib.suppress(OSError):
            self._ballast.unlink()

    def restore_ballast(self) -> None:
        """Where there is room for it and as much again."""
        try:
            if self._ballast.stat().st_size == BALLAST_BYTES:
                return
        except OSError:
            pass
        space = os.statvfs(self.path.parent)
        if space.f_bavail * space.f_frsize < 2 * BALLAST_BYTES:
            return
        try:
            descriptor = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, BALLAST_BYTES)
            finally:
                os.close(descriptor)
        except OSError:
            self.give_up_ballast()

    def close(self) -> None:
        self._lock.give_up()

    @property
    def _ballast(self) -> Path:
        return self.path.with_name(f"{self.path.name}.ballast")

    def _owner(self) -> Literal["ours", "another's", "damaged", "nobody's"]:
        """By the header: nothing is ever written to what is no history, whatever `history.url` says."""
        try:
            with self.path.open("rb") as opened:
                head = opened.read(100)
        except FileNotFoundError:
            return "nobody's"
        if not head:
            return "ours"
        ours = int.from_bytes(head[68:72], "big") == APPLICATION_ID
        if head.startswith(_HEADER):
            return "ours" if ours else "another's"
        return "damaged" if ours or not head.strip(b"\0") else "another's"


def is_corrupt(error: BaseException | None) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_full(error: BaseException | None) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
