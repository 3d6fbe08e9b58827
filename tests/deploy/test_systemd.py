"""The unit: systemd understands it, it is hardened as is said, and the daemon keeps to its protocol."""

from __future__ import annotations

import configparser
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from floe_monitor.cli.configuration import PLACES
from tests.e2e.conftest import LAB

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy" / "systemd" / "floe-monitor.service"
PAGE = (ROOT / "docs" / "systemd.md").read_text()
MOST_EXPOSED = 1.5


def analysed(*words: str) -> str:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    done = subprocess.run(
        ["systemd-analyze", *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.process
def test_systemd_understands_it(tmp_path: Path) -> None:
    """With a program that is here in the place of the installed one."""
    text = UNIT.read_text().replace("/opt/floe-monitor/bin/floe-monitor", sys.executable)
    unit = tmp_path / UNIT.name
    unit.write_text(text)
    assert analysed("verify", str(unit)) == ""


@pytest.mark.process
def test_its_exposure_is_what_the_page_says() -> None:
    found = re.search(
        r"exposure level for \S+: (\d+\.\d+)", analysed("security", "--offline=true", str(UNIT))
    )
    assert found is not None
    assert float(found[1]) <= MOST_EXPOSED
    assert f"exposure {found[1]} of 10" in PAGE


def test_paths_are_those_that_the_daemon_looks_at_and_the_page_names() -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    service = parser["Service"]
    assert service["Type"] == "notify"
    assert service["ExecStart"].rpartition(" ")[2] in PLACES
    assert f"/var/lib/{service['StateDirectory']}" == service["WorkingDirectory"]
    for path in ("/etc/floe-monitor/floe-monitor.yaml", "/etc/default/floe-monitor", "/var/lib/floe-monitor"):
        assert path in PAGE


@pytest.mark.gate
@pytest.mark.process
def test_a_daemon_tells_systemd_when_it_answers_lives_and_stops(tmp_path: Path) -> None:
    (tmp_path / "floe-monitor.yaml").write_text("http: {port: 0}\ntargets: {a: {plugin: lab}}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(120)
        process = subprocess.Popen(
            [sys.executable, "-m", "floe_monitor", "run"],
            cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={
                "PATH": "/usr/bin:/bin", "PYTHONPATH": str(LAB), "NOTIFY_SOCKET": str(tmp_path / "notify"),
                "WATCHDOG_USEC": "200000",
            },
        )  # fmt: skip
        try:
            told = []
            while "READY=1\nSTATUS=watching 1 target" not in told or "WATCHDOG=1" not in told:
                told.append(receiver.recv(1000).decode())
            process.send_signal(signal.SIGTERM)
            while told[-1] != "STOPPING=1":
                told.append(receiver.recv(1000).decode())
            assert process.wait(120) == 0
        finally:
            process.kill()
            process.wait(60)
