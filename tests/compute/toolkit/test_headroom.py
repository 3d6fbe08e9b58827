"""Free descriptors are counted rightly, by few system calls."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

from floe_monitor.compute.errors import MonitorResourceError
from floe_monitor.compute.toolkit import headroom

pytestmark = pytest.mark.process

_SCRIPT = """
import os, resource, sys
from floe_monitor.compute.errors import MonitorResourceError
from floe_monitor.compute.toolkit import headroom

limit, low, high = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
held = []
try:
    while True:
        held.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
for descriptor in held[:low] + held[len(held) - high:]:
    os.close(descriptor)
try:
    headroom.require_descriptors()
except MonitorResourceError as error:
    print(error)
else:
    print("enough")
"""
SHORTAGE = "the monitor has no more file descriptors (the limit of this process)"


@pytest.mark.parametrize("limit", [64, 256, 1024, 4096])
@pytest.mark.parametrize("where", ["low", "high", "both"])
@pytest.mark.parametrize("missing", [0, 1])
def test_as_many_as_are_free(limit: int, where: str, missing: int) -> None:
    free = min(headroom.DESCRIPTORS, limit // 8) - missing
    low = {"low": free, "high": 0, "both": free // 2}[where]
    command = [sys.executable, "-c", _SCRIPT, str(limit), str(low), str(free - low)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == (SHORTAGE if missing else "enough")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="poll tells of free descriptors on Linux")
def test_where_there_are_plenty_it_opens_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def dup(descriptor: int) -> int:
        raise AssertionError("opened one by one")

    monkeypatch.setattr(os, "dup", dup)
    headroom.require_descriptors()


def test_the_systems_own_limit_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(23, os.strerror(23))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(MonitorResourceError, match="no more file descriptors"):
        headroom.require_descriptors()


def test_an_infinite_limit_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    infinite = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda _: infinite)
    assert headroom.descriptor_limit() == 1 << 20
    headroom.require_descriptors()
