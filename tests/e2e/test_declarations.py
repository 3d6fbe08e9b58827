"""Maintenance declared by the command line at a whole daemon, and what is left of it after a restart."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Start = Callable[..., Any]

pytestmark = [pytest.mark.e2e, pytest.mark.gate]

CONFIGURATION = """
history: {url: sqlite:///history.db}
probe: {interval: 1s}
targets:
  dev: {plugin: lab, labels: {team: core}, connection: {behave: healthy}}
  down: {plugin: lab, connection: {behave: unhealthy}}
"""


def said(daemon: Any, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "floe_monitor", *words],
        env={**os.environ, "FLOE_MONITOR_URL": daemon.url},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_holds_over_a_restart_until_it_is_ended(start_daemon: Start) -> None:
    daemon = start_daemon(CONFIGURATION)
    daemon.until(lambda: daemon.get("/readyz")[0] == 200)
    started = said(daemon, "maintenance", "start", "--label", "team=core", "--for", "3h", "-r", "new disks")
    said(daemon, "announce", "the warehouse moves", "--author", "Anna")

    def maintained(daemon: Any, target: str = "dev") -> float | None:
        value: float | None = daemon.metric("floe_compute_target_maintenance", target=target)
        return value

    daemon.until(lambda: maintained(daemon) == 1)
    assert maintained(daemon, "down") is None
    daemon.stop()  # which writes what is still to be logged
    audit = [json.loads(line) for line in daemon.log.read_text().splitlines() if '"audit"' in line]
    assert [(each["action"], each["by"]) for each in audit] == [
        ("declare maintenance", "local"),
        ("announce", "local"),
    ]
    assert "new disks" in audit[0]["outcome"]

    again = start_daemon(CONFIGURATION)
    again.until(lambda: maintained(again) == 1)
    known = json.loads(said(again, "maintenance", "list", "--format", "json"))
    [one], [announced] = known["maintenance"], known["announcements"]
    assert (one["id"], one["labels"]) == (started.split()[0], {"team": "core"})
    assert announced["author"] == "Anna"
    assert "the warehouse moves" in again.get("/", accept="text/html")[1]
    said(again, "maintenance", "end", one["id"])
    said(again, "maintenance", "end", announced["id"])
    again.until(lambda: not maintained(again))
    assert "the warehouse moves" not in again.get("/", accept="text/html")[1]
