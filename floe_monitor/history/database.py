"""Where a history is: its address, and connections to it."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, NullPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from floe_monitor.compute.toolkit.env_references import UnresolvedError
from floe_monitor.credentials.references import Reference
from floe_monitor.history.errors import HistoryMissingError, HistoryUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine

    from floe_monitor.settings.history_models import HistoryUrl

APPLICATION_ID = 0x464C4F45
"""In the header of our files, by which they are known from anybody else's."""
AUTO_CHECKPOINT = 200
"""Pages of 4 KiB after which the write-ahead log is moved into the file: it must stay below the ballast."""
BUSY_MILLISECONDS = 5_000
CONNECT_SECONDS = 5


def resolve(url: HistoryUrl, environ: Mapping[str, str]) -> URL:
    """The address; `HistoryUnavailableError` names the variable or file that is missing, never a value."""
    text = url.plain
    if text is None:
        try:
            text = Reference(url.env, url.file).read(environ)
        except UnresolvedError as error:
            raise HistoryUnavailableError(f"its address: {error}") from None
    try:
        found = make_url(text)
    except ArgumentError:
        raise HistoryUnavailableError("history.url is no address: write sqlite:///PATH") from None
    if found.get_backend_name() != "sqlite" and "+" not in found.drivername:
        found = found.set(drivername=f"{found.drivername}+psycopg")
    return found


def file_of(url: URL) -> Path | None:
    """None for a server. `HistoryUnavailableError` for SQLite without a file, which keeps nothing."""
    if url.get_backend_name() != "sqlite":
        return None
    if not url.database or url.database == ":memory:":
        raise HistoryUnavailableError("history.url names no file: write sqlite:///PATH")
    return Path(os.path.abspath(os.path.expanduser(url.database)))  # noqa: PTH100, PTH111 - never raises


def writing(url: URL) -> Engine:
    """One connection at a time, made anew each time: nothing is kept of one that failed."""
    path = file_of(url)
    if path is None:
        return _server(url)
    engine = _engine(url.set(database=str(path)), {"timeout": BUSY_MILLISECONDS / 1000})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin where we say so, DDL included
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL").close()  # before all, or it has no effect
        if connection.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}").close()
        for statement in (
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",  # a batch that was told to be written survives a power cut
            f"PRAGMA wal_autocheckpoint = {AUTO_CHECKPOINT}",
            "PRAGMA journal_size_limit = 1048576",
            "PRAGMA trusted_schema = OFF",
        ):
            connection.execute(statement).close()

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def reading(url: URL, seconds: float | None = None) -> Engine:
    """Beside a daemon that writes or without one. What takes longer than `seconds` is broken off by the
    database."""
    path = file_of(url)
    if path is None:
        return _server(
            url, {} if seconds is None else {"options": f"-c statement_timeout={seconds * 1000:.0f}"}
        )
    try:
        found = path.is_file()
    except OSError as error:  # what leads there may be closed to this user
        raise HistoryUnavailableError(f"{path}: {error.strerror}") from None
    if not found:
        raise HistoryMissingError(f"{path}: there is no history yet: the daemon makes it")
    # Without a writer a reader needs to make the index of the log, unless it is told that nobody writes.
    alone = not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists()
    query = {"uri": "true", **({"immutable": "1"} if alone else {"mode": "ro"})}
    opened = URL.create("sqlite", database=path.as_uri().replace("file://", "file:"), query=query)
    engine = _engine(opened, {"timeout": min(BUSY_MILLISECONDS / 1000, seconds or math.inf)})
    if seconds is not None:
        _break_off(engine, seconds)
    return engine


def _break_off(engine: Engine, seconds: float) -> None:
    """SQLite asks whether to go on every few thousand steps: a tenth of a millisecond."""

    @event.listens_for(engine, "connect")
    def bound(connection: Any, _record: Any) -> None:
        until = time.monotonic() + seconds
        connection.set_progress_handler(lambda: time.monotonic() > until, 10_000)


def _server(url: URL, more: Mapping[str, Any] = MappingProxyType({})) -> Engine:
    named = {"connect_timeout": CONNECT_SECONDS, "application_name": "floe-monitor history"}
    return _engine(url, {**named, **more})


def _engine(url: URL, arguments: dict[str, Any]) -> Engine:
    try:
        return create_engine(url, poolclass=NullPool, connect_args=arguments)
    except (ImportError, NoSuchModuleError) as error:
        missing = getattr(error, "name", None) or url.drivername
        raise HistoryUnavailableError(
            f"{missing} is not installed, which history.url needs: install psycopg[binary] for a server"
        ) from None


def describe(error: DBAPIError | OSError) -> str:
    """What the database says, without the statement and its values."""
    said = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    if said == "interrupted":  # by `_break_off`
        return "it takes longer than there is time for"
    return " ".join(said.split())[:300]
