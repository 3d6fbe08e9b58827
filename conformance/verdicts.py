"""Both verdicts of each case side by side, and whether they agree."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Self

from conformance import environments
from conformance.dbt import DbtRunner, Verdict, prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.cases import Case, Engine, Situation

RULE = (
    "HEALTHY: `dbt run` builds a table and a view; where the server is a stand-in or the target is read "
    "only, `dbt debug` passes; where a relation of a model is another role's, `dbt run` fails at it and a "
    "warning names it. UNHEALTHY: `dbt debug` fails, or needs nothing of what is asleep and stays so. "
    "DEGRADED: dbt works with a limitation, or not at this moment, and the message says which. What is not "
    "HEALTHY names its reason."
)
_LANES = {False: 2, True: 4}
"""Cases at once: those that work, and beside them those in which dbt only waits."""


@dataclass(frozen=True, slots=True)
class Row:
    case: str
    status: str
    error_type: str
    message: str
    warnings: tuple[str, ...]
    dbt_passed: bool
    dbt_reason: str
    seconds: float = 0.0
    """Of the validation."""
    dbt_command: str = "debug"
    """The one that passed or failed."""
    debug_passed: bool | None = None
    """Where `dbt run` failed: whether `dbt debug` passes all the same."""
    dbt_seconds: float = 0.0
    direct: str = ""
    """What a query of one's own says."""
    relation: str = ""
    """Where a warning has to name what `dbt run` fails at: its name."""
    asleep: bool = False
    """Whether what runs dbt's models is suspended and stays so."""

    @property
    def agrees(self) -> bool:
        """By `RULE`; a target that is refused before it is probed counts as UNHEALTHY."""
        if self.status == "healthy":
            return self.dbt_passed or self._is_warned_of
        if not self.message or (self.status == "unhealthy" and not self.error_type):
            return False
        if self.status == "degraded":
            return True
        return (
            not self.dbt_passed or self.asleep or (self.direct != "" and not self.direct.startswith("reads"))
        )

    @property
    def _is_warned_of(self) -> bool:
        named = self.relation != "" and self.relation in self.dbt_reason
        return named and any(self.relation in warning for warning in self.warnings)

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "agrees": self.agrees}


def judge(engine: Engine, *, on_row: Callable[[Row], None] | None = None) -> list[Row]:
    """Every case of the engine, in order; each has a directory and a home of its own, removed afterwards."""
    environments.python_of(engine)
    with ExitStack() as stack:
        lanes = {
            waits: stack.enter_context(_Lanes(engine, count, on_row))
            for waits, count in _LANES.items()
            if any(case.waits is waits for case in engine.cases)
        }
        under_way = [lanes[case.waits].submit(case) for case in engine.cases]
        return [future.result() for future in under_way]


class _Lanes:
    """As many cases at once as there are lanes, each with a dbt process of its own."""

    def __init__(self, engine: Engine, count: int, on_row: Callable[[Row], None] | None) -> None:
        self._engine, self._on_row = engine, on_row
        self._opened = [DbtRunner(engine) for _ in range(count)]
        self._free: SimpleQueue[DbtRunner] = SimpleQueue()
        for runner in self._opened:
            self._free.put(runner)
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="case")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        for runner in self._opened:
            runner.__exit__()

    def submit(self, case: Case) -> Future[Row]:
        return self._pool.submit(self._judge, case)

    def _judge(self, case: Case) -> Row:
        runner = self._free.get()
        try:
            row = _run(self._engine, case, runner)
        finally:
            self._free.put(runner)
        if self._on_row is not None:
            self._on_row(row)
        return row


def _run(engine: Engine, case: Case, runner: DbtRunner) -> Row:
    with tempfile.TemporaryDirectory(prefix="verdict-") as name:
        folder = Path(name)
        work, home, data = folder / "work", folder / "home", folder / "data"
        for part in (work, home, data):
            part.mkdir()
        with case.arrange(data) as situation:
            environment = {"HOME": str(home), "TMPDIR": str(home), **situation.environment}
            request = {
                "plugin": engine.plugin,
                "folder": str(work),
                "fields": dict(situation.fields),
                "credentials": dict(situation.credentials),
                "ordinary_user": case.ordinary_user,
                "timeout": case.timeout,
                "former_names": dict(situation.former_names),
                "credential_files": dict(situation.credential_files),
                "watched": situation.meanwhile is not None,
            }
            answer = _ours(request, environment, situation.meanwhile)
            dbts, debug_passed = ask_dbt(engine, case, situation, answer, runner, work, environment)
            direct = "" if engine.direct is None else engine.direct(situation, environment)
        return Row(
            case=case.name,
            status=answer["status"],
            error_type=answer["error_type"] or "",
            message=_portable(answer["message"], folder),
            warnings=tuple(_portable(text, folder) for text in answer.get("warnings", ())),
            dbt_passed=dbts.passed,
            dbt_reason=_portable(dbts.reason, folder),
            seconds=answer.get("seconds", 0.0),
            dbt_command=dbts.command,
            debug_passed=debug_passed,
            dbt_seconds=dbts.seconds,
            direct=_portable(direct, folder),
            relation=f"built_table_{case.suffix}" if case.warned else "",
            asleep=case.asleep,
        )


def ask_dbt(
    engine: Engine,
    case: Case,
    situation: Situation,
    answer: Mapping[str, Any],
    runner: DbtRunner,
    work: Path,
    environment: Mapping[str, str],
) -> tuple[Verdict, bool | None]:
    """dbt's verdict, and `Row.debug_passed`. `dbt run` logs in and queries as `dbt debug` does and takes four
    times as long, so it replaces that where the monitor says that dbt works, and is left out elsewhere."""
    if answer["profile"] is None:
        return Verdict("debug", passed=False, reason="no profile is written"), None
    prepare(work, answer["profile"])
    if answer["status"] not in {"healthy", "degraded"} or situation.stand_in or not case.builds:
        return runner.debug(case, work, environment), None
    ran = runner.run(case, work, environment, "" if engine.source is None else engine.source(situation))
    if ran.passed or ran.hung:
        return ran, None
    return ran, runner.debug(case, work, environment).passed


def _ours(
    request: dict[str, Any], environment: dict[str, str], meanwhile: Callable[[], object] | None
) -> dict[str, Any]:
    with subprocess.Popen(
        [sys.executable, "-m", "conformance.validation_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=environments.ROOT,
        env={**os.environ, **environment},
    ) as process:
        timer = threading.Timer(60, process.kill)
        timer.start()
        try:
            if meanwhile is not None and process.stdin is not None and process.stdout is not None:
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()
                process.stdout.readline()
                meanwhile()
                out, errors = process.communicate("\n")
            else:
                out, errors = process.communicate(json.dumps(request))
        finally:
            timer.cancel()
    if process.returncode != 0:
        raise RuntimeError(f"the monitor's side failed: {errors[-2000:]}")
    answer: dict[str, Any] = json.loads(out)
    return answer


def _portable(text: str, folder: Path) -> str:
    """The text without what differs from run to run."""
    text = text.replace(f"{folder}/data", "/data").replace(str(folder), "…")
    text = re.sub(r"\b(held in|at URL) (\"?)[^\s\"]+", r"\1 \2…", text)
    text = re.sub(r"(;|\.)? ?See also https?:\S+", "", text)
    text = re.sub(r"(127\.0\.0\.1:|\bport[ =])\d+", r"\1n", text)
    text = re.sub(r"\bPID \d+(?: \([^)]*\))?", "PID n", text)
    return re.sub(r"\b(\d{15,}|0x[0-9a-f]{8,})\b", "n", " ".join(text.split()))
