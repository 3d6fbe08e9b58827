"""Signals and faults at awkward moments: before the loop, in the last flush, while something hangs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.profiles.locks import owner_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Start = Callable[..., Any]

pytestmark = pytest.mark.e2e

SCRIPT = """
import os, signal, sys
from floe_monitor.daemon.signals import Signals
signals = Signals()
os.kill(os.getpid(), signal.SIGHUP)
if sys.argv[1] == "early":
    os.kill(os.getpid(), signal.SIGTERM)
    print("not reached")
signals.connect(lambda number: print("stop", number.name, flush=True), lambda: print("reload", flush=True))
os.kill(os.getpid(), signal.SIGTERM)
os.kill(os.getpid(), signal.SIGINT)
print("once", flush=True)
import time
time.sleep(1.1)
os.kill(os.getpid(), signal.SIGTERM)
print("not reached")
"""


@pytest.mark.parametrize(("moment", "said"), [("early", ""), ("late", "reload\nstop SIGTERM\nonce\n")])
def test_signals_before_and_after_the_loop_has_them(moment: str, said: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, moment], capture_output=True, text=True, check=False, timeout=120
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, said, "")


def test_a_reload_that_hangs_holds_up_neither_health_nor_the_stop(
    start_daemon: Start, tmp_path: Path, within: Any
) -> None:
    slow = tmp_path / "slow"
    info = slow / "floe_slow-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: floe-slow\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[floe.computes]\nslow = floe_slow:Plugin\n")
    (slow / "floe_slow.py").write_text(
        f"import time, pathlib\npathlib.Path({str(tmp_path / 'begun')!r}).touch()\ntime.sleep(600)\n"
    )
    path = os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(slow)])
    daemon = start_daemon("reload: {watch: false}\ntargets: {one: {plugin: duckdb}}", PYTHONPATH=path)
    daemon.until(lambda: daemon.get("/readyz")[0] == 200)
    daemon.config.write_text("targets: {two: {plugin: slow}}")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.until((tmp_path / "begun").exists)
    asked = [threading.Thread(target=_post, args=(daemon,), daemon=True) for _ in range(20)]
    for thread in asked:
        thread.start()
    daemon.process.send_signal(signal.SIGHUP)
    assert daemon.get("/healthz")[0] == 200
    with within(3, margin=3):
        assert daemon.stop() == 0


def _post(daemon: Any) -> None:
    try:
        daemon.post("/-/reload")
    except OSError:
        return  # cut by the stop


@pytest.fixture
def hung_collector() -> Iterator[str]:
    """A collector that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_signals_during_the_last_flush(start_daemon: Start, hung_collector: str, within: Any) -> None:
    daemon = start_daemon(
        "targets: {one: {plugin: lab}}\nshutdown_grace: 80s",  # of which half is for the last flush
        OTEL_EXPORTER_OTLP_ENDPOINT=hung_collector,
        OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
    )
    daemon.until(lambda: daemon.get("/readyz")[0] == 200)
    daemon.process.send_signal(signal.SIGTERM)
    stopping = time.monotonic()
    with pytest.raises(OSError):  # noqa: PT012, PT011 - refused or reset: the server has gone
        while time.monotonic() - stopping < 20:
            daemon.get("/healthz", timeout=0.5)
    daemon.process.send_signal(signal.SIGHUP)
    time.sleep(max(0.2, stopping + 1.2 - time.monotonic()))
    was_flushing = daemon.process.poll() is None
    with within(1, margin=2):
        assert daemon.stop() == 0
    assert was_flushing


@pytest.mark.parametrize("how", ["raise ValueError('it broke')", "asyncio.current_task().cancel()"])
def test_a_scheduler_that_dies_ends_the_daemon_loudly(how: str, tmp_path: Path) -> None:
    config = tmp_path / "floe-monitor.yaml"
    config.write_text("http: {port: 0}\nlog: {format: json}\ntargets: {dev: {plugin: duckdb}}")
    script = (
        "import asyncio, sys\n"
        "from floe_monitor.probing.scheduler import Scheduler\n"
        f"def tick(*_): {how}\n"
        "Scheduler._tick = tick\n"
        "from floe_monitor.cli import main\n"
        f"main(['run', '--config', {str(config)!r}])\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120
    )
    assert ended.returncode == 70, ended.stderr
    assert "an unexpected error" in ended.stderr
    assert "Error" in ended.stderr
    assert "it broke" not in ended.stderr  # an exception's text may quote a credential


def test_a_storm_of_reloads_is_answered_and_shared(start_daemon: Start) -> None:
    target = "{{plugin: lab, connection: {{behave: hang, n: {}}}}}"
    text = f"probe: {{{{interval: 1s, timeout: 100ms}}}}\ntargets: {{{{one: {target}}}}}"
    daemon = start_daemon(text.format(0))
    daemon.until(lambda: daemon.get("/readyz")[0] == 200)
    answers: list[int] = []

    def ask() -> None:
        answers.extend(daemon.post("/-/reload")[0] for _ in range(5))

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(40)]
    for thread in threads:
        thread.start()
    for number in range(1, 40):
        daemon.config.write_text(text.format(number))
        daemon.process.send_signal(signal.SIGHUP)
        time.sleep(0.02)
    for thread in threads:
        thread.join(30)
    assert set(answers) <= {200, 422}  # a file half written may have been read
    assert len(answers) == 200

    def generation() -> int:
        return int(json.loads(daemon.get("/api/v1/status")[1])["configuration"]["generation"])

    assert generation() < 200
    status, answer = daemon.post("/-/reload")
    assert status == 200, answer
    configuration = json.loads(daemon.get("/api/v1/targets/one")[1])["configuration"]
    assert configuration["connection"]["n"] == 39
    assert daemon.get("/healthz")[0] in (200, 503)
    assert daemon.stop() == 0


def test_a_full_pipe_for_standard_error_holds_up_nothing(tmp_path: Path, within: Any) -> None:
    config = tmp_path / "floe-monitor.yaml"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config.write_text(f"http: {{port: {port}}}\nshutdown_grace: 5s\ntargets: {{dev: {{plugin: duckdb}}}}")
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(theirs, b"x" * 4096)
    os.set_blocking(theirs, True)
    process = subprocess.Popen(
        [sys.executable, "-m", "floe_monitor", "run", "--config", str(config)], stderr=theirs
    )
    try:
        give_up = time.monotonic() + 60
        while not _answers(f"http://127.0.0.1:{port}/readyz"):
            assert time.monotonic() < give_up
            time.sleep(0.1)
        with within(2, margin=3):
            process.terminate()
            assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait(60)
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_outlives_the_daemon(start_daemon: Start, tmp_path: Path, number: int) -> None:
    """Neither the children of process isolation nor what a plugin started in them."""
    daemon = start_daemon(
        "probe: {timeout: 60s, isolation: process}\nshutdown_grace: 1s\ntargets:\n"
        "  hung: {plugin: lab, connection: {behave: hang}}\n"
        "  forks: {plugin: lab, connection: {behave: spawn_and_hang}}\n",
        MARK=str(tmp_path),
    )

    def marked() -> set[int]:
        return {pid for pid in _pids() if f"MARK={tmp_path}" in _environ(pid)}

    daemon.until(lambda: len(marked()) == 4)  # the daemon, two children, and one of a child
    daemon.process.send_signal(number)
    assert daemon.process.wait(60) == (0 if number == signal.SIGTERM else -number)
    give_up = time.monotonic() + 60
    while left := marked():
        assert time.monotonic() < give_up, left
        time.sleep(0.02)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310 - loopback
            return bool(answer.status == 200)
    except OSError:
        return False


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _environ(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/environ").read_text(errors="replace")
    except OSError:
        return ""


def test_a_plugin_that_forks_leaves_no_child_with_the_port_or_the_lock(
    start_daemon: Start, tmp_path: Path
) -> None:
    daemon = start_daemon(
        """
profiles: [{name: floe, path: profiles.yml}]
probe: {interval: 600s}
targets: {quiet: {plugin: lab}, forking: {plugin: lab, connection: {behave: fork_and_stay}}}
"""
    )
    daemon.until(lambda: daemon.get("/readyz")[0] == 200)
    child = int(json.loads(daemon.get("/api/v1/targets/forking")[1])["history"][0]["message"])
    try:
        assert daemon.stop() == 0
        os.kill(child, 0)  # it lives on
        with socket.socket() as port:
            port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            port.bind(("127.0.0.1", int(daemon.url.rpartition(":")[2])))
            port.listen()
        owner_lock(tmp_path / "profiles.yml", "floe").acquire()
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("seconds", [0, 600], ids=["returned", "still there"])
def test_a_plugin_that_moves_the_process_moves_no_profile(
    seconds: int, start_daemon: Start, tmp_path: Path
) -> None:
    path = tmp_path / "made" / "profiles.yml"
    daemon = start_daemon(
        f"""
probe: {{interval: 100ms, timeout: 700s}}
profiles: [{{name: floe, path: made/profiles.yml, reconcile_interval: 200ms}}]
targets: {{one: {{plugin: lab, connection: {{behave: wander, seconds: {seconds}}}}}}}
"""
    )
    directory = Path(f"/proc/{daemon.process.pid}/cwd")
    if seconds:
        daemon.until(lambda: directory.readlink() == Path("/"))
    daemon.until(path.exists)
    path.unlink()
    daemon.until(path.exists)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    daemon.config.write_text("profiles: [{name: other, path: other.yml}]\ntargets: {one: {plugin: lab}}")
    daemon.until((tmp_path / "other.yml").exists)


@pytest.mark.gate
def test_a_driver_that_holds_the_interpreters_lock_ends_the_daemon(start_daemon: Start) -> None:
    daemon = start_daemon("targets: {well: {plugin: lab}}")
    well_until = time.monotonic() + 17  # longer than the limit: it was armed anew
    while time.monotonic() < well_until:
        assert daemon.get("/healthz")[0] == 200
        time.sleep(0.5)
    daemon.config.write_text("targets: {ill: {plugin: lab, connection: {behave: hold_the_lock}}}")
    assert daemon.process.wait(100) == 1
    said = daemon.log.read_text()
    assert "Timeout (0:00:15)!" in said
    assert "in _hold_the_lock" in said
