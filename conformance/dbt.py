"""dbt's verdict: a real `dbt debug` on a profile, and where an engine's cases want it a `dbt run`."""

from __future__ import annotations

import json
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import yaml

from conformance import environments

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.cases import Case, Engine

PROJECT = {"name": "conformance", "version": "1.0", "config-version": 2, "profile": "conformance"}
MODELS = {
    "one_table.sql": "{{ config(materialized='table') }} select 1 as a",
    "one_view.sql": "{{ config(materialized='view') }} select a from {{ ref('one_table') }}",
}
ENVIRONMENT = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DBT_VERSION_CHECK": "false", "DO_NOT_TRACK": "1"}
TIMEOUT = 40.0
"""Seconds after which dbt counts as hung."""


@dataclass(frozen=True, slots=True)
class Verdict:
    passed: bool
    reason: str
    seconds: float = 0.0
    """Of `debug` alone: dbt and its adapter are imported beforehand."""


class DbtRunner:
    """One dbt process, from which each command is forked. Not for two threads at once.

    Its verdict is that of `debug`, and where the engine `runs` and that passes, of a `run` of one table and
    one view.
    """

    def __init__(self, engine: Engine) -> None:
        self._runs = engine.runs
        script = str(Path(__file__).with_name("forked.py"))
        self._process = subprocess.Popen(
            [str(environments.python_of(engine)), "-P", "-W", "ignore", script, *engine.modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=10)

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("dbt was started without pipes")
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def judge(
        self, folder: Path, output: Mapping[str, Any], *, environment: Mapping[str, str], case: Case
    ) -> Verdict:
        """Run the commands in `folder`, with this output as the only one of the profile, until one fails."""
        profiles = {"conformance": {"target": "dev", "outputs": {"dev": dict(output)}}}
        (folder / "dbt_project.yml").write_text(yaml.safe_dump(PROJECT))
        (folder / "profiles.yml").write_text(yaml.safe_dump(profiles))
        (folder / "models").mkdir()
        for name, text in MODELS.items():
            (folder / "models" / name).write_text(text)
        request = {
            "folder": str(folder),
            "environment": {**ENVIRONMENT, **environment},
            "ordinary_user": case.ordinary_user,
            "timeout": TIMEOUT,
        }
        seconds = 0.0
        for command in ("debug", "run") if self._runs and case.builds else ("debug",):
            started = time.monotonic()
            code = self._ask({**request, "command": command})["code"]
            seconds = seconds or time.monotonic() - started
            if code is None:
                return Verdict(passed=False, reason=f"hung for {TIMEOUT:.0f} s", seconds=seconds)
            if code != 0:
                text = (folder / "dbt.out").read_text(errors="replace")
                before = "" if command == "debug" else f"dbt {command}: "
                return Verdict(passed=False, reason=before + _reason(text), seconds=seconds)
        return Verdict(passed=True, reason="", seconds=seconds)


def _reason(text: str) -> str:
    """The line dbt quotes from the driver, or its own first error."""
    quoted = re.search(r"^\s*>(.+)$", text, re.MULTILINE) or re.search(r"Error in model .*\n(.+)", text)
    if quoted:
        return re.sub(r"^\d\d:\d\d:\d\d\s+", "", quoted[1].strip())
    error = re.search(r"^.*(?:Error|ERROR|error)\b.*$", text, re.MULTILINE)
    return error[0].strip() if error else "failed"
