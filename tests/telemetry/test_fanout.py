from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from floe_monitor.domain.events import ProfileGenerated
from floe_monitor.telemetry.fanout import COALESCE, Drops, Fanout

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from floe_monitor.domain.events import Event

    Eventually = Callable[[Callable[[], object]], None]

EVENT = ProfileGenerated("duckdb", 0.001)


class Collecting:
    def __init__(self, name: str = "collecting") -> None:
        self.name = name
        self.events: list[Event] = []
        self.threads: set[int] = set()

    def handle(self, event: Event) -> None:
        self.threads.add(threading.get_ident())
        self.events.append(event)


class Blocking:
    name = "blocking"

    def __init__(self) -> None:
        self.release = threading.Event()

    def handle(self, event: Event) -> None:
        self.release.wait()


class Raising:
    name = "raising"

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.calls = 0

    def handle(self, event: Event) -> None:
        self.calls += 1
        raise self.error


def many(threads: int, times: int, act: Callable[[], None]) -> None:
    def repeat() -> None:
        for _ in range(times):
            act()

    running = [threading.Thread(target=repeat) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


def test_every_sink_gets_every_event_in_order_on_a_thread_of_its_own() -> None:
    one, two = Collecting("one"), Collecting("two")
    fanout = Fanout([one, two])
    fanout.start()
    events = [ProfileGenerated("duckdb", float(number)) for number in range(1000)]
    for event in events:
        fanout.publish(event)
    assert fanout.close(5)
    assert one.events == two.events == events
    assert len(one.threads) == len(two.threads) == 1
    assert one.threads != two.threads
    assert threading.get_ident() not in one.threads | two.threads


def test_a_blocking_sink_delays_neither_publisher_nor_other_sinks(
    eventually: Eventually, within: Any
) -> None:
    blocking, other = Blocking(), Collecting()
    fanout = Fanout([blocking, other], capacity=100)
    fanout.start()
    fanout.publish(EVENT)
    each = fanout._sinks[0]
    eventually(lambda: not each.queue)  # the one event is in `handle`, which does not return
    for _ in range(500):
        with within(0.4):
            fanout.publish(EVENT)
        if len(fanout._sinks[1].queue) > 50:
            eventually(lambda: not fanout._sinks[1].queue)
    eventually(lambda: len(other.events) == 501)
    assert dict(fanout.dropped) == {"blocking": 400, "collecting": 0}
    with within(0.2, margin=1.8):
        assert not fanout.close(0.2)
    assert fanout.dropped["blocking"] == 500  # the hundred that were still queued are lost too
    blocking.release.set()
    each.thread.join(5)


def test_a_raising_sink_goes_on_and_is_reported_without_the_text(caplog: pytest.LogCaptureFixture) -> None:
    raising, other = Raising(SystemExit("hunter2")), Collecting()
    fanout = Fanout([raising, other])
    fanout.start()
    for _ in range(20):
        fanout.publish(EVENT)
    assert fanout.close(5)
    assert raising.calls == len(other.events) == 20
    assert fanout.dropped["raising"] == 20
    assert [record.getMessage() for record in caplog.records] == ["sink raising failed 1 times: SystemExit"]


def test_publishing_costs_no_wake_up_each() -> None:
    sink = Collecting()
    fanout = Fanout([sink])
    wakes = 0
    each = fanout._sinks[0]
    drain = each._drain

    def counted() -> None:
        nonlocal wakes
        wakes += 1
        drain()

    each._drain = counted  # type: ignore[method-assign]
    fanout.start()
    began = time.monotonic()
    for _ in range(300):
        fanout.publish(EVENT)
        time.sleep(0.0004)
    lasted = time.monotonic() - began
    assert fanout.close(5)
    assert len(sink.events) == 300
    assert wakes <= lasted / COALESCE + 4


def test_publishing_from_many_threads_loses_nothing() -> None:
    sink = Collecting()
    fanout = Fanout([sink], capacity=100_000)
    fanout.start()
    many(8, 2000, lambda: fanout.publish(EVENT))
    assert fanout.close(10)
    assert len(sink.events) == 16_000
    assert fanout.dropped["collecting"] == 0


def test_closing_at_any_moment_ends_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("floe_monitor.telemetry.fanout.COALESCE", 0.0005)
    for number in range(300):
        sink = Collecting()
        fanout = Fanout([sink])
        fanout.start()
        fanout.publish(EVENT)
        time.sleep(0.00001 * (number % 100))
        assert fanout.close(3)
        assert sink.events == [EVENT]


def test_closing_what_was_never_started_returns() -> None:
    assert Fanout([Collecting()]).close(1)


def test_drops_count_from_many_threads() -> None:
    drops = Drops(["log"])
    many(4, 5000, lambda: drops.add("log"))
    assert dict(drops) == {"log": 20_000}
