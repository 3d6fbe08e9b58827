"""Notifications of the whole daemon: killed while the receiver is down; and what its log has of addresses."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.polling import settled
from tests.notifications.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Start = Callable[..., Any]

pytestmark = [pytest.mark.e2e, pytest.mark.gate]

CONFIG = """
probe: {interval: 1s, timeout: 30s}
log: {level: debug}
notifications:
  group_wait: 0s
  recovery_wait: 0s
  channels:
    hook:
      webhook: {url: {env: HOOK_URL}, secret: {env: HOOK_SECRET}}
    chat:
      apprise: {env: CHAT_URL}
targets:
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver(status=503)
    yield made
    made.close()


def test_killed_while_the_receiver_is_down_each_message_arrives_once(
    start_daemon: Start, tmp_path: Path, receiver: Receiver
) -> None:
    """Pauses are the product's, which begin at a second: the receiver is down for some seconds here, and for
    ten minutes by the clock in tests/notifications."""
    environ = {
        "HOOK_URL": f"{receiver.url}/canary-path",
        "HOOK_SECRET": "canary-secret-of-the-webhook",
        "CHAT_URL": f"json://127.0.0.1:{receiver.port}/canary-chat?+X-Key=canary-header",
    }
    targets = "".join(
        f"  t{number}: {{plugin: duckdb, connection: {{path: missing-{number}.duckdb}}}}\n"
        for number in range(3)
    )
    first = start_daemon(CONFIG + targets, **environ)
    failed = {"channel": "hook", "result": "failed"}
    first.until(lambda: (first.metric("floe_monitor_notifications_total", **failed) or 0) >= 2)
    first.until(lambda: first.metric("floe_monitor_notifications_pending", channel="hook"))
    first.process.send_signal(signal.SIGKILL)
    first.process.wait(60)
    assert receiver.taken == []
    kept = _keys_to_be_sent(tmp_path / "var" / "notifications.db", "hook")
    assert kept, "what was not sent lies in the file"
    receiver.status = 204
    second = start_daemon(CONFIG + targets, **environ)
    settled(lambda: "/canary-chat" in {each.path for each in receiver.taken})
    settled(lambda: {"t0", "t1", "t2"} <= set(_told(receiver)))
    second.until(lambda: second.metric("floe_monitor_notifications_pending", channel="hook") == 0)
    second.until(lambda: second.metric("floe_monitor_notifications_pending", channel="chat") == 0)
    hooks = [each for each in receiver.taken if each.path.startswith("/hook")]
    keys = [each.key for each in hooks]
    assert len(keys) == len(set(keys))
    assert kept <= set(keys), "the second process sends what the first could not, under its keys"
    assert sorted(_told(receiver)) == ["t0", "t1", "t2"], "once each, by one process or the other"
    assert second.stop() == 0
    logs = "".join(path.read_text() for path in tmp_path.glob("daemon-*.log"))
    assert "canary" not in logs
    assert b"canary" not in (tmp_path / "var" / "notifications.db").read_bytes()


def _told(receiver: Receiver) -> list[str]:
    """The targets of the webhook's notices."""
    hooks = [each for each in tuple(receiver.taken) if each.path.startswith("/hook")]
    return [name for each in hooks for notice in each.document["notices"] for name in notice["targets"]]


def _keys_to_be_sent(path: Path, channel: str) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT body FROM rows WHERE key LIKE ?", (f"message/{channel}/%",))
        return {json.loads(body)["key"] for (body,) in rows}
