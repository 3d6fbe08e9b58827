"""What collecting thousands of tests makes stays until the end of the run: no full garbage collection looks
through it, neither while it grows nor while tests run. Each would take half a second, in each worker."""

from __future__ import annotations

import gc

import pytest

_FORMER = gc.get_threshold()
gc.set_threshold(_FORMER[0], _FORMER[1], 2**31 - 1)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    gc.freeze()
    gc.set_threshold(*_FORMER)
