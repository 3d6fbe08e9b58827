"""What was kept, as commands show it: beside a daemon's file, and without any daemon."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from datetime import datetime
from importlib import util
from typing import TYPE_CHECKING, Any

import pytest

from conformance import environments
from tests.history.conftest import DEGRADED, HEALTHY, UNHEALTHY, Monitor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Said

    Call = Callable[..., Said]

MEMORY = {"plugin": "duckdb", "connection": {"path": ":memory:"}}


@pytest.fixture
def kept(place: Path, configure: Callable[..., Path]) -> Monitor:
    """Three hours of two targets, one of which was down for half an hour of the last one."""
    url = f"sqlite:///{place}/history.db"
    configure({"a": {**MEMORY, "slo": {"objective": 90}}}, history={"url": url})
    monitor = Monitor(url)
    monitor.at -= 3 * 3600
    for minute in range(179):
        down = 120 <= minute < 150
        monitor.probe("a", UNHEALTHY if down else DEGRADED if minute == 5 else HEALTHY, after=60.0)
        monitor.at -= 1
        monitor.probe("former", after=1.0, duration=0.2)
    monitor.stop()
    return monitor


def rows_of(said: Said) -> list[dict[str, str]]:
    assert said.code == 0, said.err
    return list(csv.DictReader(io.StringIO(said.out)))


def test_changes_of_status(kept: Monitor, call: Call) -> None:
    rows = rows_of(call("history", "a", "--format", "csv"))
    assert [(row["before"], row["after"]) for row in rows] == [
        ("unknown", "healthy"),
        ("healthy", "degraded"),
        ("degraded", "healthy"),
        ("healthy", "unhealthy"),
        ("unhealthy", "healthy"),
    ]
    assert rows[-1]["before_lasted_seconds"] == "1800.0"
    table = call("history").out
    assert "former" in table
    assert " 30 min " in table, "for people, in words"
    none = call("history", "--since", "1ms")
    assert (none.code, none.out, none.err) == (0, "", "there is nothing to show\n")
    assert "unhealthy" in table


def test_results_hours_and_days(kept: Monitor, call: Call) -> None:
    results = json.loads(call("history", "--by", "result", "--since", "30m", "-f", "json").out)
    assert {row["target"] for row in results} == {"a", "former"}
    assert 50 <= len(results) <= 60
    hours = rows_of(call("history", "a", "--by", "hour", "-f", "csv"))
    assert sum(int(row["healthy"]) for row in hours) == 148
    assert sum(int(row["unhealthy"]) for row in hours) == 30
    days = rows_of(call("history", "a", "--by", "day", "--since", "3d", "-f", "csv"))
    assert sum(int(row["degraded"]) for row in days) == 1
    assert sum(int(row["healthy"]) for row in days) == 148


def test_incidents(kept: Monitor, call: Call) -> None:
    found = json.loads(call("incidents", "-f", "json").out)
    assert [row["duration_seconds"] for row in found] == [1800.0, 60.0]
    assert found[0]["targets"] == "a"
    assert found[0]["error_type"] == "connection"
    assert json.loads(call("incidents", "former", "-f", "json").out) == []


def test_a_report(kept: Monitor, call: Call) -> None:
    report = json.loads(call("report", "--format", "json").out)
    a, former = report["targets"]
    assert a["uptime"] == pytest.approx(148 / 178, abs=0.01)
    assert a["objective"] == 0.9
    assert a["error_budget_left"] == pytest.approx(1 - (30 / 178) / 0.1, abs=0.1)
    assert (a["incidents"], former["incidents"]) == (2, 0)
    assert (former["uptime"], former["objective"]) == (1.0, 0.995)
    assert former["p95_seconds"] == pytest.approx(0.2, rel=0.03)
    assert former["slowest"][0]["length_seconds"] == 3600
    assert len(rows_of(call("report", "-f", "csv"))) == 2
    text = call("report", "a").out
    assert "| a | 83." in text
    assert "30 min" in text
    assert "connection: connection refused" in text


def test_a_report_as_a_page(kept: Monitor, call: Call, place: Path) -> None:
    assert call("report", "--format", "html", "--output", "report.html").out == ""
    page = (place / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "<td>former</td>" in page
    assert page.count("<table>") == page.count("</table>") == 3
    assert "http" not in page, "nothing is loaded from elsewhere"


def test_an_unknown_target_names_the_nearest(kept: Monitor, call: Call) -> None:
    said = call("history", "formr")
    assert said.code == 2
    assert "did you mean 'former'?" in said.err


@pytest.mark.parametrize("command", ["history", "incidents", "report"])
def test_where_no_history_is_kept_it_says_how(configure: Any, call: Call, command: str) -> None:
    configure({"dev": MEMORY})
    said = call(command)
    assert said.code == 2
    assert "history: {url: sqlite:///var/history.db}" in said.err


def test_a_history_that_is_not_there_or_none(configure: Any, call: Call, place: Path) -> None:
    configure({"dev": MEMORY}, history={"url": f"sqlite:///{place}/none.db"})
    assert "there is no history yet" in call("history").err
    (place / "none.db").write_text("dear diary\n" * 100)
    said = call("history")
    assert said.code == 2
    assert "the history cannot be read" in said.err


def test_parquet_wants_a_file_and_a_library(kept: Monitor, call: Call) -> None:
    assert "--output" in call("history", "-f", "parquet").err
    if util.find_spec("pyarrow") is None:
        said = call("history", "-f", "parquet", "-o", "history.parquet")
        assert said.code == 2
        assert "extra `parquet`" in said.err


@pytest.fixture(scope="module")
def pyarrow(starts_processes: None) -> Path:
    """Where it is installed: an environment of its own."""
    if reason := environments.unwanted("parquet.txt"):
        pytest.skip(reason)
    [packages] = environments.built("parquet.txt").glob("lib/python*/site-packages")
    return packages


LINES = ("history a", "history --by result", "history --by hour", "history --by day", "incidents")
WRITE_AND_READ = """
import json, sys
import pyarrow.parquet
from floe_monitor.cli.entry import run

def read(path):
    table = pyarrow.parquet.read_table(path)
    return {"types": {field.name: str(field.type) for field in table.schema}, "rows": table.to_pylist()}

found = {}
for line in sys.argv[1:]:
    words = line.split()
    for since, name in (((), "kept"), (("--since", "1s"), "none")):
        for form in ("json", "parquet"):
            assert run([*words, *since, "--format", form, "--output", name + "." + form]) == 0
    found[line] = {
        "json": json.load(open("kept.json")), "kept": read("kept.parquet"), "none": read("none.parquet")
    }
json.dump(found, sys.stdout, default=str)
"""


@pytest.mark.gate
@pytest.mark.process
@pytest.mark.timeout(600)
def test_parquet_has_what_json_has_with_types(pyarrow: Path, kept: Monitor, place: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([*filter(None, sys.path), str(pyarrow)])}
    done = subprocess.run(
        [sys.executable, "-c", WRITE_AND_READ, *LINES],
        cwd=place, env=environ, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for line, found in json.loads(done.stdout).items():
        types = found["kept"]["types"]
        moments = [name for name, kind in types.items() if kind == "timestamp[ms, tz=UTC]"]
        assert moments == [name for name in ("at", "start", "began_at", "ended_at") if name in types], line
        assert len(found["json"]) > 1
        for read, written in zip(found["kept"]["rows"], found["json"], strict=True):
            assert list(read) == list(written)
            for name, value in written.items():
                if name in moments and value is not None:
                    assert datetime.fromisoformat(read[name]) == datetime.fromisoformat(value)
                else:
                    assert read[name] == value, name
        # Of nothing too, so that a folder of such files is one table.
        assert found["none"]["types"] == types
