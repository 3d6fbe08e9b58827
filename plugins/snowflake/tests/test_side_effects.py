"""What must not happen beside a probe: questions to a metadata service, files, a changed environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from conformance.snowflake_standin import PASSWORD, StandIn
from floe_monitor.testing import silent_names

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.gate, pytest.mark.process]

_SWITCH = "SNOWFLAKE_DISABLE_PLATFORM_DETECTION"

_PROBING = f"""
from floe_monitor.registry.config_validation import build_config
from floe_monitor.registry.discovery import discover
plugin = discover().get("snowflake").plugin

def probe(port):
    connection = dict(account="acme", user="dbt", host="127.0.0.1", port=port, protocol="http",
                      role="transformer", warehouse="transforming", database="analytics", schema="marts")
    target = dict(plugin="snowflake", connection=connection, credentials={{"password": {PASSWORD!r}}})
    return plugin.validate_connection(build_config(plugin, target)).status.value
"""

_BESIDE_METADATA_SERVICES = """
import json, socketserver, subprocess, threading, time
from http.server import BaseHTTPRequestHandler
from conformance.snowflake_standin import StandIn

subprocess.run(["ip", "address", "add", "169.254.169.254/32", "dev", "lo"], check=True)
asked = []

class Metadata(BaseHTTPRequestHandler):
    def do_GET(self):
        asked.append(self.path)
        self.send_error(404)

    do_PUT = do_POST = do_GET

    def log_message(self, *_):
        pass

def hear_names():
    while True:
        labels, rest = [], unanswering.recv(512)[12:]
        while rest[0]:
            labels.append(rest[1 : rest[0] + 1].decode())
            rest = rest[rest[0] + 1 :]
        asked.append(".".join(labels))

metadata = socketserver.ThreadingTCPServer(("169.254.169.254", 80), Metadata)
for serve in (metadata.serve_forever, hear_names):
    threading.Thread(target=serve, daemon=True).start()
with StandIn() as standin:
    verdicts = [probe(standin.port) for _ in range(2)]
    until = time.monotonic() + WAIT
    while time.monotonic() < until and not (ENOUGH)(asked):
        time.sleep(0.05)
print(json.dumps([verdicts, sorted(set(asked))]))
"""


def _asked(monkeypatch: pytest.MonkeyPatch, wait: float, enough: str) -> list[str]:
    """What two probes made the process ask of the metadata services and the name service."""
    if not silent_names.available():
        pytest.skip("this system does not let a network namespace be made (unshare)")
    for name in ("AWS_EC2_METADATA_DISABLED", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    code = _PROBING + _BESIDE_METADATA_SERVICES.replace("WAIT", str(wait)).replace("ENOUGH", enough)
    done = silent_names.run(code)
    assert done.returncode == 0, done.stderr
    verdicts, asked = json.loads(done.stdout.splitlines()[-1])
    assert verdicts == ["healthy", "healthy"]
    return list(asked)


def test_no_metadata_service_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver would begin with its first login; two have ended, and a second more has passed."""
    monkeypatch.delenv(_SWITCH, raising=False)
    assert _asked(monkeypatch, 1.0, "bool") == []


def test_the_driver_would_ask_them_where_its_switch_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the test above is worth; and that what is set for the monitor is left as it is."""
    monkeypatch.setenv(_SWITCH, "false")
    both = "lambda asked: {'/latest/api/token', 'metadata.google.internal'} <= set(asked)"
    asked = _asked(monkeypatch, 20.0, both)
    assert {"/latest/api/token", "metadata.google.internal"} <= set(asked)


def test_neither_import_nor_construction_nor_validation_changes_the_environment(standin: StandIn) -> None:
    script = f"""
        import os, sys
        seen = []
        changes = ("os.putenv", "os.unsetenv")
        sys.addaudithook(lambda event, _: seen.append(event) if event in changes else None)
        from floe_monitor.registry.config_validation import build_config
        from floe_monitor_snowflake import SnowflakeComputePlugin
        plugin = SnowflakeComputePlugin()
        connection = dict(account="acme", user="dbt", host="127.0.0.1", port={standin.port}, protocol="http",
                          role="transformer", warehouse="transforming", database="analytics", schema="marts")
        target = dict(plugin="snowflake", connection=connection, credentials={{"password": {PASSWORD!r}}})
        config = build_config(plugin, target)
        plugin.prepare(config)
        print(plugin.validate_connection(config).status.value)
        plugin.shutdown()
        print(seen)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True, text=True, timeout=120, check=False, env={**os.environ, _SWITCH: "true"},
    )  # fmt: skip
    assert done.stdout.splitlines() == ["healthy", "[]"], done


def test_nothing_is_written(standin: StandIn, tmp_path: Path) -> None:
    """In a process of its own: what a driver does once, it has not done yet there."""
    home = tmp_path / "home"
    home.mkdir()
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin", "XDG_CONFIG_HOME": str(home / "config")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{_PROBING}\nprint(probe({standin.port}))"],
        capture_output=True, text=True, timeout=120, check=False, env=environment, cwd=tmp_path,
    )  # fmt: skip
    assert (done.stdout.split(), done.stderr) == (["healthy"], "")
    assert [path.name for path in tmp_path.rglob("*")] == ["home"]
