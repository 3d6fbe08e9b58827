"""`run` from its start to SIGTERM: what it says, what it leaves, and what it exports over OTLP."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.goldens.collector import collecting
from tests.goldens.daemon import running
from tests.goldens.normaliser import Normaliser
from tests.goldens.transcripts import HERE, fill, judge
from tests.harness.locked import needs_locked

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]  # whole daemons, on a machine that may be busy

TARGETS = 6
"""Of `inputs/probed.yaml`."""


@pytest.mark.parametrize("form", [pytest.param("console", marks=needs_locked("structlog")), "json"])
def test_log_and_exit(form: str, tmp_path: Path) -> None:
    """Lines are sorted: probes end in any order."""
    fill(tmp_path)
    with running(
        tmp_path, "watched.yaml", FLOE_MONITOR_LOG__FORMAT=form, FLOE_MONITOR_LOG__PROBES="true"
    ) as daemon:
        daemon.settle(TARGETS)
        port = str(urlsplit(daemon.url).port)
        status = daemon.stop()
    said = Normaliser(place=str(tmp_path), port=port)(daemon.said())
    left = sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "out").iterdir())
    lines = [*sorted(said.splitlines()), "", f"left: {' '.join(left)}", f"exit status: {status}"]
    judge(HERE / "run" / f"log-{form}.txt", "\n".join(lines) + "\n")


def test_otlp(tmp_path: Path) -> None:
    fill(tmp_path)
    with collecting() as collector:
        otlp = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
        with running(tmp_path, "watched.yaml", FLOE_MONITOR_LOG__FORMAT="json", **otlp) as daemon:
            daemon.settle(TARGETS)
            assert daemon.stop() == 0, daemon.said()
    shapes = Normaliser(place=str(tmp_path))("\n".join(sorted(collector.shapes)) + "\n")
    judge(HERE / "run" / "otlp.txt", shapes)
