"""Apprise over its own services for loopback: nothing is faked between this project and the socket."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from tests.harness.polling import settled
from tests.notifications.conftest import HEALTHY
from tests.notifications.receiver import SilentServer

if TYPE_CHECKING:
    from tests.notifications.conftest import World


# Apprise imports a module of the standard library that newer Pythons lack, and has one of its own there.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


def _chat(world: World, query: str = "", port: int | None = None, **settings: object) -> None:
    port = world.receiver.port if port is None else port
    world.environ["CHAT"] = f"json://127.0.0.1:{port}/canary-token{query}"
    world.channels = {"chat": {"apprise": {"env": "CHAT"}, **settings}}
    world.start()


def test_a_message_arrives_with_title_text_and_kind(world: World) -> None:
    _chat(world)
    world.probe("a")
    world.passes()
    world.probe("a", HEALTHY)
    world.passes()
    bad, good = (each.document for each in world.receiver.taken)
    assert (bad["title"], bad["type"]) == ("[monitor-0] a is unhealthy", "failure")
    assert "connection refused" in bad["message"]
    assert (good["title"], good["type"]) == ("[monitor-0] a is healthy again", "success")
    assert "Lasted: 1 second" in good["message"]
    assert world.receiver.taken[0].headers["user-agent"] == "floe-monitor"


def test_templates_make_title_and_text(world: World) -> None:
    _chat(
        world,
        title="{{ status }}!{{ targets | join(',') }}",
        body="{{ headline }}{% if url %} {{ url }}{% endif %}",
    )
    world.probe("a")
    world.passes()
    document = world.receiver.taken[0].document
    assert (document["title"], document["message"]) == ("unhealthy!a", "a is unhealthy")


def test_what_the_service_refuses_is_a_failure_and_redirects_are_no_success(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    _chat(world)
    world.probe("a")
    for status in (404, 500, 302):
        world.receiver.status, world.receiver.headers = status, {"Location": "/elsewhere"}
        world.passes(400)
    assert world.state.notifications["chat"].failed == 3
    assert world.state.notifications["chat"].sent == 0
    assert "the service answers 404" in caplog.text
    world.receiver.status = 200
    world.passes(400)
    assert len(world.receiver.taken) == 1


@pytest.mark.gate
def test_a_service_that_hangs_is_abandoned_at_the_deadline_and_a_few_times_alone(world: World) -> None:
    silent = SilentServer()
    try:
        _chat(world, "?rto=30&cto=30", silent.port, timeout=1)
        world.probe("a")
        for _ in range(5):
            world.passes(400)
        transport = world.deliveries["chat"]._transport
        assert len(transport._abandoned) <= 3  # type: ignore[attr-defined]
        assert world.state.notifications["chat"].failed == 5
        head = world.outbox.head("chat")
        assert head is not None
        assert "within 1 s" in head.error or "still hang" in head.error
    finally:
        silent.close()


def test_its_address_reaches_no_log_and_no_state(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    _chat(world, "?+X-Key=canary-header")
    world.receiver.status = 500
    world.probe("a")
    world.passes()
    for address in (
        "slack://canary-a/canary-b/canary-c",
        "nonsense://canary",
        "json://127.0.0.1:1/canary-path",
        "json://canary-user:canary-password@127.0.0.1:1",
        "canary",
    ):
        world.environ["CHAT"] = address
        world.passes(400)
        head = world.outbox.head("chat")
        assert head is not None
        assert head.error
    world.outbox.close()
    # Of other loggers the daemon writes no text that they made; a test of the whole daemon holds that.
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("floe_monitor")]
    assert len(ours) > 0
    assert not logging.getLogger("apprise").propagate
    told = f"{ours}{world.state.notifications}{world.path.read_bytes()!r}{world.outbox.head('chat')}"
    assert "canary" not in told
    assert "Traceback" not in caplog.text


def test_messages_leave_while_the_loop_of_the_test_does_something_else(world: World) -> None:
    _chat(world)
    world.probe("a")
    world.notifier.start()
    try:
        settled(lambda: world.receiver.taken)
    finally:
        world.notifier.close(10)
