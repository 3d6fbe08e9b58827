from __future__ import annotations

import io
import json
import logging

from floe_monitor.domain.events import ConfigReloaded
from floe_monitor.settings.models import LogSettings
from floe_monitor.telemetry.log_sink import LogSink
from floe_monitor.telemetry.logs import configure_logging
from floe_monitor.telemetry.rate_limit import BURST, WINDOW_SECONDS, RateLimit


def test_a_kind_is_withheld_and_counted_until_its_window_is_over() -> None:
    now = [0.0]
    limit = RateLimit(clock=lambda: now[0])
    assert [limit.admit("kind") for _ in range(BURST + 5)] == [0] * BURST + [None] * 5
    assert limit.admit("another") == 0
    now[0] = WINDOW_SECONDS
    assert limit.admit("kind") == 5
    assert limit.admit("kind") == 0


def test_kinds_without_end_are_forgotten() -> None:
    limit = RateLimit(clock=lambda: 0.0)
    for number in range(5_000):
        assert limit.admit(number) == 0
    assert len(limit._kinds) == 1_000


def written(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_failure_that_repeats_is_written_a_few_times() -> None:
    stream = io.StringIO()
    writer = configure_logging(LogSettings(format="json"), stream)
    for number in range(1_000):
        logging.getLogger("floe_monitor.lab").error("it failed %d times", number)
    logging.getLogger("floe_monitor.lab").error("something else")
    assert writer.close(60)
    assert [line["event"] for line in written(stream)] == [
        *(f"it failed {number} times" for number in range(BURST)),
        "something else",
    ]


def test_reloads_that_clients_ask_for_are_written_a_few_times() -> None:
    stream = io.StringIO()
    writer = configure_logging(LogSettings(format="json"), stream)
    sink = LogSink(LogSettings())
    for _ in range(100):
        sink.handle(ConfigReloaded(1.0))
        sink.handle(ConfigReloaded(1.0, problems=("a.yaml:1: wrong",)))
    sink.handle(ConfigReloaded(1.0, added=("new",)))
    assert writer.close(60)
    events = [line["event"] for line in written(stream)]
    assert events.count("configuration refused") == BURST
    assert events.count("configuration loaded") == BURST + 1
