"""A session in the native protocol, over a connection on which no wait outlives the deadline.

Not by dbt's driver: no option of it ends a wait for an answer that comes in drips.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from floe_monitor_clickhouse import native_protocol
from floe_monitor_clickhouse.errors import ServerError, translated
from floe_monitor_clickhouse.native_protocol import PacketReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from floe_monitor.compute import Deadline
    from floe_monitor.compute.toolkit.bounded_socket import BoundedSocket
    from floe_monitor.compute.toolkit.endpoints import Endpoint

CLIENT = "ClickHouse floe-monitor"


class NativeSession:
    """Not for two threads at once."""

    def __init__(self, connection: BoundedSocket) -> None:
        self._connection = connection
        self._reader = PacketReader(connection.makefile())
        self._revision = 0
        self.version = ""
        self.usable = True

    def log_in(self, user: str, password: str) -> None:
        """In the user's own database, as dbt's driver does at first: the target's may be missing."""
        self._connection.waits_for = "the server's Hello, which an HTTP port never sends"
        with self._exchange():
            self._connection.sendall(native_protocol.hello(CLIENT, "", user, password))
            greeting = self._reader.hello()
        self.version, self._revision = greeting.version, greeting.revision

    def run(
        self, sql: str, settings: Mapping[str, str] | None = None, waits_for: str = ""
    ) -> list[list[str]]:
        """The rows, whose columns are text or integers. Raises `ServerError` for the server's refusal."""
        self._connection.waits_for = waits_for or "the answer to a statement"
        with self._exchange():
            self._connection.sendall(native_protocol.query(sql, settings or {}, CLIENT, self._revision))
            return self._reader.answer(self._revision)

    @contextmanager
    def _exchange(self) -> Iterator[None]:
        """Afterwards it is of use only where an answer was read to its end, be it a refusal."""
        before, self.usable = self.usable, False
        try:
            with translated():
                yield
        except ServerError:
            self.usable = before
            raise
        self.usable = before

    # ------------------------------------------------------------ between validations

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        return self._connection.endpoints

    def prove(self, proving: Deadline, deadline: Deadline) -> bool:
        """Whether the server still answers to this login's connection."""
        self._connection.renew(proving)
        self._connection.waits_for = "the answer to a ping"
        with self._exchange():
            self._connection.sendall(native_protocol.varint(native_protocol.PING))
            alive = self._reader.packet("Pong") == native_protocol.S_PONG
        self._connection.deadline = deadline
        return alive

    def rest(self) -> bool:
        """Settings go along with each statement: there is nothing to bring back."""
        return self.usable

    def close(self) -> None:
        self.usable = False
        self._connection.close()
