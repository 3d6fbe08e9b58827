"""What notifications keep in a history's server: of several monitors one sends, and knows what was told.

Who holds the lock of its group sends. The lock is of the session: it ends with the process, or with the
connection. Every call has a deadline, for a server may freeze: it is then abandoned with its connection. The
table is made where it is used and has no versions: its rows are JSON, of which each program reads what it
knows.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from floe_monitor.compute.errors import MonitorResourceError
from floe_monitor.compute.toolkit.worker_thread import WorkerThread
from floe_monitor.domain.stores import StoreError, StoreTakenError
from floe_monitor.history.database import describe, resolve, writing
from floe_monitor.history.errors import HistoryUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from sqlalchemy import Connection, Engine

    from floe_monitor.settings.history_models import HistoryUrl

CALL_SECONDS = 8.0
_T = TypeVar("_T")
_CREATE = """
CREATE TABLE IF NOT EXISTS notification_rows (
    monitors TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (monitors, key)
)"""
_UPSERT = """
INSERT INTO notification_rows (monitors, key, body) VALUES (:monitors, :key, :body)
ON CONFLICT (monitors, key) DO UPDATE SET body = excluded.body"""


class NotificationStore:
    """A `Store`."""

    settling = 15.0
    """More than the pause between two checks and a call's deadline: the former sender has noticed."""
    patience = 60.0

    def __init__(self, url: HistoryUrl, group: str, environ: Mapping[str, str]) -> None:
        self._url, self._group, self._environ = url, group, environ
        self.name = f"group {group} of the history's server"
        self._engine: Engine | None = None
        self._connection: Connection | None = None
        self._worker: WorkerThread | None = None

    def open(self) -> dict[str, Any]:
        return self._bounded(self._open)

    def check(self) -> None:
        self._bounded(lambda: self._transaction(lambda connection: connection.execute(text("SELECT 1"))))

    def write(self, put: Mapping[str, Any], gone: Collection[str]) -> None:
        self._bounded(lambda: self._transaction(lambda connection: self._write(connection, put, gone)))

    def replace(self, rows: Mapping[str, Any]) -> None:
        def everything(connection: Connection) -> None:
            connection.execute(
                text("DELETE FROM notification_rows WHERE monitors = :monitors"), {"monitors": self._group}
            )
            self._write(connection, rows, ())

        self._bounded(lambda: self._transaction(everything))

    def close(self) -> None:
        """The socket is shut down first: closing a connection to a frozen server would wait for it."""
        connection, self._connection = self._connection, None
        engine, self._engine = self._engine, None
        if connection is not None:
            _shut_down(connection)
        if self._worker is not None:
            worker, self._worker = self._worker, None
            worker.submit(lambda: _let_go(connection, engine))
            worker.end()

    # ------------------------------------------------------------ the worker's thread

    def _open(self) -> dict[str, Any]:
        url = resolve(self._url, self._environ)
        engine = self._engine = writing(url)
        connection = self._connection = engine.connect()
        digest = hashlib.blake2b(f"floe-monitor notifications\0{self._group}".encode(), digest_size=8)
        number = int.from_bytes(digest.digest(), "big", signed=True)
        with connection.begin():
            got = connection.execute(
                text("SELECT pg_try_advisory_lock(:number)"), {"number": number}
            ).scalar()
        if not got:
            raise StoreTakenError(f"it has the lock of {self.name}")
        with connection.begin():
            # A sender that is cut off is to lose the lock soon, and not after the system's hours.
            for setting, value in (("tcp_keepalives_idle", 5), ("tcp_keepalives_interval", 2)):
                connection.execute(text(f"SET {setting} = {value}"))
            connection.execute(text("SET tcp_keepalives_count = 3"))
            connection.execute(text(_CREATE))
            rows = connection.execute(
                text("SELECT key, body FROM notification_rows WHERE monitors = :monitors ORDER BY key"),
                {"monitors": self._group},
            )
            found = {}
            for key, body in rows:
                with contextlib.suppress(ValueError, RecursionError):  # told again, rather than never
                    found[key] = json.loads(body)
        return found

    def _transaction(self, work: Callable[[Connection], object]) -> None:
        connection = self._connection
        if connection is None:
            raise StoreError(f"{self.name}: is not open")
        with connection.begin():
            work(connection)

    def _write(self, connection: Connection, put: Mapping[str, Any], gone: Collection[str]) -> None:
        if gone:
            connection.execute(
                text("DELETE FROM notification_rows WHERE monitors = :monitors AND key = :key"),
                [{"monitors": self._group, "key": key} for key in gone],
            )
        if put:
            connection.execute(
                text(_UPSERT),
                [
                    {"monitors": self._group, "key": key, "body": json.dumps(body, separators=(",", ":"))}
                    for key, body in put.items()
                ],
            )

    def _bounded(self, work: Callable[[], _T]) -> _T:
        try:
            self._worker = self._worker or WorkerThread("notification-store", "the history's server")
        except MonitorResourceError as error:
            raise StoreError(str(error)) from None
        call = self._worker.submit(work)
        if not call.done.wait(CALL_SECONDS):
            raise StoreError(f"{self.name}: no answer within {CALL_SECONDS:g} s")
        try:
            return call.get()
        except StoreError:
            raise
        except HistoryUnavailableError as error:
            raise StoreError(f"{self.name}: {error}") from None
        except DBAPIError as error:
            raise StoreError(f"{self.name}: {self._describe(error)}") from None
        except Exception as error:  # noqa: BLE001 - what a driver raises besides; its text may quote an address
            raise StoreError(f"{self.name}: {type(error).__name__}") from None

    def _describe(self, error: DBAPIError) -> str:
        text = describe(error)
        password = None if self._engine is None else self._engine.url.password
        return text.replace(str(password), "***") if password else text


def _shut_down(connection: Connection) -> None:
    with contextlib.suppress(Exception):  # it may have ended by itself, in whatever way its driver has
        driver: Any = connection.connection.driver_connection
        with socket.socket(fileno=os.dup(driver.fileno())) as double:
            double.shutdown(socket.SHUT_RDWR)


def _let_go(connection: Connection | None, engine: Engine | None) -> None:
    with contextlib.suppress(Exception):  # nothing is expected of it any more
        if connection is not None:
            connection.invalidate()
            connection.close()
    if engine is not None:
        engine.dispose()
