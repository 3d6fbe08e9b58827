"""Threads that compute hand the interpreter on quickly, while the daemon runs and not afterwards."""

from __future__ import annotations

import sys

import pytest

from floe_monitor.daemon.thread_switching import SECONDS, quick_thread_switches


def test_the_interval_is_put_back() -> None:
    former = sys.getswitchinterval()
    with pytest.raises(KeyError), quick_thread_switches():
        assert sys.getswitchinterval() == pytest.approx(SECONDS)
        raise KeyError
    assert sys.getswitchinterval() == former
