"""dbt's verdict: a real `dbt run` or `dbt debug` on a profile."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import yaml

from conformance import environments

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.cases import Case, Engine

    Command = Literal["run", "debug"]

PROJECT = Path(__file__).with_name("project")
ENVIRONMENT = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DBT_VERSION_CHECK": "false", "DO_NOT_TRACK": "1"}
TIMEOUTS: Mapping[Command, float] = {"debug": 40.0, "run": 90.0}
"""Seconds after which dbt counts as hung. A `run` computes for seconds, and for long on a busy machine."""

_GLOBAL = ("--no-use-colors", "--log-path", "logs")
_LOCATION = ("--project-dir", ".", "--profiles-dir", ".")
_UNUSED = ("--no-partial-parse", "--no-write-json")
"""Files of a run that no other reads; writing them is a fifth of its time."""


@dataclass(frozen=True, slots=True)
class Verdict:
    command: Command
    passed: bool
    reason: str
    seconds: float = 0.0
    """Of the command alone: dbt and its adapter are imported beforehand."""
    hung: bool = False


class DbtRunner:
    """One dbt process, from which each command is forked. Not for two threads at once."""

    def __init__(self, engine: Engine) -> None:
        script = str(Path(__file__).with_name("dbt_process.py"))
        self._process = subprocess.Popen(
            [str(environments.python_of(engine)), "-P", "-W", "ignore", script, *engine.modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("dbt was started without pipes")
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def debug(self, case: Case, folder: Path, environment: Mapping[str, str]) -> Verdict:
        """In the folder that `prepare` has filled."""
        return self._run(
            "debug", [*_GLOBAL, "debug", *_LOCATION, *_variables(case, "")], case, folder, environment
        )

    def run(self, case: Case, folder: Path, environment: Mapping[str, str], source: str) -> Verdict:
        """Build the project's table, which reads `source` unless that is empty, and its view; drop both."""
        arguments = [*_GLOBAL, *_UNUSED, "run", *_LOCATION, *_variables(case, source)]
        return self._run("run", arguments, case, folder, environment)

    def _run(
        self,
        command: Command,
        arguments: list[str],
        case: Case,
        folder: Path,
        environment: Mapping[str, str],
    ) -> Verdict:
        timeout = TIMEOUTS[command] if case.patience is None else case.patience
        request = {
            "arguments": arguments,
            "folder": str(folder),
            "environment": {**ENVIRONMENT, **environment},
            "ordinary_user": case.ordinary_user,
            "timeout": timeout,
        }
        started = time.monotonic()
        code = self._ask(request)["code"]
        seconds = time.monotonic() - started
        if code is None:
            return Verdict(
                command,
                passed=False,
                reason=f"hung for {timeout:.0f} s",
                seconds=seconds,
                hung=True,
            )
        text = (folder / "dbt.out").read_text(errors="replace")
        return Verdict(command, passed=code == 0, reason="" if code == 0 else reason(text), seconds=seconds)


def prepare(folder: Path, output: Mapping[str, Any]) -> None:
    """The project in `folder`, with this output as the only one of its profile."""
    shutil.copytree(PROJECT, folder, dirs_exist_ok=True)
    profiles = {"conformance": {"target": "dev", "outputs": {"dev": dict(output)}}}
    (folder / "profiles.yml").write_text(yaml.safe_dump(profiles))


def _variables(case: Case, source: str) -> list[str]:
    return ["--vars", json.dumps({"case": case.suffix, "source": source, "apart": case.apart})]


def reason(text: str) -> str:
    """The line that dbt quotes from the driver, or its own first error; of an error with a heading, such as
    `Database Error in model …`, the line below it and below further headings."""
    found = _QUOTED.search(text) or _HEADED.search(text) or _NAMED.search(text)
    if found is None:
        return "failed"
    line, after = found[1], text[found.end() :]
    while _HEADING.fullmatch(line.rstrip()) and (below := after.lstrip("\n").partition("\n"))[0].strip():
        line, _, after = below
    return _TIME.sub("", line.strip())


_TIME = re.compile(r"^\d\d:\d\d:\d\d\s+")
_QUOTED = re.compile(r"^\s*>(.+)$", re.MULTILINE)
_HEADING = re.compile(r"\s*\w+ Error(?: in .+)?")
_HEADED = re.compile(rf"^(?:\d\d:\d\d:\d\d)?({_HEADING.pattern})$", re.MULTILINE)
_NAMED = re.compile(r"^(?!.*error:$)(.*(?:Error|ERROR|error)\b.*)$", re.MULTILINE)
