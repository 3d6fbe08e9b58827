"""Calls aside, name look-ups above all: shared, bounded, told apart."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.compute import ComputeConnectionError, ComputeTimeoutError
from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, list[str]]]:
    """A system resolver that answers on command, and the names it was asked for."""
    answer, asked = threading.Event(), []

    def getaddrinfo(name: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(name)
        answer.wait(30)
        return [(0, 0, 0, "", ("127.0.0.1", 0)), (0, 0, 0, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield answer, asked
    answer.set()


def test_addresses_need_no_lookup(slow: tuple[threading.Event, list[str]]) -> None:
    calls = BlockingCalls()
    assert calls.resolve("127.0.0.1", 0) == ["127.0.0.1"]
    assert calls.resolve("::1", 0) == ["::1"]
    assert slow[1] == []


def test_a_second_lookup_joins_the_first(slow: tuple[threading.Event, list[str]]) -> None:
    calls = BlockingCalls()
    for _ in range(3):
        with pytest.raises(ComputeTimeoutError, match="'db'"):
            calls.resolve("db", 0.05)
    assert slow[1] == ["db"]
    slow[0].set()
    assert calls.resolve("db", 5) == ["127.0.0.1"]
    assert calls.pending == 0


def test_unanswered_lookups_are_limited(slow: tuple[threading.Event, list[str]]) -> None:
    calls = BlockingCalls(limit=2)
    for name in ("a", "b"):
        with pytest.raises(ComputeTimeoutError):
            calls.resolve(name, 0.01)
    with pytest.raises(ComputeTimeoutError, match="2 earlier calls"):
        calls.resolve("c", 5)
    assert slow[1] == ["a", "b"]


@pytest.mark.parametrize("name", ["nowhere.invalid", "a" * 70 + ".example", ".."])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ComputeConnectionError, match="cannot resolve"):
        BlockingCalls().resolve(name, 20)


@pytest.mark.process
def test_a_name_that_the_monitor_has_no_descriptor_to_look_up() -> None:
    """In a process of its own: the C library reads its files once, and tells the truth after that."""
    code = """
import contextlib, encodings.idna, os, resource
from floe_monitor.compute import MonitorResourceError
from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
with contextlib.suppress(OSError):
    while True:
        os.dup(0)
try:
    BlockingCalls().resolve("localhost", 20)
except MonitorResourceError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert "file descriptors" in done.stdout
