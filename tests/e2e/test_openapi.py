"""Requests made up from the OpenAPI document, sent to a whole daemon: no failure, answers as described."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from conformance import environments

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Start = Callable[..., Any]

pytestmark = [pytest.mark.e2e, pytest.mark.gate, pytest.mark.timeout(420)]

REQUIREMENTS = "schemathesis.txt"
CONFIGURATION = """
history: {url: sqlite:///history.db}
http: {public_page: {targets: {dev: dev}}}
targets:
  dev: {plugin: lab, labels: {team: core}, connection: {behave: healthy}}
  down: {plugin: lab, connection: {behave: unhealthy}}
"""
SETTINGS = """
seed = 20261126
color = false
request-timeout = 60

[parameters]
"path.name" = "dev"

[phases.stateful]
generation.max-examples = 10

[generation]
max-examples = 10

# It ends when its client does.
[[operations]]
include-name = "GET /api/v1/events"
enabled = false

# A gate that is closed answers 503 by intent.
[[operations]]
include-name = "GET /api/v1/gate"
checks.not_a_server_error.enabled = false
"""


def test_no_request_breaks_the_daemon_or_its_word(start_daemon: Start, tmp_path: Path) -> None:
    if reason := environments.unwanted(REQUIREMENTS):
        pytest.skip(reason)
    program = environments.built(REQUIREMENTS) / "bin" / "schemathesis"
    daemon = start_daemon(CONFIGURATION)
    daemon.until(lambda: daemon.get("/readyz")[0] == 200)
    folder = tmp_path / "fuzzing"
    folder.mkdir()
    (folder / "schemathesis.toml").write_text(SETTINGS)
    done = subprocess.run(
        [program, "run", f"{daemon.url}/api/v1/openapi.json", "--url", daemon.url],
        cwd=folder,
        env={**os.environ, "COLUMNS": "120"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    described = sum(map(len, json.loads(daemon.get("/api/v1/openapi.json")[1])["paths"].values()))
    # It leaves out where it has the document from, and the stream of events.
    assert f"Tested: {described - 2}" in done.stdout
    assert daemon.get("/healthz")[0] == 200
    daemon.stop()  # which writes what is still to be logged
    acts = [json.loads(line) for line in daemon.log.read_text().splitlines() if '"audit"' in line]
    done_acts = {(act["action"], act.get("target")) for act in acts if act["http_status"] == 200}
    assert done_acts >= {("validate", "dev"), ("reload", None)}, "it came no further than the errors"
