"""One session through Snowflake's own driver, every call of it bounded by the deadline of a validation."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import snowflake.connector
import snowflake.connector.aio  # the driver loads it at its first login

from floe_monitor_snowflake.errors import shortage_in
from floe_monitor_snowflake.identifiers import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from floe_monitor.compute import Deadline
    from floe_monitor.compute.toolkit.driver_thread import DriverThread, DriverThreads
    from floe_monitor.compute.toolkit.endpoints import Endpoint

_T = TypeVar("_T")
Rows = list[dict[str, Any]]
CONTEXT_QUERY = "SELECT CURRENT_ROLE(), CURRENT_WAREHOUSE(), CURRENT_SECONDARY_ROLES()"


class Context(NamedTuple):
    """A session's state; `secondary` is whether any secondary role is active."""

    role: str
    warehouse: str
    secondary: bool


class Session:
    """Logged in. Its statements run on a driver thread, one for each validation that uses it."""

    def __init__(
        self, connection: Any, threads: DriverThreads, thread: DriverThread, endpoint: Endpoint
    ) -> None:
        """`endpoint` is the address that answered first: the driver tries the same ones in the same order."""
        self.endpoints = (endpoint,)
        self._connection = connection
        self._threads = threads
        self._thread: DriverThread | None = thread
        self._context: Context | None = None
        self._warehouse = ""
        self._unchanged = True

    @classmethod
    def open(
        cls, arguments: Mapping[str, Any], threads: DriverThreads, deadline: Deadline, endpoint: Endpoint
    ) -> Session:
        """Log in. Raises the driver's errors, and `ComputeTimeoutError` at the deadline."""
        opened: list[Any] = []

        def login() -> Any:
            opened.append(snowflake.connector.connect(**arguments))
            return opened[0]

        thread = threads.start(deadline)
        try:
            return cls(_call(thread, login, "the login"), threads, thread, endpoint)
        except BaseException:
            # The abandoned login may yet succeed: its session is closed then.
            thread.end(lambda: [connection.close(retry=False) for connection in opened])
            raise

    def run(self, sql: str, waiting_for: str, *, by_position: bool = False) -> Rows:
        """Rows by the columns' names in lower case, or by their numbers."""

        def execute() -> Rows:
            with self._connection.cursor() as cursor:
                cursor.execute(sql)
                columns = list(cursor.description or [])
                names = [
                    str(position) if by_position else str(column[0]).lower()
                    for position, column in enumerate(columns)
                ]
                return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

        assert self._thread is not None  # noqa: S101 - it has one from `open` or `prove` until `rest`
        return _call(self._thread, execute, waiting_for)

    # ------------------------------------------------------------ its state

    def read_context(self) -> Context:
        """Its role and so on, asked anew; the first answer is the state that a login leaves."""
        rows = self.run(CONTEXT_QUERY, "the query", by_position=True)
        role, warehouse, secondary = rows[0].values()
        found = Context(str(role or ""), str(warehouse or ""), _any_active(secondary))
        if self._context is None:
            self._context = found
            self._warehouse = found.warehouse
        return found

    def use_warehouse(self, name: str) -> None:
        self.run(f"USE WAREHOUSE {quoted(name)}", f"warehouse {name!r}")
        self._warehouse = name

    @contextmanager
    def primary_role_alone(self) -> Iterator[None]:
        self._unchanged = False
        self.run("USE SECONDARY ROLES NONE", "the change of roles")
        yield
        self.run("USE SECONDARY ROLES ALL", "the change of roles")
        self._unchanged = True

    # ------------------------------------------------------------ between validations

    @property
    def usable(self) -> bool:
        """False while its state is another than a login leaves, and once that cannot be brought back."""
        return self._unchanged

    def prove(self, proving: Deadline, deadline: Deadline) -> bool:
        """Whether it still answers, on a thread of its own, and is in the state in which `rest` left it."""
        try:
            self._thread = self._threads.start(proving)
            unchanged = self.read_context() == self._context
        except BaseException:  # noqa: BLE001 - a new login reports it; drivers panic
            return False
        self._thread.deadline = deadline
        return unchanged

    def rest(self) -> bool:
        """Bring back the state that the login left; False where the session is no more to be used."""
        if not self._unchanged or self._context is None:
            return False
        try:
            if self._context.warehouse:
                if self._warehouse != self._context.warehouse:
                    self.use_warehouse(self._context.warehouse)
            else:
                # No statement takes a warehouse away again; none of a probe's starts it.
                self._context = self._context._replace(warehouse=self._warehouse)
        except Exception:  # noqa: BLE001 - the verdict stands
            return False
        if self._thread is not None:
            self._thread.end()
            self._thread = None
        return True

    def close(self) -> None:
        """Log out, for as long as the deadline of the thread leaves time; the thread does it alone otherwise.

        Between validations there is no thread, and the caller waits; the driver allows itself a second.
        """
        self._unchanged = False
        thread, self._thread = self._thread, None
        if thread is None:
            self._log_out()
        else:
            thread.end(self._log_out)

    def _log_out(self) -> None:
        self._connection.close(retry=False)


def _call(thread: DriverThread, function: Callable[[], _T], waiting_for: str) -> _T:
    try:
        return thread.call(function, waiting_for)
    except Exception as error:
        if (shortage := shortage_in(error)) is not None:
            raise shortage from error
        raise


def _any_active(secondary: Any) -> bool:
    """Whether CURRENT_SECONDARY_ROLES() names any."""
    try:
        found = json.loads(secondary or "{}")
    except ValueError:
        return True
    return bool(isinstance(found, dict) and (found.get("value") or found.get("roles")))
