"""Clients that mean harm, beside the same daemon left alone: what it holds, if ticks and health go on."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.e2e, pytest.mark.gate]

SECONDS = 2.0
CONFIGURATION = """
probe: {interval: 250ms, timeout: 200ms}
targets:
  one: {plugin: lab}
  two: {plugin: lab}
  hung: {plugin: lab, connection: {behave: hang}, probe: {interval: 60s, timeout: 30s}}
"""
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
ENDLESS = b"POST /nope HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
VALIDATE = b"POST /api/v1/targets/hung/validate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"

ATTACKS = {
    "pipelining": (b"", HEALTH * 4_000, 1),
    "pipelining by many": (b"", HEALTH * 4_000, 280),
    "trailer fields": (ENDLESS, b"".join(b"T%d: xxxxxxxxxxxxxxxxxxxx\r\n" % n for n in range(4_000)), 1),
    "validations": (VALIDATE, b"", 280),
}


def attack(address: tuple[str, int], head: bytes, block: bytes, until: float) -> None:
    """Connect, send and never read, again and again; without a block hold the connection."""
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(address, timeout=0.5) as made:
            made.sendall(head)
            while block and time.monotonic() < until:
                made.sendall(block)
            time.sleep(max(0.0, until - time.monotonic()))


def megabytes(process: int, kind: str) -> float:
    match = re.search(rf"{kind}:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    assert match is not None
    return int(match.group(1)) / 1024


def probes(daemon: Any) -> float:
    found = daemon.metric("floe_monitor_schedule_lag_seconds_count")
    assert found is not None
    return float(found)


@pytest.mark.parametrize("kind", ATTACKS)
def test_neither_memory_nor_ticks_nor_health_suffer(start_daemon: Callable[..., Any], kind: str) -> None:
    head, block, clients = ATTACKS[kind]
    daemon = start_daemon(CONFIGURATION)
    daemon.until(lambda: daemon.get("/readyz")[0] == 200 or probes(daemon) > 4)
    url = urlsplit(daemon.url)

    def probed_in(clients: int) -> float:
        """Probes a second while so many attack. Each of their health checks must be answered."""
        until = time.monotonic() + SECONDS
        threads = [
            threading.Thread(target=attack, args=((url.hostname, url.port), head, block, until), daemon=True)
            for _ in range(clients)
        ]
        before, began = probes(daemon), time.monotonic()
        for thread in threads:
            thread.start()
        while time.monotonic() < until:
            assert daemon.get("/healthz", timeout=30)[0] == 200
            time.sleep(0.05)
        for thread in threads:
            thread.join(30)
        return (probes(daemon) - before) / (time.monotonic() - began)

    control = probed_in(0)
    held = megabytes(daemon.process.pid, "VmHWM")
    attacked = probed_in(clients)
    # The attackers' threads take their share of the machine as well.
    assert attacked > control / 4
    assert megabytes(daemon.process.pid, "VmHWM") - held < 60
