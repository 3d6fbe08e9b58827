from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import threading
import warnings
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from floe_monitor.compute.models import ConnectionStatus, ExpiryKind
from floe_monitor.compute.redaction.current import knowing_secrets_of
from floe_monitor.compute.redaction.redactor import Redactor
from floe_monitor.domain.events import (
    Acted,
    ConfigReloaded,
    ConnectivityLost,
    ConnectivityRegained,
    LateReturn,
    MaintenanceBegan,
    MaintenanceEnded,
    ProfileReconciled,
    TargetHung,
    TargetStale,
    TickSkipped,
)
from floe_monitor.domain.expiry import WatchedExpiry
from floe_monitor.domain.health import HealthStatus, Transition
from floe_monitor.settings.models import LogSettings
from floe_monitor.telemetry.fanout import Drops
from floe_monitor.telemetry.log_sink import LogSink
from floe_monitor.telemetry.log_writer import LogWriter
from floe_monitor.telemetry.logs import configure_logging

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.telemetry.conftest import MakeFinished

    Logged = Callable[..., "Iterator[list[dict[str, Any]]]"]

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus


class Capture:
    """Configured logging, and what it wrote."""

    def __init__(self, **settings: Any) -> None:
        self.settings = LogSettings(**settings)
        self.stream = io.StringIO()
        self.writer = configure_logging(self.settings, self.stream)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().splitlines()]

    def text(self) -> str:
        assert self.writer.close(5)
        return self.stream.getvalue()


def test_one_line_per_change_of_status_and_its_level(make_finished: MakeFinished) -> None:
    capture = Capture()
    sink = LogSink(capture.settings)
    for status in (HEALTHY, DEGRADED, UNHEALTHY):
        sink.handle(make_finished(status, changed=True, trace_id="ab" * 16, span_id="cd" * 8))
        for _ in range(3):
            sink.handle(make_finished(status))
    lines = capture.lines()
    assert [line["level"] for line in lines] == ["info", "warning", "error"]
    last = lines[-1]
    assert last["event"] == "target dev is unhealthy"
    assert last["correlation_id"] == "c0ffee"
    assert last["trace_id"] == "ab" * 16
    assert last["span_id"] == "cd" * 8
    assert last["error_type"] == "connection"
    assert last["duration_ms"] == 12.0
    assert last["timestamp"].endswith("Z")


def test_a_line_per_probe_when_asked(make_finished: MakeFinished) -> None:
    capture = Capture(probes=True)
    sink = LogSink(capture.settings)
    sink.handle(make_finished(changed=True))
    sink.handle(make_finished())
    assert [line["event"] for line in capture.lines()] == [
        "target dev is healthy",
        "probe finished",
        "probe finished",
    ]


def test_what_expires_soon_is_a_line_a_day(make_finished: MakeFinished) -> None:
    capture = Capture()
    sink = LogSink(capture.settings)
    at = 1_700_000_000.25 + 600
    far = WatchedExpiry(ExpiryKind.SERVER_CERTIFICATE, at + 86_400, "", 3_600.0)
    near = WatchedExpiry(ExpiryKind.TOKEN, at, "the token in credentials.token", 3_600.0)
    for _ in range(3):
        sink.handle(make_finished(expiries=(far, near)))
    for _ in range(3):
        sink.handle(make_finished(expiries=(far, replace(near, at=at + 300))))
    sink.handle(ConfigReloaded(1.0, removed=("dev",)))
    sink.handle(make_finished(expiries=(replace(near, at=at + 300),)))
    lines = [line for line in capture.lines() if line["event"] != "configuration loaded"]
    assert [(line["level"], line["what"], line["expires_at"]) for line in lines] == [
        ("warning", "token", "2023-11-14T22:23:20.250Z"),
        ("warning", "token", "2023-11-14T22:28:20.250Z"),
        ("warning", "token", "2023-11-14T22:28:20.250Z"),
    ]
    first = "target dev: the token in credentials.token expires in 9 minutes: 2023-11-14 22:23:20 UTC"
    assert lines[0]["event"] == first


def test_maintenance_and_the_own_connectivity_are_a_line_each() -> None:
    capture = Capture()
    sink = LogSink(capture.settings)
    many = tuple(f"t{number}" for number in range(25))
    sink.handle(MaintenanceBegan(many, "disks are moved", 1_700_000_000.5))
    sink.handle(MaintenanceEnded(("dev",), "", 1_700_000_000.5, 1_700_000_060.5))
    sink.handle(ConnectivityLost(4))
    sink.handle(ConnectivityRegained(61.25))
    began, ended, lost, regained = capture.lines()
    assert (began["level"], began["event"], began["reason"]) == (
        "info",
        "maintenance began",
        "disks are moved",
    )
    assert began["until"] == "2023-11-14T22:13:20.500Z"
    assert began["targets"][-1] == "and 5 more"
    assert (ended["event"], ended["targets"], "reason" in ended) == ("maintenance ended", ["dev"], False)
    assert (lost["level"], lost["targets"]) == ("error", 4)
    assert (regained["level"], regained["lasted_seconds"]) == ("info", 61.25)


@pytest.mark.parametrize("level", ["info", "error"])
def test_every_act_is_a_line_whatever_the_level_and_refused_ones_are_few(level: str) -> None:
    capture = Capture(level=level)
    sink = LogSink(capture.settings)
    for _ in range(30):
        sink.handle(Acted(1.0, "validate", "dev", "token ci", "198.51.100.7", "healthy", 200))
    for client in ("198.51.100.8", "198.51.100.9"):
        for _ in range(30):
            sink.handle(Acted(2.0, "reload", None, "anonymous", client, "refused", 401))
    lines = capture.lines()
    assert {line["event"] for line in lines} == {"audit"}
    done = {
        "action": "validate",
        "target": "dev",
        "by": "token ci",
        "client": "198.51.100.7",
        "outcome": "healthy",
        "http_status": 200,
    }
    assert sum(done.items() <= line.items() and line["level"] == "info" for line in lines) == 30
    refused = Counter(line["client"] for line in lines if line["outcome"] == "refused")
    assert refused == {"198.51.100.8": 10, "198.51.100.9": 10}
    assert all(line["level"] == "warning" and "target" not in line for line in lines[30:])


def test_reloads_profiles_and_workers() -> None:
    capture = Capture(level="debug")
    sink = LogSink(capture.settings)
    sink.handle(ConfigReloaded(1.0, added=tuple(f"t{number}" for number in range(25))))
    sink.handle(ConfigReloaded(2.0, problems=("config.yaml:12:5: unknown key", "config.yaml:14:1: bad")))
    refused = ProfileReconciled("p", "refused", 1.0, "not YAML")
    for event in (refused, refused, ProfileReconciled("p", "written", 2.0), refused):
        sink.handle(event)
    sink.handle(LateReturn("dev", "duckdb", 3.0))
    sink.handle(TickSkipped("dev", "duckdb", "stuck"))
    sink.handle(TargetStale("dev", "duckdb", 95.0))
    hang = Transition(HealthStatus.HEALTHY, HealthStatus.UNHEALTHY, 3.0, 2.0)
    sink.handle(TargetHung("dev", "duckdb", hang))
    sink.handle(ConfigReloaded(4.0, waiting=("http",)))
    lines = capture.lines()
    assert lines[0]["added"][-1] == "and 5 more"
    assert [line["problem"] for line in lines[1:3]] == [
        "config.yaml:12:5: unknown key",
        "config.yaml:14:1: bad",
    ]
    assert [(line["event"], line["level"]) for line in lines[1:]] == [
        ("configuration refused", "error"),
        ("configuration refused", "error"),
        ("profile refused", "error"),
        ("profile written", "info"),
        ("profile refused", "error"),
        ("stuck worker returned", "info"),
        ("tick skipped", "debug"),
        ("target dev is unknown: no probe of it could run", "warning"),
        ("target dev is unhealthy: its validation still hangs", "error"),
        ("configuration loaded", "info"),
    ]
    assert lines[-1]["waiting_for_restart"] == ["http"]


def test_the_console_shows_one_line_whatever_is_in_it(make_finished: MakeFinished) -> None:
    capture = Capture(format="console")
    message = "first\nsecond\x1b[2Jgone"
    LogSink(capture.settings).handle(make_finished(UNHEALTHY, changed=True, message=message))
    text = capture.text()
    assert len(text.splitlines()) == 1
    assert "\x1b" not in text
    assert "first\\x0asecond" in text


def test_others_logging_comes_the_same_way_without_their_secrets() -> None:
    capture = Capture(level="info")
    logging.getLogger("uvicorn.error").warning("cannot bind %s", "127.0.0.1")
    logging.getLogger("uvicorn.error").info("not worth a line")
    logging.getLogger("floe_monitor.http").info("listening on %d", 9464)
    driver = logging.getLogger("some.driver")
    driver.debug("dsn is hunter2")
    driver.info("dsn is hunter2")
    driver.warning("cannot log in as %s", "hunter2")
    driver.error("cannot log in as hunter2")
    logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: hunter2")
    try:
        int("hunter2")
    except ValueError:
        logging.getLogger("floe_monitor.daemon").exception("it broke")
        structlog.get_logger().error("it broke", exc_info=sys.exc_info()[1])
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn_explicit("hunter2", RuntimeWarning, "driver.py", 3)
    text = capture.text()
    assert "hunter2" not in text
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["event"] for line in lines][:6] == [
        "cannot bind 127.0.0.1",
        "listening on 9464",
        "cannot log in as %s",
        "(text withheld: it may hold a credential)",
        "Task exception was never retrieved",
        "it broke",
    ]
    assert lines[5]["error"] == lines[6]["error"] == "ValueError"
    assert "test_logs.py" in lines[6]["frames"][0]


def test_in_a_validation_nothing_of_a_line_has_its_secrets() -> None:
    capture = Capture()
    made = type("hunter2Error", (Exception,), {})
    with knowing_secrets_of(Redactor(["hunter2"])):
        logging.getLogger("driver.hunter2").error("hun\x1b[1mter2 refused by %s", "hunter2")
        logging.getLogger("floe_monitor.x").error("refused: %s", "HUNTER2", exc_info=made("hunter2"))
        structlog.get_logger().warning("hunter2", words=["hunter2"], count=3)
    logging.getLogger("floe_monitor.x").error("later", exc_info=made())
    first, second, third, fourth = capture.lines()
    assert (first["event"], first["logger"]) == ("*** refused by %s", "driver.***")
    assert (second["event"], second["error"]) == ("refused: ***", "(a class made at run time)")
    assert (third["event"], third["words"], third["count"]) == ("***", "['***']", 3)
    assert fourth["error"] == "(a class made at run time)"


def test_an_exception_in_a_thread_is_told_by_class_and_place() -> None:
    capture = Capture()

    def fail() -> None:
        raise RuntimeError("hunter2")

    thread = threading.Thread(target=fail, name="hunter2")
    thread.start()
    thread.join()
    (line,) = capture.lines()
    assert line["event"].startswith("a thread ended: RuntimeError at ")
    assert "hunter2" not in json.dumps(line)


def test_closing_puts_everything_back() -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level, threading.excepthook, sys.unraisablehook, structlog.get_config()
    Capture().text()
    assert before == (
        root.handlers[:],
        root.level,
        threading.excepthook,
        sys.unraisablehook,
        structlog.get_config(),
    )


def test_a_pipe_nobody_reads_never_blocks_and_the_loss_is_counted_and_told(within: Any) -> None:
    reader, writing = os.pipe()
    drops = Drops()
    with os.fdopen(writing, "w") as stream:
        writer = LogWriter(stream, drops, capacity=2000)
        for number in range(5000):
            with within(0.4):
                writer.write(f"{number} " + "x" * 100)
        lost = drops["log"]
        assert lost >= 5000 - 2000 - 2 * 65536 // 100
        with within(0.2, margin=1.8):
            assert not writer.close(0.2)
        # Somebody reads after all: what was queued arrives, and the loss is told.
        received: list[bytes] = []
        drain = threading.Thread(target=lambda: received.extend(iter(lambda: os.read(reader, 65536), b"")))
        drain.start()
        assert writer.close(10)
    drain.join(10)
    os.close(reader)
    lines = b"".join(received).decode().splitlines()
    assert any(line.endswith("log lines were lost") for line in lines)


@pytest.mark.parametrize("how", ["reader gone", "closed", "none"])
def test_a_stream_that_fails_is_survived(how: str) -> None:
    drops = Drops()
    reader, writing = os.pipe()
    stream = os.fdopen(writing, "w")
    writer = LogWriter(None if how == "none" else stream, drops)
    os.close(reader)
    if how == "closed":
        stream.close()
    for _ in range(10):
        writer.write("lost")
    assert writer.close(5)
    assert drops["log"] == 10
    stream.close()


BLOCKED = """
import sys, threading
from floe_monitor.settings.models import LogSettings
from floe_monitor.telemetry.logs import configure_logging, get_logger
writer = configure_logging(LogSettings(), sys.stderr)
log = get_logger()
for number in range(20_000):
    log.info("line", number=number, filling="x" * 100)
print("logged", flush=True)
writer.close(0.5)
print("closed", flush=True)
"""


@pytest.mark.process
def test_a_process_whose_standard_error_is_full_goes_on_and_ends() -> None:
    reader, writing = os.pipe()  # nobody reads it
    try:
        done = subprocess.run(
            [sys.executable, "-c", BLOCKED], stdout=subprocess.PIPE, stderr=writing, timeout=120, check=False
        )
    finally:
        os.close(reader)
        os.close(writing)
    assert done.stdout.split() == [b"logged", b"closed"]
    assert done.returncode == 0


@pytest.mark.process
def test_a_process_without_standard_error_goes_on() -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, BLOCKED],
        stdout=subprocess.PIPE,
        timeout=120,
        check=False,
    )
    assert done.stdout.split() == [b"logged", b"closed"]
    assert done.returncode == 0
