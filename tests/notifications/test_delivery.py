"""That each message arrives, in order, once under its key; and what is done with one that does not."""

from __future__ import annotations

import base64
import logging
import sqlite3
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.notifications import notifier
from floe_monitor.notifications.outbox_file import OutboxFile
from floe_monitor.settings.maintenance_models import WindowSettings
from tests.harness.polling import settled
from tests.notifications.conftest import HEALTHY, SECRET
from tests.notifications.receiver import SilentServer

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from tests.notifications.conftest import World


def _fail_and_recover(world: World, *names: str) -> None:
    for name in names:
        world.probe(name)
        world.passes()
        world.probe(name, HEALTHY)
        world.passes()


def test_a_receiver_that_was_down_gets_each_once_and_in_order_over_a_restart(world: World) -> None:
    """Ten minutes by the notifier's clock; the process is replaced in the middle."""
    world.receiver.status = 503
    _fail_and_recover(world, "a", "b")
    for _ in range(300):
        world.passes()
    before = len(world.receiver.seen)
    world.restart(remembered=False)
    assert world.outbox.refresh()
    assert world.outbox.pending("hook") == 4
    for _ in range(300):
        world.passes()
    assert world.receiver.taken == []
    attempts = len(world.receiver.seen)
    assert 5 <= before <= 12, "pauses grow"
    assert attempts <= before + 4, "up to five minutes, and go on where the former process was"
    assert {each.key for each in world.receiver.seen} == {world.receiver.seen[0].key}
    world.receiver.status = 204
    for _ in range(310):
        world.passes()
    assert world.receiver.titles == [
        "a is unhealthy",
        "a is healthy again",
        "b is unhealthy",
        "b is healthy again",
    ]
    assert set(world.receiver.keys.values()) == {1}
    assert len({each.body for each in world.receiver.seen if each.key == world.receiver.seen[0].key}) == 1
    assert world.state.notifications["hook"].pending == 0


def test_a_process_that_dies_before_it_knows_sends_the_same_again(world: World) -> None:
    world.probe("a")
    world.notifier.turn()
    message = world.outbox.head("hook")
    assert message is not None
    world.deliveries["hook"]._transport.send(message)  # taken, and the process ends before that is noted
    world.restart()
    world.passes()
    assert list(world.receiver.keys.values()) == [2]
    first, second = world.receiver.taken
    assert first.body == second.body


def test_what_was_told_and_what_is_to_be_sent_are_written_together(world: World) -> None:
    """Before anything leaves: another process that begins at any moment finds both or neither."""
    world.probe("a")
    world.notifier.turn()
    with sqlite3.connect(world.path) as connection:
        keys = [key for (key,) in connection.execute("SELECT key FROM rows ORDER BY key")]
    assert [key.split("/")[0] for key in keys] == ["ledger", "message"]
    assert world.receiver.seen == []


def test_the_pause_that_a_receiver_asks_for_is_kept(world: World) -> None:
    world.receiver.status, world.receiver.headers = 429, {"Retry-After": "120"}
    world.probe("a")
    world.passes()
    for _ in range(110):
        world.passes()
    assert len(world.receiver.seen) == 1
    world.receiver.status = 200
    world.passes(11)
    assert len(world.receiver.taken) == 1


def test_one_that_is_too_old_is_given_up_and_counted(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.settings["give_up"] = "1h"
    world.start()
    world.receiver.status = 500
    world.probe("a")
    for _ in range(20):
        world.passes(300)
    counts = world.state.notifications["hook"]
    assert (counts.sent, counts.dead, counts.pending) == (0, 1, 0)
    [line] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert "given up" in line
    assert "answers 500" in line


def test_one_that_is_refused_does_not_hold_up_those_behind_it(world: World) -> None:
    world.receiver.status = 422
    _fail_and_recover(world, "a")
    for _ in range(40):
        world.passes()
        if world.state.notifications["hook"].dead:
            world.receiver.status = 200
    assert world.receiver.titles == ["a is healthy again"]
    assert world.state.notifications["hook"].dead == 1


def test_what_failed_for_another_reason_is_no_refusal(world: World) -> None:
    """After an outage a proxy that is not there yet may refuse once."""
    world.receiver.status = 503
    world.probe("a")
    for _ in range(10):
        world.passes(300)
    world.receiver.status = 400
    world.passes(300)
    world.receiver.status = 204
    world.passes(300)
    counts = world.state.notifications["hook"]
    assert (counts.sent, counts.dead, counts.failed) == (1, 0, 11)


def test_a_redirect_is_no_success_and_is_not_followed(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.receiver.status, world.receiver.headers = 302, {"Location": "http://127.0.0.1:1/canary-path"}
    world.probe("a")
    world.passes()
    assert world.state.notifications["hook"].failed == 1
    assert "redirects are not followed" in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.parametrize("ill", ["silent", "dripping"])
def test_a_receiver_that_hangs_costs_its_own_channel_alone(world: World, ill: str) -> None:
    """In the threads of the real notifier: the other channel's message arrives while this one waits."""
    silent = SilentServer()
    port = silent.port if ill == "silent" else world.receiver.port
    world.channels = {
        "ill": {
            "webhook": {"url": f"http://127.0.0.1:{port}/", "secret": {"env": "HOOK_SECRET"}},
            "timeout": 1,
        },
        "well": {"timeout": 1 if ill == "dripping" else 120},
    }
    if ill == "dripping":
        world.receiver.drip = True
    world.start()
    world.probe("a")
    world.notifier.start()
    try:
        if ill == "dripping":
            settled(lambda: world.outbox.counts()["ill"].failed and world.outbox.counts()["well"].failed)
            world.receiver.drip = False
        else:
            settled(lambda: world.receiver.taken)
            settled(lambda: world.outbox.counts()["ill"].failed)
            assert world.outbox.counts()["ill"].sent == 0
    finally:
        world.notifier.close(5)
        silent.close()


def test_more_than_a_few_at_once_become_one(world: World) -> None:
    """Targets that fail each for itself: what follows within seconds is held, and told together."""
    for number in range(100):
        world.add(f"t{number}", host=f"h{number}")
        world.probe(f"t{number}")
    world.passes()
    [summary] = world.receiver.taken
    assert summary.document["type"] == "floe.summary"
    assert summary.document["notices_total"] == 100
    assert len(summary.document["notices"]) == 30
    for number in range(50):
        world.probe(f"t{number}", HEALTHY)
        world.passes()
    sent = len(world.receiver.taken)
    assert sent < 10
    assert (
        sum(each.document["notices_total"] for each in world.receiver.taken)
        + len(world.outbox.ledger("hook").held)
        == 150
    )


def test_quiet_hours_hold_and_tell_after(world: World) -> None:
    """From ten to six on a clock in Berlin, which is two hours before UTC in summer."""
    world.channels["hook"]["quiet_hours"] = [
        WindowSettings(cron="0 22 * * *", duration=8 * 3600.0, timezone="Europe/Berlin").model_dump()
    ]
    world.at = 1_783_022_400.0  # 2026-07-02, 20:00 UTC
    world.start()
    world.passes()
    _fail_and_recover(world, "a")
    world.probe("b")
    world.passes()
    assert world.receiver.taken == []
    assert world.state.notifications["hook"].held == 3
    world.restart(remembered=False)
    world.passes(8 * 3600 - 60)
    assert world.receiver.taken == []
    world.passes(60)
    [summary] = world.receiver.taken
    shown = summary.document["text"]
    assert summary.document["title"].startswith("3 notices since 2026-07-02T20:00")
    assert [line.split(" ", 1)[1] for line in shown.splitlines()] == [
        "a is unhealthy",
        "a is healthy again",
        "b is unhealthy",
    ]


def test_a_queue_that_is_full_takes_nothing_new_and_loses_no_state(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifier, "MOST_PENDING", 20)
    world.channels["hook"]["repeat"] = None
    world.start()
    world.receiver.status = 503
    for number in range(40):
        world.add(f"t{number}", host=f"h{number}")
    for number in range(40):
        world.probe(f"t{number}")
        world.passes(40)
    assert world.outbox.pending("hook") <= 25
    world.receiver.status = 200
    for _ in range(60):
        world.passes(25)
    notices = [notice for each in world.receiver.taken for notice in each.document["notices"]]
    named = {name for notice in notices for name in notice["targets"]}
    total = sum(each.document["notices_total"] for each in world.receiver.taken)
    assert total == 40
    assert len(named) == 40


# ------------------------------------------------------------ the store


def test_a_directory_that_cannot_be_written_is_told_once_and_messages_go_on(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a directory should be")
    world.path = blocked / "notifications.db"
    world.store = OutboxFile(world.path)
    world.start()
    for _ in range(20):
        world.passes()
    _fail_and_recover(world, "a")
    assert world.receiver.titles == ["a is unhealthy", "a is healthy again"]
    told = [record.getMessage() for record in caplog.records if "in memory alone" in record.getMessage()]
    assert len(told) == 1
    assert world.state.notification_problem
    blocked.unlink()
    world.probe("b")
    for _ in range(10):
        world.passes()
    assert world.state.notification_problem == ""
    world.restart(remembered=False)
    world.probe("b")
    world.passes()
    assert world.receiver.titles[2:] == ["b is unhealthy"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/dev/full")
def test_a_full_disk_stops_no_message(world: World, tmp_path: Path) -> None:
    """A file system of its own, mounted in a namespace, in another process: where that is not allowed the
    database's own limit on pages stands in for it."""
    assert world.notifier is not None
    world.passes()
    store = world.store
    assert isinstance(store, OutboxFile)
    assert store._connection is not None
    (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
    store._connection.execute(f"PRAGMA max_page_count = {pages}")  # SQLITE_FULL, as a full disk gives it
    for number in range(5):
        _fail_and_recover(world, f"t{number}")
        world.at += 100
    assert "full" in world.state.notification_problem or len(world.receiver.taken) == 10
    assert len(world.receiver.taken) == 10
    for _ in range(10):
        world.passes()  # opened anew, without the limit
    assert world.state.notification_problem == ""


def test_a_file_that_is_deleted_or_damaged_is_begun_anew(world: World) -> None:
    world.probe("a")
    world.passes()
    world.path.unlink()
    world.probe("b")
    for _ in range(10):
        world.passes()
    assert world.path.exists()
    world.outbox.close()
    world.path.write_bytes(world.path.read_bytes()[:100] + b"junk" * 2000)
    world.store = OutboxFile(world.path)
    world.start()
    world.passes()
    assert world.state.notification_problem == ""
    assert world.path.with_name("notifications.db.corrupt").exists()


def test_a_file_of_another_program_is_left_alone(world: World, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE mine (x)")
    before = other.read_bytes()
    world.store = OutboxFile(other)
    world.start()
    _fail_and_recover(world, "a")
    assert len(world.receiver.taken) == 2
    assert "give notifications.outbox another name" in world.state.notification_problem
    assert other.read_bytes() == before


class HangingStore:
    """A `Store` whose writes take a minute."""

    name = "a store that hangs"
    settling = patience = 0.0

    def __init__(self) -> None:
        self.writes, self.release = threading.Event(), threading.Event()
        self.was_written = False

    def open(self) -> dict[str, Any]:
        return {}

    def replace(self, rows: Mapping[str, Any]) -> None: ...

    def check(self) -> None: ...

    def write(self, put: Mapping[str, Any], gone: Collection[str]) -> None:
        self.writes.set()
        self.release.wait(60)
        self.was_written = True

    def close(self) -> None: ...


def test_a_store_that_hangs_delays_no_end(world: World) -> None:
    store = world.store = HangingStore()
    world.start()
    world.probe("a")
    world.notifier.start()
    try:
        assert store.writes.wait(60)
        world.notifier.close(0.1)
        assert not store.was_written, "the end waited for it"
    finally:
        store.release.set()


def test_of_two_with_one_file_one_sends_and_the_other_takes_over(world: World) -> None:
    world.probe("a")
    world.passes()
    first, first_store = world.outbox, world.store
    world.store = OutboxFile(world.path)
    world.start()
    for _ in range(10):
        world.passes()
    assert world.outbox.taken
    assert len(world.receiver.taken) == 1
    assert first_store is not None
    first.close()
    world.probe("a", HEALTHY)
    for _ in range(10):
        world.passes()
    assert world.receiver.titles == ["a is unhealthy", "a is healthy again"]


# ------------------------------------------------------------ secrets


def test_secrets_stay_out_of_logs_files_and_the_state(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    path = "/canary-path/canary-token?key=canary-key"
    world.environ["HOOK_URL"] = f"http://127.0.0.1:{world.receiver.port}{path}"
    webhook = {"url": {"env": "HOOK_URL"}, "secret": {"env": "HOOK_SECRET"}}
    world.channels = {"hook": {"webhook": webhook}}
    world.start()
    world.probe("a")
    for status in (500, 302, 422, 404):
        world.receiver.status = status
        world.receiver.headers = {"Location": world.environ["HOOK_URL"]}
        world.passes(300)
    world.receiver.close()
    world.passes(300)
    world.environ["HOOK_URL"] = "ftp://canary-user:canary-password@canary-host/canary-token"
    world.passes(300)
    world.environ["HOOK_URL"] = f"http://127.0.0.1:1{path}"
    world.environ["HOOK_SECRET"] = "canary-short"
    world.passes(300)
    del world.environ["HOOK_SECRET"]
    world.passes(300)
    world.outbox.close()
    told = f"{caplog.text}{world.state.notifications}{world.path.read_bytes()!r}{world.outbox.head('hook')}"
    assert "canary" not in told
    assert base64.b64encode(SECRET.encode()).decode() not in told
    assert "answers 500" in told


def test_the_file_is_for_its_owner_alone(world: World) -> None:
    world.passes()
    assert world.path.stat().st_mode & 0o077 == 0


@pytest.mark.process
@pytest.mark.gate
def test_nothing_of_it_is_imported_without_a_channel() -> None:
    code = (
        "import sys\n"
        "import floe_monitor.daemon.composition\n"
        "late = ('floe_monitor.notifications', 'apprise', 'requests')\n"
        "print(*[name for name in sys.modules if name.startswith(late)])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert found.stdout.split() == []
