"""What clients that mean harm cost: memory, ticks and the health route, beside the same daemon left alone."""

from __future__ import annotations

import contextlib
import socket
import statistics
import threading
import time
import urllib.request
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from benchmarks.daemons import daemon
from benchmarks.report import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.daemons import Measured

SECONDS = 8.0
CONFIGURATION = """
probe: {interval: 1s, timeout: 500ms}
targets:
  one: {plugin: lab}
  two: {plugin: lab}
  hung: {plugin: lab, connection: {behave: hang}, probe: {interval: 60s, timeout: 30s}}
"""
LAG = "floe_monitor_schedule_lag_seconds_bucket"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
ENDLESS = b"POST /nope HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
VALIDATE = b"POST /api/v1/targets/hung/validate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"

Address = tuple[str, int]


def _send(address: Address, head: bytes, block: bytes, until: float) -> None:
    """Connect and send without ever reading, again and again."""
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(address, timeout=1) as made:
            made.sendall(head)
            while time.monotonic() < until and block:
                made.sendall(block)
        time.sleep(0.02)


def _idle(_address: Address, until: float) -> None:
    time.sleep(max(0.0, until - time.monotonic()))


def _pipeline(address: Address, until: float) -> None:
    _send(address, b"", HEALTH * 4_000, until)


def _trailers(address: Address, until: float) -> None:
    _send(address, ENDLESS, b"".join(b"T%d: %s\r\n" % (n, b"x" * 20) for n in range(4_000)), until)


def _validate(address: Address, until: float) -> None:
    """One of many clients that wait for the same hung probe; whoever is refused asks again."""
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(address, timeout=1) as made:
            made.settimeout(max(0.01, until - time.monotonic()))
            made.sendall(VALIDATE)
            made.recv(4_096)
        time.sleep(0.2)


ATTACKS: tuple[tuple[str, Callable[[Address, float], None], int], ...] = (
    ("nothing (control)", _idle, 1),
    ("1 client pipelines and never reads", _pipeline, 1),
    ("300 clients pipeline and never read", _pipeline, 300),
    ("1 client sends trailer fields without end", _trailers, 1),
    ("300 clients validate a target that hangs", _validate, 300),
)


def _late(before: dict[str, float], after: dict[str, float]) -> float:
    """The share of ticks, in between, that were more than half a second late."""
    counted = {series: value - before.get(series, 0.0) for series, value in after.items() if LAG in series}
    total = next(value for series, value in counted.items() if 'le="+Inf"' in series)
    in_time = next(value for series, value in counted.items() if 'le="0.5"' in series)
    return (total - in_time) / total if total else 1.0


def _attack(measured: Measured, attack: Callable[[Address, float], None], clients: int) -> dict[str, float]:
    url = urlsplit(measured.url)
    address = (url.hostname or "127.0.0.1", url.port or 80)
    before, most = measured.megabytes, measured.megabytes
    ticks = measured.metrics()
    until = time.monotonic() + SECONDS
    threads = [threading.Thread(target=attack, args=(address, until), daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    answered: list[float] = []
    asked = 0
    while time.monotonic() < until:
        asked += 1
        began = time.perf_counter()
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(f"{measured.url}/healthz", timeout=5) as answer:  # noqa: S310 - loopback
                answer.read()
            answered.append(time.perf_counter() - began)
        most = max(most, measured.megabytes)
        time.sleep(0.1)
    for thread in threads:
        thread.join(10)
    time.sleep(1)
    return {
        "grown": most - before,
        "kept": measured.megabytes - before,
        "late": _late(ticks, measured.metrics()),
        "unanswered": (asked - len(answered)) / asked,
        "median": statistics.median(answered) if answered else float("inf"),
        "slowest": max(answered, default=float("inf")),
    }


def rows() -> Iterator[Row]:
    with daemon(CONFIGURATION) as measured:
        for name, attack, clients in ATTACKS:
            found = _attack(measured, attack, clients)
            yield Row(
                f"{name}: memory",
                f"+{found['grown']:.0f} MB",
                "kept < 20 MB",
                found["kept"] < 20,
                f"{found['kept']:+.0f} MB a second after the end",
            )
            yield Row(
                f"{name}: /healthz",
                f"{found['median'] * 1000:.0f} ms",
                "all answered",
                not found["unanswered"],
                f"median; slowest {found['slowest'] * 1000:.0f} ms, {found['unanswered']:.0%} unanswered",
            )
            yield Row(
                f"{name}: ticks over 0.5 s late",
                f"{found['late']:.0%}",
                "none",
                not found["late"],
                "the daemon's own lag histogram, targets at 1 s",
            )
