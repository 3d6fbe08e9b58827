"""One rule for every plugin: what becomes of a name whose first addresses are dead."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.compute import (
    ComputeConfigurationError,
    ComputeConnectionError,
    ComputeTimeoutError,
    Deadline,
)
from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
from floe_monitor.compute.toolkit.bounded_socket import BoundedSocket
from floe_monitor.compute.toolkit.dialling import dial, dial_hosts, open_socket
from floe_monitor.compute.toolkit.endpoints import Endpoint
from floe_monitor.testing import silent_names
from floe_monitor.testing.fault_proxy import Fault, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from floe_monitor.compute.toolkit.dialling import Dialled

SECONDS = 1.0
"""Of a deadline that is meant to be used up."""
DEAD = "127.0.0.2"
ALIVE = "127.0.0.1"


def echo(connection: socket.socket) -> None:
    while data := connection.recv(100):
        connection.sendall(data)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Addresses by name, as the system's resolver would tell them."""
    known: dict[str, list[str]] = {}

    def getaddrinfo(name: str, *_: Any, **__: Any) -> list[Any]:
        if name not in known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(0, 0, 0, "", (address, 0)) for address in known[name]]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return known


def serves(dialled: Dialled[BoundedSocket]) -> bool:
    """And closes it."""
    with dialled.connection as connection:
        connection.sendall(b"x")
        return connection.recv(1) == b"x"


def test_a_name(serve: Callable[..., Any]) -> None:
    deadline = Deadline.after(20)
    port = serve(echo).port
    dialled = dial("localhost", port, BlockingCalls(), deadline)
    assert dialled.connection.deadline is deadline
    assert (dialled.endpoint.host, dialled.endpoint.port) == ("localhost", port)
    assert serves(dialled)


class TestTheFirstAddressIsDead:
    @pytest.mark.parametrize("driver_gives_up", [None, 10.0])
    def test_refused(
        self, serve: Callable[..., Any], names: dict[str, list[str]], driver_gives_up: float | None
    ) -> None:
        """The loopback address beside it has no listener."""
        port = serve(echo).port
        names["db"] = [DEAD, ALIVE]
        dialled = dial("db", port, BlockingCalls(), Deadline.after(20), driver_gives_up=driver_gives_up)
        assert dialled.endpoint == Endpoint("db", ALIVE, port)
        assert dialled.warnings == (
            f"{DEAD} port {port}: Connection refused: dbt tries the next one at every connection",
        )
        assert serves(dialled)

    def test_silent_where_the_driver_goes_on(
        self, serve: Callable[..., Any], names: dict[str, list[str]]
    ) -> None:
        port = serve(echo).port
        names["db"] = [DEAD, ALIVE]
        with FaultProxy(fault=Fault.BLACKHOLE, host=DEAD, port=port):
            dialled = dial("db", port, BlockingCalls(), Deadline.after(SECONDS), driver_gives_up=10)
        (warning,) = dialled.warnings
        assert warning == (
            f"{DEAD} port {port}: no answer in time while waiting for the TCP connection: "
            "dbt waits there for 10 s at every connection"
        )
        dialled.connection.renew(Deadline.after(20))
        assert serves(dialled)

    def test_no_longer_than_the_driver_waits(
        self, serve: Callable[..., Any], names: dict[str, list[str]]
    ) -> None:
        """The share would be longer than the test may last."""
        port = serve(echo).port
        names["db"] = [DEAD, ALIVE]
        with FaultProxy(fault=Fault.BLACKHOLE, host=DEAD, port=port):
            dialled = dial("db", port, BlockingCalls(), Deadline.after(600), driver_gives_up=0.5)
        assert "dbt waits there for 0.5 s" in dialled.warnings[0]
        assert serves(dialled)

    def test_silent_where_the_driver_has_no_bound(
        self, serve: Callable[..., Any], names: dict[str, list[str]]
    ) -> None:
        port = serve(echo).port
        names["db"] = [DEAD, ALIVE]
        deadline = Deadline.after(SECONDS)
        with (
            FaultProxy(fault=Fault.BLACKHOLE, host=DEAD, port=port),
            pytest.raises(ComputeTimeoutError) as caught,
        ):
            dial("db", port, BlockingCalls(), deadline)
        assert str(caught.value) == (
            f"{DEAD} port {port}: no answer in time while waiting for the TCP connection: "
            f"dbt waits there at every connection, although {ALIVE} port {port} answers"
        )
        assert deadline.expired  # it was given the whole of the time

    def test_slower_than_its_share_where_the_driver_would_wait(
        self, serve: Callable[..., Any], names: dict[str, list[str]]
    ) -> None:
        """As after a packet that was lost: sent again, it is answered."""
        port = serve(echo).port
        slow = serve(echo, host=DEAD)
        names["db"] = [DEAD, ALIVE]
        tries: list[str] = []
        opened: list[BoundedSocket] = []

        def connect(endpoint: Endpoint, deadline: Deadline) -> BoundedSocket:
            tries.append(endpoint.address)
            if tries == [DEAD]:
                raise ComputeTimeoutError("no answer in time while waiting for the TCP connection")
            to = slow.port if endpoint.address == DEAD else port
            opened.append(BoundedSocket(endpoint.address, to, deadline))
            return opened[-1]

        dialled = dial("db", port, BlockingCalls(), Deadline.after(20), connect)
        assert tries == [DEAD, ALIVE, DEAD]
        assert dialled.endpoint.address == DEAD
        assert dialled.warnings == ()
        assert not opened[0].alive
        assert serves(dialled)


class TestNobodyAnswers:
    def test_one_address(self, no_leaks: None) -> None:
        with (
            FaultProxy(fault=Fault.REFUSE) as proxy,
            pytest.raises(ComputeConnectionError, match=rf"^{ALIVE} port {proxy.port}: Connection refused$"),
        ):
            dial(ALIVE, proxy.port, BlockingCalls(), Deadline.after(20))

    def test_an_unknown_name(self, names: dict[str, list[str]]) -> None:
        with pytest.raises(ComputeConnectionError, match=r"^cannot resolve 'db': Name or service not known$"):
            dial("db", 1, BlockingCalls(), Deadline.after(20))

    def test_all_are_named_and_one_that_timed_out_counts(
        self, no_leaks: None, names: dict[str, list[str]]
    ) -> None:
        with FaultProxy(fault=Fault.BLACKHOLE, host=DEAD) as proxy:
            names["db"] = [ALIVE, DEAD]
            with pytest.raises(ComputeTimeoutError) as caught:
                dial("db", proxy.port, BlockingCalls(), Deadline.after(SECONDS))
        assert str(caught.value) == (
            f"{ALIVE} port {proxy.port}: Connection refused; "
            f"{DEAD} port {proxy.port}: no answer in time while waiting for the TCP connection"
        )

    def test_none_timed_out(self, no_leaks: None, names: dict[str, list[str]]) -> None:
        with FaultProxy(fault=Fault.REFUSE, host=DEAD) as proxy:
            names["db"] = [ALIVE, DEAD]
            with pytest.raises(ComputeConnectionError, match=f"{ALIVE} .* refused; {DEAD} .* refused"):
                dial("db", proxy.port, BlockingCalls(), Deadline.after(20), driver_gives_up=5)

    def test_no_host(self) -> None:
        with pytest.raises(ComputeConnectionError, match="no host"):
            dial_hosts([], BlockingCalls(), Deadline.after(1), open_socket)


class TestSeveralHosts:
    def test_in_their_order_each_with_its_port(
        self, serve: Callable[..., Any], names: dict[str, list[str]]
    ) -> None:
        port = serve(echo).port
        names["second"] = [ALIVE]
        with FaultProxy(fault=Fault.REFUSE) as proxy:
            hosts = [("first", 1), (ALIVE, proxy.port), ("second", port), (ALIVE, port)]
            dialled = dial_hosts(hosts, BlockingCalls(), Deadline.after(20), open_socket)
        assert dialled.endpoint == Endpoint("second", ALIVE, port)
        assert [warning.split(":")[0] for warning in dialled.warnings] == [
            "cannot resolve 'first'", f"{ALIVE} port {proxy.port}",
        ]  # fmt: skip
        assert serves(dialled)

    def test_a_silent_name_service_leaves_time_for_the_next(self, serve: Callable[..., Any]) -> None:
        release = threading.Event()

        class Silent(BlockingCalls):
            def resolve(self, name: str, timeout: float) -> list[str]:
                if name == ALIVE:
                    return [name]
                release.wait(timeout)
                raise ComputeTimeoutError(f"no answer in time from the name service about {name!r}")

        port = serve(echo).port
        hosts = [("db", port), (ALIVE, port)]
        dialled = dial_hosts(hosts, Silent(), Deadline.after(SECONDS), open_socket, driver_gives_up=10)
        assert "name service about 'db': dbt waits there for 10 s" in dialled.warnings[0]
        dialled.connection.close()
        with pytest.raises(
            ComputeTimeoutError, match=rf"about 'db': .* although {ALIVE} port {port} answers"
        ):
            dial_hosts(hosts, Silent(), Deadline.after(SECONDS), open_socket)

    def test_unix_sockets_have_no_name_to_look_up(self, names: dict[str, list[str]]) -> None:
        seen: list[Endpoint] = []

        class Connection:
            deadline = Deadline.after(0)

            def close(self) -> None:
                pass

        def connect(endpoint: Endpoint, deadline: Deadline) -> Connection:
            seen.append(endpoint)
            if endpoint.host != "@abstract":
                raise ComputeConnectionError("No such file or directory")
            return Connection()

        dialled = dial_hosts(
            [("/run/postgresql", 5432), ("@abstract", 5432)], BlockingCalls(), Deadline.after(20), connect
        )
        assert dialled.endpoint == seen[1] == Endpoint("@abstract", "@abstract", 5432)
        assert dialled.warnings[0].startswith("/run/postgresql port 5432: No such file")


class RefusedError(Exception):
    """A driver's own."""


class TestWhatConnectRaises:
    def test_alone_it_stays_what_it_is(self, names: dict[str, list[str]]) -> None:
        def connect(endpoint: Endpoint, deadline: Deadline) -> BoundedSocket:
            raise RefusedError("too many connections")

        with pytest.raises(RefusedError, match=r"^too many connections$"):
            dial(ALIVE, 1, BlockingCalls(), Deadline.after(20), connect, failures=(RefusedError,))
        names["db"] = [DEAD, ALIVE]
        with pytest.raises(ComputeConnectionError, match=r"too many connections; .*too many"):
            dial("db", 1, BlockingCalls(), Deadline.after(20), connect, failures=(RefusedError,))

    @pytest.mark.parametrize("error", [ComputeConfigurationError("x"), RefusedError("x"), OSError(24, "x")])
    def test_what_is_not_the_addresss_fault_ends_it(
        self, error: Exception, names: dict[str, list[str]]
    ) -> None:
        names["db"] = [DEAD, ALIVE]
        tries: list[str] = []

        def connect(endpoint: Endpoint, deadline: Deadline) -> BoundedSocket:
            tries.append(endpoint.address)
            raise error

        with pytest.raises(type(error)) as caught:
            dial("db", 1, BlockingCalls(), Deadline.after(20), connect)
        assert caught.value is error
        assert tries == [DEAD]

    def test_interrupted_during_the_second_look_nothing_stays_open(
        self, serve: Callable[..., Any], names: dict[str, list[str]]
    ) -> None:
        port = serve(echo).port
        names["db"] = [DEAD, ALIVE]
        tries: list[str] = []

        def connect(endpoint: Endpoint, deadline: Deadline) -> BoundedSocket:
            tries.append(endpoint.address)
            if len(tries) == 1:
                raise ComputeTimeoutError("no answer in time")
            if len(tries) == 3:
                raise KeyboardInterrupt
            return BoundedSocket(endpoint.address, port, deadline)

        with pytest.raises(KeyboardInterrupt):
            dial("db", port, BlockingCalls(), Deadline.after(20), connect)


@pytest.mark.skipif(not silent_names.available(), reason="no network namespaces here")
@pytest.mark.process
def test_a_name_service_that_never_answers() -> None:
    done = silent_names.run(
        "from floe_monitor.compute import ComputeTimeoutError, Deadline\n"
        "from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls\n"
        "from floe_monitor.compute.toolkit.dialling import dial\n"
        "calls = BlockingCalls()\n"
        "try:\n"
        "    dial('db.example', 1, calls, Deadline.after(0.5))\n"
        "except ComputeTimeoutError as error:\n"
        "    print(error)\n"
        "    print(calls.pending)\n",
        resolver_seconds=30,
    )
    assert done.stdout.splitlines() == [
        "no answer in time from the name service about 'db.example'",
        "1",
    ], done.stderr
