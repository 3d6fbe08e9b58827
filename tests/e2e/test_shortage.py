"""The whole daemon at its limits: it says so, blames no target, and stops in order."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Start = Callable[..., Any]

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits another process"),
]

CONFIGURATION = """
probe: {interval: 250ms, timeout: 100s}
profiles: [{name: floe, path: profiles.yml, reconcile_interval: 1s}]
reload: {poll_interval: 1s}
targets: {one: {plugin: lab}, two: {plugin: lab}}
"""

NO_DESCRIPTORS = "the monitor has no more file descriptors (the limit of this process)"


def status_of(daemon: Any) -> dict[str, str]:
    listed = json.loads(daemon.get("/api/v1/targets")[1])["targets"]
    return {target["name"]: target["status"] for target in listed}


def test_a_client_storm_without_descriptors_fills_no_log(start_daemon: Start) -> None:
    daemon = start_daemon(CONFIGURATION)
    pid = daemon.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    assert soft == min(hard, 1 << 20)
    daemon.until(lambda: daemon.get("/readyz")[0] == 200)
    said = len(daemon.log.read_text().splitlines())
    address = urlsplit(daemon.url)
    # What is open stays open, and nothing can be opened.
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))
    with contextlib.ExitStack() as clients:
        for _ in range(100):
            made = clients.enter_context(socket.socket())
            made.settimeout(1)
            with contextlib.suppress(OSError):
                made.connect((address.hostname, address.port))
        time.sleep(2)  # a longer time would show an excess all the more
    lines = daemon.log.read_text().splitlines()[said:]
    assert len(lines) < 40, "\n".join(lines[:60])
    assert any(f"{NO_DESCRIPTORS}: probes that need it are skipped" in line for line in lines)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
    daemon.until(lambda: daemon.get("/healthz", timeout=2)[1] == "ok\n")
    assert status_of(daemon) == {"one": "healthy", "two": "healthy"}
    assert daemon.metric("floe_monitor_probes_skipped_total", plugin="lab", reason="shortage")
    assert daemon.stop() == 0


def test_health_is_answered_where_a_driver_has_taken_every_descriptor(start_daemon: Start) -> None:
    daemon = start_daemon(CONFIGURATION)
    daemon.until(lambda: daemon.get("/readyz")[0] == 200)
    _, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (400, hard))
    leaking = "three: {plugin: lab, connection: {behave: exhaust_descriptors}}"
    daemon.config.write_text(CONFIGURATION.replace("{plugin: lab}}", "{plugin: lab}, " + leaking + "}"))
    daemon.until(lambda: NO_DESCRIPTORS in daemon.get("/healthz", timeout=5)[1])
    for _ in range(50):  # more than are in reserve: each is given back
        status, said = daemon.get("/healthz", timeout=30)
        assert (status, said.splitlines()[0]) == (200, "ok")
    assert status_of(daemon) == {"one": "healthy", "two": "healthy", "three": "unknown"}
    assert daemon.stop() == 0


def test_a_daemon_without_threads_goes_on_and_stops_in_order(start_daemon: Start) -> None:
    daemon = start_daemon(CONFIGURATION, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    daemon.until(lambda: daemon.get("/readyz")[0] == 200)
    last = "last: {plugin: lab, connection: {behave: forbid_threads}}"
    daemon.config.write_text(CONFIGURATION.replace("{plugin: lab}}", "{plugin: lab}, " + last + "}"))
    daemon.until(lambda: status_of(daemon).get("last") == "healthy")
    daemon.config.write_text(CONFIGURATION)
    daemon.process.send_signal(signal.SIGHUP)
    # Idle threads of the former time may serve for a while: what there is goes on.
    probed = probes(daemon)
    daemon.until(lambda: probes(daemon) > probed)
    assert daemon.get("/healthz")[0] == 200
    assert status_of(daemon)["one"] == "healthy"
    assert daemon.stop() == 0


def probes(daemon: Any) -> float:
    return float(daemon.metric("floe_monitor_schedule_lag_seconds_count") or 0)


WATCHING = """
import logging, os, platform, resource, sys, threading, time
from pathlib import Path
import anyio, anyio._backends._asyncio, watchfiles._rust_notify
from floe_monitor.profiles.directory_watch import DirectoryWatch
from floe_monitor.settings import load
from floe_monitor.settings.watcher import ConfigWatcher
folder = Path(sys.argv[1])
loaded = load(folder / "floe-monitor.yaml", {})
async def tick(watcher, folders):
    async for event in watcher._ticks(folders):
        return event
async def watch():
    watcher = ConfigWatcher(lambda: loaded, 0.1)
    from floe_monitor.settings.watcher import _folders
    print(await tick(watcher, _folders([folder / "floe-monitor.yaml"])), watcher.problem)
os.setgid(54321); os.setuid(54321)
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
try:
    threading.Thread(target=print).start()
    sys.exit("threads can be started")
except RuntimeError:
    pass
print(DirectoryWatch("watch", [folder / "profiles.yml"], print).alive)
anyio.run(watch)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_watching_files_without_threads_ends_no_process() -> None:
    """The watcher's native code aborts where it cannot start its own."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o755)
        (folder / "floe-monitor.yaml").write_text("targets: {}")
        command = [sys.executable, "-c", WATCHING, made]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout.splitlines()) == (
        0,
        ["False", "False files cannot be watched (MonitorResourceError): polling instead"],
    ), done.stderr
