"""What a former process has left is taken up, be it late."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio
import pytest

from floe_monitor.daemon import history as daemon_history
from floe_monitor.domain.declarations import Declarations, OneOffMaintenance
from floe_monitor.domain.events import DeclarationsChanged
from tests.history.conftest import Monitor

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("late", [False, True])
async def test_what_was_declared_is_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    monitor = Monitor(f"sqlite:///{tmp_path}/history.db")
    monitor.probe("a")
    one = OneOffMaintenance("one", 1.0, time.time() + 3600, "disk", "anna", "user anna", 1.0)
    over = OneOffMaintenance("over", 1.0, 2.0, "disk", "anna", "user anna", 1.0)
    monitor.recorder.handle(DeclarationsChanged(Declarations((over, one))))
    monitor.stop()
    monitor.begin_anew()
    monkeypatch.setattr(daemon_history, "RESTORE_SECONDS", 0.0 if late else 60.0)
    if not late:
        monitor.turn()
    await daemon_history.take_up(monitor.recorder, monitor.state, lambda _: None)
    assert monitor.state.declared == (Declarations() if late else Declarations((one,)))
    meanwhile = OneOffMaintenance("new", 1.0, time.time() + 3600, "x", "bob", "user bob", 2.0)
    monitor.state.declared = monitor.state.declared.with_maintenance(meanwhile)
    if late:
        await anyio.to_thread.run_sync(monitor.turn)
    with anyio.fail_after(60):
        while len(monitor.state.declared.maintenance) < 2:  # noqa: ASYNC110 - told by a thread
            await anyio.sleep(0.01)
    assert monitor.state.declared.maintenance == (one, meanwhile)
    await anyio.to_thread.run_sync(monitor.stop)
