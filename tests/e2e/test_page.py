"""The page over whole daemons: live across a restart, with a past that is older than the process."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.harness.browser import Browser

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Daemon

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.gate,
    pytest.mark.e2e,
    pytest.mark.skipif(BROWSER is None, reason="chromium is not installed (Debian package chromium)"),
]
CONFIGURATION = """
history: {{url: "sqlite:///{folder}/history.db"}}
probe: {{interval: 1}}
http: {{port: {port}}}
targets:
  warehouse: {{plugin: lab, connection: {{behave: {behave}}}}}
  dev: {{plugin: lab, connection: {{behave: healthy}}}}
"""


def test_a_page_survives_a_restart_of_the_daemon(start_daemon: Callable[..., Daemon], tmp_path: Path) -> None:
    daemon = start_daemon(CONFIGURATION.format(folder=tmp_path, port=0, behave="healthy"))
    daemon.until(lambda: daemon.get("/readyz")[0] == 200)
    port = daemon.url.rpartition(":")[2]
    with Browser(str(BROWSER), tmp_path / "profile") as browser:
        browser.open(daemon.url + "/")
        browser.wait_for("document.querySelector('h1').textContent === 'All 2 targets are healthy'")
        browser.wait_for("document.body.innerText.includes('The last 90 hours')")
        browser.wait_for("document.querySelector('.uptime').textContent.includes('100 %')")
        browser.value("window.same = true; document.getElementById('search').value = 'typed'")
        dev = "document.getElementById('t-dev')?.closest('.row').querySelector('time[data-for]')?.dateTime"
        began = browser.value(dev)
        assert daemon.stop(timeout=30) == 0
        browser.wait_for("document.getElementById('stale').textContent.startsWith('Not updated for')")
        broken = CONFIGURATION.format(folder=tmp_path, port=port, behave="unhealthy")
        daemon = start_daemon(broken, FLOE_MONITOR_HTTP__PORT=port)
        browser.wait_for("document.title.startsWith('✕ 1 unhealthy')")
        browser.wait_for("document.getElementById('stale').textContent === ''")
        assert browser.value("window.same"), "it was not loaded anew"
        assert browser.value("document.getElementById('search').value") == "typed"
        # Known from the former process.
        browser.wait_for(f"{dev} === '{began}'")
        browser.open(daemon.url + "/targets/warehouse")
        browser.wait_for("document.body.innerText.includes('Changes of status')")
