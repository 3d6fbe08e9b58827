"""Whole processes: what only an exit, a signal, a pipe or a terminal shows."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.process

MEMORY = {"plugin": "duckdb", "connection": {"path": ":memory:"}}
HUNG = {
    "plugin": "lab",
    "connection": {"behave": "hang"},
    "probe": {"timeout": "300ms", "isolation": "thread"},
}
HEAVY = (
    "uvicorn",
    "starlette",
    "opentelemetry",
    "watchfiles",
    "prometheus_client",
    "structlog",
    "httptools",
    "sqlalchemy",
    "packaging.requirements",
    "alembic",
)


def test_a_hung_worker_does_not_hold_the_exit(process: Any, configure: Any, within: Any) -> None:
    configure({"hung": HUNG, "dev": MEMORY})
    with within(0.3, margin=10):
        running = process("check")
        out, err = running.communicate(timeout=120)
    assert running.returncode == 1, err
    assert "timeout" in out
    assert "terminate called" not in err


def test_ctrl_c_is_130_and_quiet(process: Any, configure: Any, tmp_path: Path) -> None:
    started = tmp_path / "started"
    connection = {"behave": "hang", "touch": str(started)}
    hung = {**HUNG, "connection": connection, "probe": {"timeout": "120s", "isolation": "thread"}}
    configure({"hung": hung})
    running = process("check")
    until = time.monotonic() + 60
    while not started.exists():
        assert time.monotonic() < until, "no worker has been started"
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert (running.returncode, err.strip()) == (130, "interrupted")


@pytest.mark.parametrize("command", ["check", "wait"])
def test_ctrl_c_is_noticed_by_a_loop_that_waits_already(process: Any, configure: Any, command: str) -> None:
    connection = {"behave": "interrupt_and_hang"}
    configure(
        {"hung": {**HUNG, "connection": connection, "probe": {"timeout": "120s", "isolation": "thread"}}}
    )
    running = process(command)
    _, err = running.communicate(timeout=60)
    assert (running.returncode, err.strip()) == (130, "interrupted")


@pytest.mark.parametrize("moment", ["importing", "in a library's own words"])
def test_ctrl_c_before_anything_runs_is_130_and_quiet(place: Path, moment: str) -> None:
    raising = "raise KeyboardInterrupt\n"
    if moment != "importing":
        raising = (
            f"try:\n  {raising}except KeyboardInterrupt as e:\n  raise RuntimeError('no model') from e\n"
        )
    (place / "typer.py").write_text(raising)  # where the command line begins to import
    done = subprocess.run(
        [sys.executable, "-m", "floe_monitor", "check"],
        env={**os.environ, "PYTHONPATH": str(place)},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr.strip()) == (130, "interrupted")


def test_a_reader_that_leaves_is_survived(process: Any) -> None:
    running = process("config", "schema")
    running.stdout.close()
    err = running.stderr.read()
    running.stderr.close()
    assert running.wait(timeout=120) in (0, 141)
    assert "Traceback" not in err
    assert "BrokenPipe" not in err


@pytest.mark.parametrize("arguments", [["config", "schema"], ["check"], ["plugins", "list"]])
def test_a_full_disk_is_no_fault_of_ours(configure: Any, place: Path, arguments: list[str]) -> None:
    configure({"dev": MEMORY})
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "floe_monitor", *arguments],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=120,
        )  # fmt: skip
    assert done.returncode == 74
    assert done.stderr.strip() == "error: the output cannot be written: No space left on device"


@pytest.mark.parametrize("command", ["profiles show", "config show", "config show --format json"])
def test_a_document_loses_no_letter_to_the_locale(place: Path, configure: Any, command: str) -> None:
    """`?` for a letter is another document, and the exit status would not tell."""
    target = {"plugin": "duckdb", "connection": {"path": "/data/日本 – é.duckdb"}}
    configure({"dev": target}, profiles=[{"name": "floe", "path": "profiles.yml"}])
    printed = [
        subprocess.run(
            [sys.executable, "-m", "floe_monitor", *command.split()],
            capture_output=True,
            env={**os.environ, "PYTHONIOENCODING": encoding},
            check=True,
            timeout=30,
        ).stdout
        for encoding in ("utf-8", "ascii", "latin-1")
    ]
    assert "/data/日本 – é.duckdb".encode() in printed[0]
    assert printed[1:] == [printed[0], printed[0]]


def test_check_imports_nothing_it_does_not_need(place: Path, configure: Any) -> None:
    configure({"dev": MEMORY})
    code = (
        "import sys; from floe_monitor.cli.entry import run; code = run(['check']); "
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr); raise SystemExit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == "[]"


def test_check_looks_for_no_garbage_among_what_it_imports(place: Path, configure: Any) -> None:
    configure({"dev": MEMORY})
    code = (
        "import gc, sys; began = []; "
        "gc.callbacks.append(lambda phase, told: began.append(told['generation'])); "
        "from floe_monitor.cli import entry; "
        "usual = gc.get_threshold(); "
        "entry.leave = lambda code: print("
        "code, began.count(2), gc.get_threshold() == usual, file=sys.stderr); "
        "sys.argv[1:] = ['check']; entry.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stderr.strip() == "0 0 True", "what drivers leave while they probe is looked for as usual"


@pytest.mark.parametrize(("environ", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colour_on_a_terminal_alone(
    place: Path, configure: Any, environ: dict[str, str], coloured: bool
) -> None:
    configure({"dev": MEMORY, "file": {"plugin": "duckdb", "connection": {"path": "gone.duckdb"}}})
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "floe_monitor", "check"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "40", "LINES": "20", **environ},
    ) as running:
        os.close(theirs)
        said = b""
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:
                break
            if not chunk:
                break
            said += chunk
    os.close(ours)
    assert running.returncode == 0
    assert (b"\x1b[32m" in said) is coloured
    assert b"healthy" in said


def test_completion_knows_the_targets(place: Path, configure: Any) -> None:
    configure({"warehouse": MEMORY, "dev": MEMORY})
    done = subprocess.run(
        [sys.executable, "-m", "floe_monitor"],
        env={
            **os.environ,
            "_FLOE_MONITOR_COMPLETE": "complete_zsh",
            "_TYPER_COMPLETE_ARGS": "floe-monitor check wa",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "warehouse" in done.stdout
    assert "dev" not in done.stdout


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_standard_streams_are_survived(place: Path, configure: Any, closed: tuple[int, ...]) -> None:
    """As a careless supervisor starts it. Where stderr is closed too, no socket may take its number."""
    configure({"dev": MEMORY})
    shut = " ".join(f"{number}>&-" if number else "<&-" for number in closed)
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -m floe_monitor check {shut}', sys.executable],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert ("healthy" in done.stdout) is (1 not in closed)
