"""A store in a SQLite file of its own: a history that is set aside or full takes no message with it."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from typing import TYPE_CHECKING, Any

from floe_monitor.domain.stores import StoreError, StoreTakenError
from floe_monitor.domain.writer_lock import WriterLock

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

APPLICATION_ID = 0x464C4F4E
BUSY_SECONDS = 5.0
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class OutboxFile:
    """A `Store`. With a rollback journal, so that the file alone is all there is.

    Its lock is the system's, which knows at each moment who has it.
    """

    settling = patience = 0.0

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)
        self._lock = WriterLock(path)
        self._connection: sqlite3.Connection | None = None
        self._inode: tuple[int, int] | None = None

    def open(self) -> dict[str, Any]:
        with self._store_errors():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not self._lock.take():
                raise StoreTakenError(f"{self.path}: another floe-monitor has it, and sends")
            self._refuse_foreign()
            try:
                return self._opened()
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
                    raise
            self._disconnect()
            os.replace(self.path, self.path.with_name(f"{self.path.name}.corrupt"))  # noqa: PTH105 - as below
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self.path}-journal")  # noqa: PTH108 - as above
            return self._opened()

    def check(self) -> None:
        with self._store_errors():
            self._refuse_replaced()

    def write(self, put: Mapping[str, Any], gone: Collection[str]) -> None:
        with self._store_errors(), self._transaction() as connection:
            connection.executemany("DELETE FROM rows WHERE key = ?", [(key,) for key in gone])
            self._put(connection, put)

    def replace(self, rows: Mapping[str, Any]) -> None:
        with self._store_errors(), self._transaction() as connection:
            connection.execute("DELETE FROM rows")
            self._put(connection, rows)

    def close(self) -> None:
        self._disconnect()
        self._lock.give_up()

    def _opened(self) -> dict[str, Any]:
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = self._connection = sqlite3.connect(
            self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS rows (key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID"
        )
        found = {}
        for key, body in connection.execute("SELECT key, body FROM rows ORDER BY key"):
            with contextlib.suppress(ValueError, RecursionError):  # told again, rather than never
                found[key] = json.loads(body)
        state = self.path.stat()
        self._inode = state.st_dev, state.st_ino
        return found

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection
        if connection is None:
            raise StoreError(f"{self.path}: is not open")
        self._refuse_replaced()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # a full disk has ended the transaction already
                connection.execute("ROLLBACK")
            raise

    def _refuse_replaced(self) -> None:
        """What is written to a deleted file nobody reads."""
        state = self.path.stat()
        if (state.st_dev, state.st_ino) != self._inode:
            raise StoreError(f"{self.path}: was replaced while it was written; it is written anew")

    def _put(self, connection: sqlite3.Connection, rows: Mapping[str, Any]) -> None:
        connection.executemany(
            "INSERT INTO rows (key, body) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET body = excluded.body",
            [(key, json.dumps(body, separators=(",", ":"))) for key, body in rows.items()],
        )

    @contextlib.contextmanager
    def _store_errors(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise StoreError(f"{self.path}: was deleted while it was written; it is written anew") from None
        except OSError as error:
            raise StoreError(f"{error.filename or self.path}: {error.strerror}") from None
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {error}") from None

    def _refuse_foreign(self) -> None:
        try:
            with self.path.open("rb") as opened:
                head = opened.read(100)
        except FileNotFoundError:
            return
        ours = int.from_bytes(head[68:72], "big") == APPLICATION_ID
        if head and not ours and head.strip(b"\0"):
            raise StoreError(
                f"{self.path}: is no outbox of floe-monitor, and is left as it is: "
                "give notifications.outbox another name"
            )

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()
