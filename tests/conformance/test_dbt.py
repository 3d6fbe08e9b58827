"""Which of dbt's commands a verdict is measured against, and what is quoted of its output."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
import yaml

from conformance import report, verdicts
from conformance.cases import Case, Engine, Situation
from conformance.dbt import Verdict, prepare, reason
from conformance.verdicts import Row

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from conformance.dbt import DbtRunner

MODEL_FAILED = """
06:45:25  1 of 2 ERROR creating sql table model main.built_table_1a [ERROR in 0.08s]
06:45:25  Failure in model built_table (models/built_table.sql)
06:45:25    Runtime Error in model built_table (models/built_table.sql)
  Binder Error: Catalog "lake" does not exist!
06:45:25  Done. PASS=2 WARN=0 ERROR=1 SKIP=1 NO-OP=0 TOTAL=4
"""
OUTPUT = {"type": "duckdb", "path": ":memory:"}


def _nowhere(folder: Path) -> AbstractContextManager[Situation]:
    raise NotImplementedError(folder)


class _Commands:
    """In dbt's place: notes what is asked of it."""

    def __init__(self, *, run: Verdict) -> None:
        self.asked: list[str] = []
        self._run = run

    def debug(self, *_: object) -> Verdict:
        self.asked.append("debug")
        return Verdict("debug", passed=True, reason="")

    def run(self, _case: Case, _folder: Path, _environment: object, source: str) -> Verdict:
        self.asked.append(f"run on {source}")
        return self._run


_BUILT = Verdict("run", passed=True, reason="")
_FAILED = Verdict("run", passed=False, reason="permission denied")
_HUNG = Verdict("run", passed=False, reason="hung", hung=True)


@pytest.mark.parametrize(
    ("status", "situation", "builds", "run", "asked", "cell"),
    [
        ("healthy", Situation(), True, _BUILT, ["run on lake.t"], "`run` passes"),
        ("healthy", Situation(), True, _FAILED, ["run on lake.t", "debug"], "`run` fails, `debug` passes"),
        ("degraded", Situation(), True, _FAILED, ["run on lake.t", "debug"], "`run` fails, `debug` passes"),
        ("degraded", Situation(), True, _HUNG, ["run on lake.t"], "`run` fails"),
        ("unhealthy", Situation(), True, _BUILT, ["debug"], "`debug` passes"),
        ("healthy", Situation(stand_in=True), True, _FAILED, ["debug"], "`debug` passes"),
        ("healthy", Situation(), False, _FAILED, ["debug"], "`debug` passes"),
    ],
)
def test_the_command(
    tmp_path: Path, status: str, situation: Situation, builds: bool, run: Verdict, asked: list[str], cell: str
) -> None:
    engine = Engine("duckdb", "dbt-duckdb.txt", (), source=lambda _: "lake.t")
    case = Case("a case", _nowhere, builds=builds)
    commands = _Commands(run=run)
    answer = {"status": status, "profile": OUTPUT}
    found, debug_passed = verdicts.ask_dbt(
        engine, case, situation, answer, cast("DbtRunner", commands), tmp_path, {}
    )
    assert commands.asked == asked
    row = Row(
        "a case",
        status,
        error_type="",
        message="",
        warnings=(),
        dbt_passed=found.passed,
        dbt_reason=found.reason,
        dbt_command=found.command,
        debug_passed=debug_passed,
    )
    assert f"| {cell} |" in report.section(engine, [row])


def test_a_refused_target_is_not_run(tmp_path: Path) -> None:
    commands = _Commands(run=_BUILT)
    answer = {"status": "refused", "profile": None}
    engine, case = Engine("duckdb", "dbt-duckdb.txt", ()), Case("a case", _nowhere)
    found, _ = verdicts.ask_dbt(engine, case, Situation(), answer, cast("DbtRunner", commands), tmp_path, {})
    assert not found.passed
    assert commands.asked == []


def test_the_project_has_one_table_and_one_view(tmp_path: Path) -> None:
    prepare(tmp_path, OUTPUT)
    project = yaml.safe_load((tmp_path / "dbt_project.yml").read_text())
    profiles = yaml.safe_load((tmp_path / "profiles.yml").read_text())
    assert profiles[project["profile"]] == {"target": "dev", "outputs": {"dev": OUTPUT}}
    models = {path.stem for path in (tmp_path / "models").iterdir()}
    built = project["models"][project["name"]]
    assert {name: built[name]["materialized"] for name in models} == {
        "built_table": "table",
        "built_view": "view",
    }
    assert {
        name for name in models if f"if exists {{{{ ref('{name}') }}}}" in str(project["on-run-end"])
    } == models


@pytest.mark.parametrize(
    ("output", "quoted"),
    [
        (
            MODEL_FAILED,
            'Binder Error: Catalog "lake" does not exist!',
        ),
        (
            "06:45:29  Encountered an error:\nRuntime Error\n  Invalid Input Error: read-only mode!\n",
            "Invalid Input Error: read-only mode!",
        ),
        (
            "06:45:33  Encountered an error:\nIO Error: Cannot open database\n06:45:33  Traceback\n",
            "IO Error: Cannot open database",
        ),
        (
            "The database returned the following error:\n\n  >connection refused\n  at once\n",
            "connection refused",
        ),
        ("  >Database Error\n    Access Denied\n", "Access Denied"),
        ("  >Runtime Error\n  Database Error\n    no token\n", "no token"),
        ("  >Database Error\n\n", "Database Error"),
        ("06:45:33  Parser Error: at line 1\n", "Parser Error: at line 1"),
        ("nothing of the kind\n", "failed"),
    ],
)
def test_the_reason(output: str, quoted: str) -> None:
    assert reason(output) == quoted
