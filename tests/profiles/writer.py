"""Processes of the tests: a writer to be killed, a daemon's synchronizer, a competing writer."""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable

sys.path.insert(0, str(Path(__file__).parent))

from conftest import Made  # type: ignore[attr-defined]  # not the one of another directory
from floe_monitor.domain.state import ConfigStatus, MonitorState
from floe_monitor.profiles import ProfileSynchronizer, write


def given(path: str, name: str, marker: str) -> tuple[list[Any], dict[str, Any]]:
    made = Made(Path(path))
    target = made.target(connection={"marker": marker, "filler": marker * 2000})
    return [made.profile(name, reconcile_interval=0.2)], made.targets(target)


def rewrite(path: str) -> None:
    """For each line of input a child of its own that alternates between two versions until it is killed."""
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            print("begun", os.getpid(), flush=True)
            for turn in itertools.count():
                (done,) = write(*given(path, "ours", "ab"[turn % 2]), {})
                print(done.outcome.result, done.outcome.message, flush=True)
        os.waitpid(child, 0)
        print("gone", flush=True)


def compete(path: str, name: str, times: str) -> None:
    for turn in range(int(times)):
        (done,) = write(*given(path, name, str(turn)), {})
        if done.outcome.result != "written":
            sys.exit(f"{done.outcome}")


def keep(path: str, marker: str) -> None:
    """A daemon's synchronizer, until it is told to stop."""

    def say(event: Any) -> None:
        if hasattr(event, "result"):
            print(event.result, event.message, flush=True)

    async def main() -> None:
        profiles, targets = given(path, "ours", marker)
        state = MonitorState(0.0, ConfigStatus(0.0, 0.0))
        synchronizer = ProfileSynchronizer(profiles, targets, publish=say, state=state, environ={})
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(synchronizer.run)
            await anyio.to_thread.run_sync(sys.stdin.readline)
            tasks.cancel_scope.cancel()

    anyio.run(main)


if __name__ == "__main__":
    commands: dict[str, Callable[..., None]] = {"rewrite": rewrite, "compete": compete, "keep": keep}
    commands[sys.argv[1]](*sys.argv[2:])
