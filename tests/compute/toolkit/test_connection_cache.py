"""Kept connections: one user at a time, let go in time, closed at nobody's cost."""

from __future__ import annotations

import errno
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.compute import (
    Deadline,
    ErrorType,
    ExpiryKind,
    Failure,
    MonitorResourceError,
    Validation,
    note_expiry,
    note_server,
)
from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
from floe_monitor.compute.toolkit.connection_cache import (
    CLOSING_SECONDS,
    HOLDS,
    PROVING_SHARE,
    CachedConnection,
    ConnectionCache,
    ReusingConfig,
    reusing,
)
from floe_monitor.compute.toolkit.endpoints import Endpoint, still_lead_there
from tests.harness.polling import settled

if TYPE_CHECKING:
    from collections.abc import Iterator


class Line:
    """A connection that knows how often it was closed, and may take its time for it."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.usable = True
        self.closed = 0
        self._seconds = seconds

    def close(self) -> None:
        time.sleep(self._seconds)
        self.closed += 1


def kept(line: Line, max_age: float = 60.0) -> CachedConnection[Line]:
    return CachedConnection(line, time.monotonic(), max_age)


@pytest.fixture
def cache() -> Iterator[ConnectionCache[Line]]:
    cache: ConnectionCache[Line] = ConnectionCache("lines", limit=3)
    yield cache
    cache.close()


def threads() -> int:
    return sum(thread.name == "lines-idle" for thread in threading.enumerate())


def test_it_is_lent_to_one_at_a_time(cache: ConnectionCache[Line]) -> None:
    line = Line()
    cache.keep("a", kept(line), 60)
    assert len(cache) == 1
    taken = cache.take("a")
    assert taken is not None
    assert cache.take("a") is None
    cache.keep("a", taken, 60)
    again = cache.take("a")
    assert again is not None
    assert again.connection is line
    assert line.closed == 0


def test_what_is_not_fit_is_closed_and_not_given(cache: ConnectionCache[Line]) -> None:
    broken, idle, old = Line(), Line(), Line()
    cache.keep("broken", kept(broken), 60)
    broken.usable = False
    cache.keep("idle", kept(idle), 0.01)
    cache.keep("old", kept(old, max_age=0.01), 60)
    time.sleep(0.02)
    assert [cache.take(key) for key in ("broken", "idle", "old")] == [None] * 3
    settled(lambda: (broken.closed, idle.closed, old.closed) == (1, 1, 1))


def test_idle_ones_are_closed_unasked_and_the_thread_ends(cache: ConnectionCache[Line]) -> None:
    lines = [Line(), Line()]
    for number, line in enumerate(lines):
        cache.keep(number, kept(line), 0.05 * (number + 1))
    settled(lambda: all(line.closed for line in lines))
    assert len(cache) == 0
    settled(lambda: not threads())
    late = Line()
    cache.keep("late", kept(late), 0.01)
    settled(lambda: late.closed == 1)


def test_a_slow_close_costs_nobody_else_time(cache: ConnectionCache[Line], within: Any) -> None:
    slow, other = Line(seconds=0.5), Line()
    cache.keep("slow", kept(slow), 60)
    slow.usable = False
    cache.keep("other", kept(other), 60)
    with within(0.05, margin=0.25):
        assert cache.take("slow") is None
        time.sleep(0.05)  # the thread is closing it now
        assert cache.take("other") is not None
        cache.discard(Line(seconds=0.5))


def test_there_are_never_more_than_the_limit(cache: ConnectionCache[Line]) -> None:
    lines = [Line() for _ in range(5)]
    for number, line in enumerate(lines):
        cache.keep(number, kept(line), 10 + number)
    assert len(cache) == 3
    settled(lambda: [line.closed for line in lines] == [1, 1, 0, 0, 0])
    cache.keep(4, kept(Line()), 60)
    settled(lambda: lines[4].closed == 1)


def test_closing_closes_all_and_waits_for_a_second_at_most(cache: ConnectionCache[Line], within: Any) -> None:
    quick = [Line(), Line()]
    for number, line in enumerate(quick):
        cache.keep(number, kept(line), 60)
    cache.close()
    assert [line.closed for line in quick] == [1, 1]
    cache.keep("slow", kept(Line(seconds=4)), 60)
    started = time.monotonic()
    with within(CLOSING_SECONDS, margin=0.3):
        cache.close()
    assert time.monotonic() - started > CLOSING_SECONDS * 0.9


def test_closing_ends_the_thread_though_a_connection_is_lent(cache: ConnectionCache[Line]) -> None:
    line, ready = Line(), Line()
    cache.keep("ready", kept(ready), 0.05)
    cache.keep("lent", kept(line), 60)
    settled(lambda: ready.closed == 1)  # the thread waits for the other now
    assert cache.take("lent") is not None
    cache.close()
    settled(lambda: not threads())
    assert line.closed == 0


def test_one_that_cannot_be_closed_keeps_no_other(cache: ConnectionCache[Line]) -> None:
    class Broken(Line):
        def __init__(self, error: type[BaseException]) -> None:
            super().__init__()
            self._error = error

        def close(self) -> None:
            raise self._error

    cache.discard(Broken(OSError))
    cache.discard(Broken(SystemExit))
    well = Line()
    cache.discard(well)
    settled(lambda: well.closed == 1)


def test_many_users_never_share(cache: ConnectionCache[Line]) -> None:
    in_use: set[int] = set()
    shared: list[int] = []
    made: list[Line] = []
    lock = threading.Lock()

    def use() -> None:
        for _ in range(200):
            taken = cache.take("a")
            if taken is None:
                taken = kept(Line())
                with lock:
                    made.append(taken.connection)
            with lock:
                if id(taken.connection) in in_use:
                    shared.append(1)
                in_use.add(id(taken.connection))
            time.sleep(0)
            with lock:
                in_use.discard(id(taken.connection))
            cache.keep("a", taken, 60)

    users = [threading.Thread(target=use) for _ in range(6)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert not shared
    cache.close()
    settled(lambda: all(line.closed == 1 for line in made))


# ---------------------------------------------------------------- the flow of one validation


class Session(Line):
    """One that proves itself and comes to rest, or does not."""

    def __init__(self, *, proves: bool = True, rests: bool = True, host: str = "10.0.0.1") -> None:
        super().__init__()
        self._proves, self._rests = proves, rests
        self.endpoints = (Endpoint(host, "10.0.0.1", 1),)
        self.examined = self.proofs = 0

    def prove(self, proving: Deadline, deadline: Deadline) -> bool:
        assert proving.remaining() < deadline.remaining()
        self.proofs += 1
        return self._proves

    def rest(self) -> bool:
        return self._rests


class Flow:
    """Validations of one target over one cache."""

    def __init__(self, *, reuse: bool = True) -> None:
        self.cache: ConnectionCache[Session] = ConnectionCache("lines")
        self.calls = BlockingCalls()
        self.config = ReusingConfig(plugin="x", connection_reuse=reuse)
        self.made: list[Session] = []
        self.learned: tuple[object, ...] = ()

    def run(
        self, session: Session, error: Exception | None = None, *, seconds: float = 30
    ) -> list[tuple[str, str]]:
        def connect() -> Session:
            with validation.check("network"):
                self.made.append(session)
                note_server("db.example")
                note_expiry(ExpiryKind.SERVER_CERTIFICATE, 100.0 * len(self.made))
            return session

        def examine(session: Session) -> None:
            session.examined += 1
            with validation.check("query"):
                if error is not None:
                    raise error

        validation = Validation(lambda error: Failure(ErrorType.QUERY, str(error)))
        with validation:
            reusing(
                self.cache,
                "key",
                self.config,
                validation,
                Deadline.after(seconds),
                calls=self.calls,
                held=["network"],
                connect=connect,
                examine=examine,
            )
        result = validation.result()
        self.learned = (result.server_address, *(expiry.at for expiry in result.expiries))
        return [(check.name, check.message) for check in result.checks]


def test_a_kept_connection_answers_the_checks_it_has_passed() -> None:
    flow = Flow()
    first, second = Session(), Session()
    assert flow.run(first) == [("network", ""), ("query", "")]
    assert flow.run(second) == [("network", HOLDS), ("query", "")]
    assert flow.learned == ("db.example", 100)
    assert (flow.made, first.examined, first.closed) == ([first], 2, 0)
    flow.cache.close()


def test_one_that_does_not_prove_itself_is_replaced() -> None:
    flow = Flow()
    broken, fresh = Session(proves=False), Session()
    flow.run(broken)
    assert flow.run(fresh) == [("network", ""), ("query", "")]
    assert flow.learned == ("db.example", 200)
    settled(lambda: broken.closed == 1)
    assert (broken.examined, fresh.closed, len(flow.cache)) == (1, 0, 1)
    flow.cache.close()


@pytest.mark.parametrize("case", ["not asked for", "does not rest", "the verdict is bad"])
def test_it_is_closed_where_it_cannot_be_kept(case: str) -> None:
    flow = Flow(reuse=case != "not asked for")
    session = Session(rests=case != "does not rest")
    flow.run(session, ValueError("ill") if case == "the verdict is bad" else None)
    assert (session.closed, len(flow.cache)) == (1, 0)


# ---------------------------------------------------------------- the name of a kept connection


class Names:
    """What the system's resolver answers, at its lowest edge in Python: `socket.getaddrinfo`."""

    def __init__(self) -> None:
        self.addresses: list[str] | OSError = ["10.0.0.1"]
        self.silent = False
        self.asked: list[str] = []
        self.over = threading.Event()

    def getaddrinfo(self, name: str, port: Any, **_: Any) -> list[Any]:
        self.asked.append(name)
        if self.silent:
            self.over.wait(60)
        if isinstance(self.addresses, OSError):
            raise self.addresses
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in self.addresses]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    yield names
    names.over.set()


def test_a_name_is_looked_up_at_each_validation_and_may_gain_addresses(names: Names) -> None:
    flow = Flow()
    first = Session(host="db.example")
    flow.run(first)
    assert names.asked == []
    names.addresses = ["10.0.0.2", "10.0.0.1"]
    assert flow.run(Session()) == [("network", HOLDS), ("query", "")]
    assert (names.asked, first.proofs, first.examined) == (["db.example"], 1, 2)
    flow.cache.close()


@pytest.mark.parametrize("then", [["10.0.0.2"], socket.gaierror(socket.EAI_NONAME, "unknown name")], ids=repr)
def test_a_connection_ends_when_its_name_leads_elsewhere_or_nowhere(
    names: Names, then: list[str] | OSError
) -> None:
    flow = Flow()
    before, after = Session(host="db.example"), Session()
    flow.run(before)
    names.addresses = then
    assert flow.run(after) == [("network", ""), ("query", "")]
    settled(lambda: before.closed == 1)
    assert (before.proofs, before.examined, flow.made) == (0, 1, [before, after])
    flow.cache.close()


def test_a_silent_name_service_costs_a_share_of_the_time(names: Names, within: Any) -> None:
    flow = Flow()
    before = Session(host="db.example")
    flow.run(before)
    names.silent = True
    with within(1.2 * PROVING_SHARE):
        assert flow.run(Session(), seconds=1.2) == [("network", ""), ("query", "")]
    settled(lambda: before.closed == 1)
    flow.cache.close()


def test_an_address_and_a_path_are_looked_up_nowhere(names: Names) -> None:
    calls, limit = BlockingCalls(), Deadline.after(30)
    ends = [Endpoint("10.0.0.9", "10.0.0.9", 1), Endpoint("/run/postgresql", "/run/postgresql", 1)]
    assert still_lead_there(ends, calls, limit)
    assert names.asked == []
    assert not still_lead_there([*ends, Endpoint("db.example", "10.0.0.9", 1)], calls, limit)


def test_a_shortage_of_the_monitor_leaves_no_connection_behind(names: Names) -> None:
    flow = Flow()
    kept = Session(host="db.example")
    flow.run(kept)
    names.addresses = OSError(errno.EMFILE, "too many open files")
    with pytest.raises(MonitorResourceError):
        flow.run(Session())
    settled(lambda: kept.closed == 1)
    flow.cache.close()
