"""A validation's time limit on DuckDB: nothing begins after it, and what runs then is interrupted."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from floe_monitor.compute import ComputeTimeoutError, MonitorResourceError, deadline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duckdb import DuckDBPyConnection

    from floe_monitor.compute import Deadline


def require_time(limit: Deadline | None = None) -> None:
    """Raise `ComputeTimeoutError` where `limit`, or else the validation's deadline, has passed."""
    if deadline.remaining() <= 0 if limit is None else limit.expired:
        raise ComputeTimeoutError("no time left before this step")


@contextmanager
def interrupted_at(limit: Deadline, connection: DuckDBPyConnection) -> Iterator[None]:
    """Interrupt what runs on the connection at `limit`: CPU work heeds it, HTTP waits do not."""
    timer = threading.Timer(limit.remaining(), connection.interrupt)
    timer.name = "floe-duckdb-interrupt"
    timer.daemon = True
    try:
        timer.start()
    except RuntimeError as error:
        raise MonitorResourceError("the monitor can start no more threads") from error
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
