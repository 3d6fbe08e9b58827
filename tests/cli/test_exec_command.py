"""`exec`: a real command once a target is up, its status and signals, and the verdict where it fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MEMORY = {"plugin": "duckdb", "connection": {"path": ":memory:"}}
FILE = {"plugin": "duckdb", "connection": {"path": "x.duckdb", "must_exist": True}}
DEGRADED = {"plugin": "lab", "connection": {"behave": "degraded"}}
SECONDS = 60.0
PRINT_ENVIRONMENT = "import json, os; print(json.dumps(dict(os.environ)))"

pytestmark = pytest.mark.process


@pytest.fixture
def start(place: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def run(*words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "floe_monitor", "exec", *words]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def test_runs_once_the_target_is_up_and_hands_its_status_on(configure: Any, start: Any, place: Path) -> None:
    import duckdb

    configure({"dev": FILE, "other": {**FILE, "connection": {"path": "none.duckdb", "must_exist": True}}})
    options = ("--target", "dev", "--interval", "100ms")
    process = start(*options, "--", "sh", "-c", 'cat; echo "ran $1"; exit 7', "sh", "--debug")
    assert process.stderr is not None
    assert process.stderr.readline().startswith("dev: unhealthy"), "it is waited for"
    duckdb.connect(str(place / "x.duckdb")).close()
    out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, out) == (7, "ran --debug\n")
    assert err.splitlines()[-1].startswith("sh ended with 7 after ")
    assert err.splitlines()[-1].endswith(": every engine is well now, the fault seems the command's own")


def test_is_not_run_where_the_target_stays_down(configure: Any, call: Any, place: Path) -> None:
    configure({"file": FILE})
    line = ("--timeout", "700ms", "--interval", "100ms", "--", "touch", "ran")
    said = call("exec", *line)
    assert said.code == 75
    assert said.err.splitlines()[-1].endswith(" s, touch was not run: file")
    said = call("exec", "--log-format", "json", *line)
    assert said.code == 75
    record = json.loads(said.err.splitlines()[-1])
    assert (record["outcome"], record["exit_code"], record["ran_seconds"]) == ("not_usable", 75, None)
    assert record["engine_status"] == "unhealthy"
    assert [target["target"] for target in record["targets"]] == ["file"]
    assert not (place / "ran").exists()


def test_an_engine_that_went_down_meanwhile_is_named(configure: Any, call: Any, place: Path) -> None:
    import duckdb

    duckdb.connect(str(place / "x.duckdb")).close()
    configure({"file": FILE, "dev": MEMORY})
    said = call("exec", "--log-format", "json", "--", "sh", "-c", "rm x.duckdb; exit 1", "s3cr3t")
    record = json.loads(said.err.splitlines()[-1])
    assert said.code == record["exit_code"] == 1
    assert (record["program"], record["outcome"], record["engine_status"]) == ("sh", "failed", "unhealthy")
    assert "s3cr3t" not in said.err, "arguments may hold a secret"
    duckdb.connect(str(place / "x.duckdb")).close()
    said = call("exec", "--", "sh", "-c", "rm x.duckdb; exit 1")
    assert ": an engine is at fault: file: unhealthy: " in said.err.splitlines()[-1]


def test_a_limited_engine_is_named_too(configure: Any, call: Any) -> None:
    configure({"lab": DEGRADED})
    said = call("exec", "--", "false")
    assert said.code == 1
    assert ": an engine may be at fault: lab: degraded" in said.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("program", "code"),
    [("no-such-program", 127), ("./data", 126), ("/", 126)],
    ids=["none", "data", "folder"],
)
def test_what_cannot_be_run(configure: Any, call: Any, place: Path, program: str, code: int) -> None:
    configure({"dev": MEMORY})
    (place / "data").write_text("no program")
    said = call("exec", "--", program)
    assert said.code == code
    assert program in said.err.splitlines()[-1]


def test_what_is_no_target_is_refused(configure: Any, call: Any, place: Path) -> None:
    configure({"dev": MEMORY})
    said = call("exec", "--target", "dve", "--", "touch", "ran")
    assert said.code == 2
    assert "did you mean 'dev'?" in said.err
    assert call("exec", "--target", "dev").code == 2, "no command"
    assert not (place / "ran").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_reach_the_command(configure: Any, start: Any, place: Path, number: signal.Signals) -> None:
    configure({"dev": MEMORY})
    name = number.name.removeprefix("SIG")
    script = f'trap "echo caught; exit 130" {name}; touch ready; while :; do sleep 0.05; done'
    process = start("--", "sh", "-c", script)
    _until_there(place / "ready", process)
    process.send_signal(number)
    out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, out) == (130, "caught\n")
    assert "interrupted" not in err, "that would be this process, and not the command"
    asked = number is not signal.SIGUSR1
    assert ("was told to stop" in err) is asked


def test_one_that_a_signal_ends(configure: Any, start: Any, place: Path) -> None:
    """And the signals that Python ignores have their usual effect in it."""
    configure({"dev": MEMORY})
    process = start("--", "sh", "-c", "touch ready; kill -PIPE $$; exit 4")
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 128 + signal.SIGPIPE
    assert "sh ended with 141 after" in err


def _until_there(path: Path, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + SECONDS
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)


def test_the_command_gets_the_environment_as_it_was_given(start: Any, place: Path) -> None:
    """Literal secrets of a profiles.yml are set for its probes, and what a driver needs by its plugin."""
    dev = {"type": "duckdb", "path": ":memory:"}
    prod = {
        "type": "postgres", "host": "127.0.0.1", "port": 9, "user": "dbt", "dbname": "dbt", "schema": "dbt",
        "password": "canary-literal",
    }  # fmt: skip
    account = {
        "type": "snowflake", "account": "abc", "user": "dbt", "database": "dbt", "warehouse": "dbt",
        "schema": "dbt", "password": "canary-literal",
    }  # fmt: skip
    outputs = {"dev": dev, "prod": prod, "account": account}
    (place / "profiles.yml").write_text(json.dumps({"floe": {"target": "dev", "outputs": outputs}}))
    process = start(
        "--profiles", "profiles.yml", "--target", "dev", "--", sys.executable, "-c", PRINT_ENVIRONMENT
    )
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    assert set(json.loads(out)) <= {*os.environ, "PYTHONPATH", "LC_CTYPE"}
    assert "canary" not in out
