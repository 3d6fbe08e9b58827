"""dbt's verdict: a real `dbt debug` on a profile."""

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

    from conformance.cases import Engine

PROJECT = {"name": "conformance", "version": "1.0", "config-version": 2, "profile": "conformance"}
ENVIRONMENT = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DBT_VERSION_CHECK": "false", "DO_NOT_TRACK": "1"}
TIMEOUT = 40.0
"""Seconds after which dbt counts as hung."""


@dataclass(frozen=True, slots=True)
class Verdict:
    passed: bool
    reason: str
    seconds: float = 0.0
    """Of the command alone: dbt and its adapter are imported beforehand."""


class DbtRunner:
    """One dbt process, from which each `debug` is forked. Not for two threads at once."""

    def __init__(self, engine: Engine) -> None:
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

    def debug(
        self, folder: Path, output: Mapping[str, Any], *, environment: Mapping[str, str], ordinary_user: bool
    ) -> Verdict:
        """Run it in `folder`, with this output as the only one of the profile."""
        profiles = {"conformance": {"target": "dev", "outputs": {"dev": dict(output)}}}
        (folder / "dbt_project.yml").write_text(yaml.safe_dump(PROJECT))
        (folder / "profiles.yml").write_text(yaml.safe_dump(profiles))
        request = {
            "folder": str(folder),
            "environment": {**ENVIRONMENT, **environment},
            "ordinary_user": ordinary_user,
            "timeout": TIMEOUT,
        }
        started = time.monotonic()
        code = self._ask(request)["code"]
        seconds = time.monotonic() - started
        if code is None:
            return Verdict(passed=False, reason=f"hung for {TIMEOUT:.0f} s", seconds=seconds)
        text = (folder / "dbt.out").read_text(errors="replace")
        return Verdict(passed=code == 0, reason="" if code == 0 else _reason(text), seconds=seconds)


def _reason(text: str) -> str:
    """The line dbt quotes from the driver, or its own first error."""
    quoted = re.search(r"^\s*>(.+)$", text, re.MULTILINE)
    if quoted:
        return quoted[1].strip()
    error = re.search(r"^.*(?:Error|ERROR|error)\b.*$", text, re.MULTILINE)
    return error[0].strip() if error else "failed"
