"""Connecting to the first address that answers, by one rule for those before it that do not.

A name has several addresses, and dbt's driver tries them in the system's order. So does `dial`, and each gets
its share of the time. What an address costs that fails before another one answers depends on how it fails:
one that refuses costs dbt nothing, and one that stays silent costs every connection as long as the driver
waits there: `driver_gives_up`. A driver without a bound of its own waits for the system's, minutes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, overload

from floe_monitor.compute.deadline import Deadline
from floe_monitor.compute.errors import ComputeConnectionError, ComputeTimeoutError
from floe_monitor.compute.evidence import note_server
from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
from floe_monitor.compute.toolkit.bounded_socket import BoundedSocket
from floe_monitor.compute.toolkit.endpoints import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Connection(Protocol):
    """What dialling makes."""

    deadline: Deadline
    """Replaced, once the connection is the one to be used, with the deadline of the whole."""

    def close(self) -> None:
        """At once; must not wait."""


_C = TypeVar("_C", bound=Connection)


@dataclass(frozen=True, slots=True)
class Dialled(Generic[_C]):
    """`warnings` name the addresses that failed before this one, and what they cost dbt."""

    connection: _C
    endpoint: Endpoint
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Failure:
    error: Exception
    endpoint: Endpoint | None = None
    """None where the name service failed."""

    @property
    def silent(self) -> bool:
        return isinstance(self.error, ComputeTimeoutError)

    @property
    def text(self) -> str:
        return str(self.error) if self.endpoint is None else f"{self.endpoint}: {self.error}"


def open_socket(endpoint: Endpoint, deadline: Deadline) -> BoundedSocket:
    return BoundedSocket(endpoint.address, endpoint.port, deadline, host=endpoint.host)


@overload
def dial(
    host: str,
    port: int,
    calls: BlockingCalls,
    deadline: Deadline,
    *,
    driver_gives_up: float | None = ...,
) -> Dialled[BoundedSocket]: ...
@overload
def dial(
    host: str,
    port: int,
    calls: BlockingCalls,
    deadline: Deadline,
    connect: Callable[[Endpoint, Deadline], _C],
    *,
    driver_gives_up: float | None = ...,
    failures: tuple[type[Exception], ...] = ...,
) -> Dialled[_C]: ...
def dial(
    host: str,
    port: int,
    calls: BlockingCalls,
    deadline: Deadline,
    connect: Callable[[Endpoint, Deadline], Any] = open_socket,
    *,
    driver_gives_up: float | None = None,
    failures: tuple[type[Exception], ...] = (),
) -> Dialled[Any]:
    """As `dial_hosts`, for one host."""
    return dial_hosts(
        [(host, port)], calls, deadline, connect, driver_gives_up=driver_gives_up, failures=failures
    )


def dial_hosts(
    hosts: Sequence[tuple[str, int]],
    calls: BlockingCalls,
    deadline: Deadline,
    connect: Callable[[Endpoint, Deadline], _C],
    *,
    driver_gives_up: float | None = None,
    failures: tuple[type[Exception], ...] = (),
) -> Dialled[_C]:
    """Connect to the first address, over all `hosts` in their order, that answers.

    `connect` gets no farther than a driver does before it would try the next address, which is TCP, and
    leaves nothing open when it raises. `ComputeTimeoutError` is silence, `ComputeConnectionError` and the
    exceptions of `failures` are refusals, and whatever else it raises ends the dialling. A host that begins
    with `/` or `@` is the path of a Unix socket. `driver_gives_up` is the number of seconds after which dbt's
    driver leaves a silent address for the next, None where it has no bound of its own.

    Raises `ComputeTimeoutError` or `ComputeConnectionError` that names every address and its reason; where
    there was one failure alone that came from `failures`, that exception itself.
    """
    return _Dialling(hosts, calls, deadline, connect, driver_gives_up, failures).run()


class _Dialling(Generic[_C]):
    def __init__(
        self,
        hosts: Sequence[tuple[str, int]],
        calls: BlockingCalls,
        deadline: Deadline,
        connect: Callable[[Endpoint, Deadline], _C],
        driver_gives_up: float | None,
        failures: tuple[type[Exception], ...],
    ) -> None:
        self._hosts, self._calls, self._deadline = hosts, calls, deadline
        self._connect, self._driver_gives_up = connect, driver_gives_up
        self._expected: tuple[type[Exception], ...] = (ComputeTimeoutError, ComputeConnectionError, *failures)
        self._failed: list[_Failure] = []

    def run(self) -> Dialled[_C]:
        first = self._hosts[0][0] if self._hosts else ""
        note_server(first)
        endpoints = self._look_up()
        for position, endpoint in enumerate(endpoints):
            connection = self._try(endpoint, 1 / (len(endpoints) - position))
            if connection is not None:
                dialled = self._settled(connection, endpoint)
                note_server(dialled.endpoint.host, instead_of=first)
                return dialled
        raise self._together()

    def _look_up(self) -> list[Endpoint]:
        found: list[Endpoint] = []
        for position, (host, port) in enumerate(self._hosts):
            if host.startswith(("/", "@")):
                found.append(Endpoint(host, host, port))
                continue
            try:
                share = self._deadline.remaining() / (len(self._hosts) - position)
                addresses = self._calls.resolve(host, share)
            except (ComputeTimeoutError, ComputeConnectionError) as error:
                self._failed.append(_Failure(error))
                continue
            found += [Endpoint(host, address, port) for address in addresses]
        return found

    def _try(self, endpoint: Endpoint, share: float) -> _C | None:
        """A connection, or None and one failure more."""
        seconds = self._deadline.remaining() * share
        if self._driver_gives_up is not None:
            seconds = min(seconds, self._driver_gives_up)
        try:
            return self._connect(endpoint, Deadline.after(seconds))
        except self._expected as error:
            self._failed.append(_Failure(error, endpoint))
            return None

    def _settled(self, connection: _C, endpoint: Endpoint) -> Dialled[_C]:
        try:
            silent = [failure for failure in self._failed if failure.silent]
            if silent and self._driver_gives_up is None:
                connection, endpoint = self._second_look(silent, connection, endpoint)
            connection.deadline = self._deadline
        except BaseException:
            connection.close()
            raise
        return Dialled(connection, endpoint, self._warnings())

    def _second_look(self, silent: list[_Failure], answering: _C, answers: Endpoint) -> tuple[_C, Endpoint]:
        """The first silent address, with all the time left: dbt would have waited there for so long.

        A share of the time may be shorter than it takes to send a lost packet again.
        """
        endpoint = silent[0].endpoint
        if endpoint is not None:
            self._failed = self._failed[: self._failed.index(silent[0])]
            connection = self._try(endpoint, 1)
            if connection is not None:
                answering.close()
                return connection, endpoint
        texts = "; ".join(failure.text for failure in silent)
        raise ComputeTimeoutError(f"{texts}: dbt waits there at every connection, although {answers} answers")

    def _warnings(self) -> tuple[str, ...]:
        wait = f"dbt waits there for {self._driver_gives_up:g} s" if self._driver_gives_up is not None else ""
        return tuple(
            f"{failure.text}: {wait if failure.silent else 'dbt tries the next one'} at every connection"
            for failure in self._failed
        )

    def _together(self) -> Exception:
        if not self._failed:
            return ComputeConnectionError("no host is given, or its name has no address")
        first = self._failed[0]
        if len(self._failed) == 1 and not isinstance(
            first.error, ComputeTimeoutError | ComputeConnectionError
        ):
            return first.error
        kind = ComputeTimeoutError if any(each.silent for each in self._failed) else ComputeConnectionError
        return kind("; ".join(each.text for each in self._failed))
