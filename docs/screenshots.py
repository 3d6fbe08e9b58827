"""`make pictures` writes docs/images/*.png: the pages over a made-up fleet, in a real browser.

With Debian's fonts-inter they look as they do there.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from docs.sample_fleet import all_well, one_down, some_down, ten_thousand
from floe_monitor.domain.liveness import LivenessLimits
from floe_monitor.settings.http_models import HttpSettings
from floe_monitor.web.access_control import AccessControl
from floe_monitor.web.app import create_app
from floe_monitor.web.authentication import Authenticator
from floe_monitor.web.health import Health as HealthRoutes
from floe_monitor.web.listeners import listen
from floe_monitor.web.server import Service, serve
from tests.harness.browser import Browser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from docs.sample_fleet import Fleet

IMAGES = Path(__file__).parent / "images"


class Started:
    def __init__(self) -> None:
        self.event = asyncio.Event()

    def started(self, _value: None = None) -> None:
        self.event.set()


@dataclass(frozen=True, slots=True)
class Shot:
    name: str
    path: str
    width: int = 1280
    height: int = 820
    dark: bool = False
    scale: int = 1
    before: str = ""
    """JavaScript."""


async def photograph(fleet: Fleet, shots: Sequence[Shot], browser: str) -> None:
    listener = listen("127.0.0.1", 0)
    access = AccessControl(HttpSettings(), Authenticator({}))
    nothing: Any = None
    routes = HealthRoutes(fleet.state, lambda: LivenessLimits(4))
    fleet.state.scheduler_beat = time.monotonic() + 3600
    app = create_app(
        fleet.state,
        nothing,
        nothing,
        health=routes,
        access=access,
        publish=lambda _: None,
        feed=fleet.feed,
        past=fleet.past,
    )
    started: Any = Started()
    task = asyncio.create_task(serve(Service(app, (listener,)), grace=0.1, task_status=started))
    await started.event.wait()
    try:
        with tempfile.TemporaryDirectory() as profile:
            await anyio.to_thread.run_sync(_take, listener.url, shots, browser, Path(profile))
    finally:
        task.cancel()
        await asyncio.wait([task])


def _take(url: str, shots: Sequence[Shot], program: str, profile: Path) -> None:
    with Browser(program, profile, patience=300) as browser:
        for shot in shots:
            browser.emulate(width=shot.width, height=shot.height, dark=shot.dark, scale=shot.scale)
            browser.open(url + shot.path)
            if shot.before:
                browser.value(shot.before)
            browser.screenshot(IMAGES / f"{shot.name}.png")
            sys.stdout.write(f"wrote docs/images/{shot.name}.png\n")


def main() -> int:
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        sys.stderr.write("chromium is not installed (Debian package chromium)\n")
        return 2
    incident = some_down()
    opened = next(each.id for each in incident.state.incidents.view() if each.members_total > 1)
    asyncio.run(photograph(all_well(), [Shot("all-well", "/")], browser))
    asyncio.run(photograph(one_down(), [Shot("one-down", "/")], browser))
    asyncio.run(
        photograph(
            incident,
            [
                Shot("status-page", "/"),
                Shot("one-target", "/targets/finance", height=1180),
                Shot("incident", f"/incidents/{opened}"),
                Shot("groups", "/?group=team", height=900),
                Shot("dark", "/", dark=True),
                Shot("phone", "/", width=390, height=844, scale=2),
                Shot("phone-target", "/targets/finance", width=390, height=844, scale=2, dark=True),
            ],
            browser,
        )
    )
    asyncio.run(photograph(ten_thousand(), [Shot("ten-thousand", "/")], browser))
    return 0


if __name__ == "__main__":
    sys.exit(main())
