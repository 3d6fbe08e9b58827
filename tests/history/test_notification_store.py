"""Two monitors of the same targets and a real server: one sends, the other takes over and repeats nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.history.notification_store import NotificationStore
from floe_monitor.settings.history_models import HistoryUrl
from tests.notifications.conftest import HEALTHY, World
from tests.notifications.receiver import Receiver, SilentServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conformance.postgres_servers import Cluster

pytestmark = [pytest.mark.process, pytest.mark.gate]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


class Pair:
    """Two monitors that see the same, a second apart."""

    def __init__(self, url: str, group: str, receiver: Receiver, folder: Path) -> None:
        self.receiver = receiver
        self.both = [World(receiver, folder), World(receiver, folder)]
        for number, world in enumerate(self.both):
            world.at += number
            world.settings |= {"outbox": None}
            world.store = NotificationStore(HistoryUrl(plain=url), group, {})
            world.start()

    def probe(self, name: str, *status: Any) -> None:
        for world in self.both:
            world.probe(name, *status)

    def passes(self, seconds: int) -> None:
        for _ in range(seconds):
            for world in self.both:
                world.passes()

    @property
    def senders(self) -> list[bool]:
        return [not world.outbox.taken for world in self.both]


def _url(server: Cluster) -> str:
    return f"postgresql://postgres@127.0.0.1:{server.port}/postgres"


def test_one_sends_and_the_other_takes_over(server: Cluster, receiver: Receiver, tmp_path: Path) -> None:
    pair = Pair(_url(server), "takeover", receiver, tmp_path)
    pair.passes(20)
    assert pair.senders == [True, False]
    pair.probe("a")
    pair.passes(5)
    assert receiver.titles == ["a is unhealthy"]
    receiver.status = 503
    pair.probe("b")
    pair.passes(5)
    first, second = pair.both
    assert first.outbox.pending("hook") == 1
    first.outbox.close()  # as its end does
    pair.both = [second]
    pair.passes(3)
    receiver.status = 204
    pair.probe("a", HEALTHY)
    pair.passes(60)
    assert pair.senders == [True]
    assert receiver.titles == ["a is unhealthy", "b is unhealthy", "a is healthy again"]
    assert set(receiver.keys.values()) == {1}
    second.outbox.close()


def test_a_server_that_is_restarted_loses_and_repeats_nothing(
    server: Cluster, receiver: Receiver, tmp_path: Path
) -> None:
    pair = Pair(_url(server), "restart", receiver, tmp_path)
    pair.passes(20)
    pair.probe("a")
    pair.passes(5)
    server.tool("pg_ctl", "-w", "-m", "immediate", "stop")
    pair.probe("b")
    pair.passes(10)
    server.start()
    pair.passes(90)
    assert sorted(pair.senders) == [False, True]
    assert receiver.titles == ["a is unhealthy", "b is unhealthy"]
    pair.probe("a", HEALTHY)
    pair.probe("b", HEALTHY)
    pair.passes(5)
    assert sorted(receiver.titles[2:]) == ["a is healthy again", "b is healthy again"]
    for world in pair.both:
        world.outbox.close()


def test_groups_do_not_know_of_one_another(server: Cluster, receiver: Receiver, tmp_path: Path) -> None:
    one, other = (Pair(_url(server), group, receiver, tmp_path) for group in ("sales", "ops"))
    one.both, other.both = one.both[:1], other.both[:1]
    for pair in (one, other):
        pair.passes(20)
        pair.probe("a")
        pair.passes(5)
        assert pair.senders == [True]
    assert receiver.titles == ["a is unhealthy", "a is unhealthy"]
    for pair in (one, other):
        pair.both[0].outbox.close()


def test_a_server_that_never_answers_stops_no_message(receiver: Receiver, tmp_path: Path) -> None:
    silent = SilentServer()
    try:
        url = f"postgresql://postgres:canary@127.0.0.1:{silent.port}/postgres"
        pair = Pair(url, "silent", receiver, tmp_path)
        pair.both = pair.both[:1]
        pair.probe("a")
        pair.passes(2)
        assert receiver.titles == ["a is unhealthy"]
        problem = pair.both[0].state.notification_problem
        assert problem
        assert "canary" not in problem
        pair.both[0].outbox.close()
    finally:
        silent.close()
