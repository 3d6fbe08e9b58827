"""What systemd is told, over a real datagram socket."""

from __future__ import annotations

import os
import socket
from contextlib import closing
from typing import TYPE_CHECKING

import anyio
import pytest

from floe_monitor.daemon.service_manager import ServiceManager
from floe_monitor.domain.liveness import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address)
        receiver.settimeout(60)
        yield receiver, address


def well() -> Verdict:
    return Verdict()


def test_the_start_and_the_stop_are_told(listener: tuple[socket.socket, str]) -> None:
    receiver, address = listener
    with closing(ServiceManager({"NOTIFY_SOCKET": address}, well)) as manager:
        manager.ready("watching 3 targets")
        manager.stopping()
    assert receiver.recv(100) == b"READY=1\nSTATUS=watching 3 targets"
    assert receiver.recv(100) == b"STOPPING=1"


@pytest.mark.anyio
async def test_signs_of_life_end_where_a_restart_would_help(listener: tuple[socket.socket, str]) -> None:
    receiver, address = listener
    verdict = Verdict()
    manager = ServiceManager({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000"}, lambda: verdict)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(manager.run)
        for _ in range(3):
            assert await anyio.to_thread.run_sync(receiver.recv, 100) == b"WATCHDOG=1"
        verdict = Verdict(("4 stuck workers (limit 4)",))
        told = b""
        while told in (b"", b"WATCHDOG=1"):  # those on their way
            told = await anyio.to_thread.run_sync(receiver.recv, 100)
        for _ in range(3):
            assert told == b"STATUS=failing: 4 stuck workers (limit 4)"
            told = await anyio.to_thread.run_sync(receiver.recv, 100)
        tasks.cancel_scope.cancel()
    manager.close()


@pytest.mark.anyio
@pytest.mark.parametrize(
    "environ",
    [{}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": str(os.getpid() + 1)}],
)
async def test_without_a_watchdog_there_are_no_signs_of_life(environ: dict[str, str]) -> None:
    with anyio.fail_after(60):
        await ServiceManager(environ, well).run()


@pytest.mark.parametrize("address", ["", "/nowhere/notify", "@floe-monitor-test-nobody", "vsock:1:2"])
def test_nobody_to_tell_is_no_fault(address: str) -> None:
    with closing(ServiceManager({"NOTIFY_SOCKET": address}, well)) as manager:
        manager.ready("x")
        manager.stopping()


def test_a_manager_that_does_not_read_holds_up_nothing(listener: tuple[socket.socket, str]) -> None:
    with closing(ServiceManager({"NOTIFY_SOCKET": listener[1]}, well)) as manager:
        for _ in range(1000):
            manager.ready("x" * 1000)
