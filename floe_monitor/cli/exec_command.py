"""`exec`: a command run once its targets can be used, and what became of them where it fails."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from floe_monitor.cli.options import ConfigOption, ProfileOption, ProfilesOption, parse_duration
from floe_monitor.cli.terminal import CliError, note

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from floe_monitor.cli.selection import Selection
    from floe_monitor.domain.events import ProbeResult
    from floe_monitor.domain.maintenance import Maintenance

NOT_USABLE = 75
"""EX_TEMPFAIL of sysexits.h: to be tried again later."""
FORMAT = 1
"""Of the JSON line: raised when a key changes its meaning or goes, not when one is added."""


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


@dataclass(slots=True)
class _Run:
    """What has come of it so far."""

    program: str
    exit_code: int = NOT_USABLE
    stopped: bool = False
    waited: float = 0.0
    ran: float | None = None
    results: Sequence[ProbeResult] = ()
    maintained: Mapping[str, Maintenance] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The arguments of the command stay out: they may hold a secret."""
        from floe_monitor.domain import serialization

        worst = _worst(self.results)
        return {
            "format": FORMAT,
            "event": "exec",
            "program": self.program,
            "outcome": self._outcome(),
            "exit_code": self.exit_code,
            "waited_seconds": round(self.waited, 3),
            "ran_seconds": None if self.ran is None else round(self.ran, 3),
            "engine_status": None if worst is None else worst.status.value,
            "targets": [
                {
                    **serialization.probe(result),
                    "maintenance": serialization.maintenance(self.maintained.get(result.target)),
                }
                for result in self.results
            ],
        }

    def _outcome(self) -> str:
        if self.ran is None:
            return "not_usable"
        if self.exit_code == 0:
            return "succeeded"
        return "stopped" if self.stopped else "failed"


def exec_(
    command: Annotated[list[str], typer.Argument(metavar="COMMAND", help="What to run.")],
    targets: Annotated[
        Optional[list[str]],
        typer.Option("--target", metavar="NAME", help="Wait for this target; may be repeated. Default: all."),
    ] = None,
    config: ConfigOption = None,
    profiles: ProfilesOption = None,
    profile: ProfileOption = None,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout",
            "-t",
            parser=parse_duration,
            metavar="DURATION",
            help="Give up waiting after this.",
        ),
    ] = 300.0,
    interval: Annotated[
        float,
        typer.Option("--interval", parser=parse_duration, metavar="DURATION", help="Time between attempts."),
    ] = 5.0,
    log: Annotated[
        LogFormat, typer.Option("--log-format", help="Of what is said at the end.")
    ] = LogFormat.TEXT,
) -> int:
    """Wait until targets are up, run a command, and where it fails say whether an engine was at fault.

    Exits with the command's status; 75: the targets were not up in time, and it was not run.
    """
    import anyio

    from floe_monitor.cli.child_process import run_command
    from floe_monitor.cli.selection import select
    from floe_monitor.cli.usable_targets import wait_until_usable

    # Before targets are read: that sets literals of a profiles.yml, and what plugins need of their drivers.
    environ = dict(os.environ)
    chosen = select(targets or [], config, profiles, profile or [])
    for lost in chosen.unchecked or ():
        note(f"not checked: {lost}")
    if not chosen.targets or (targets and chosen.unchecked):
        raise CliError("what cannot be checked will never be usable, and the command is not run")
    done = _Run(os.path.basename(command[0]))  # noqa: PTH119 - a word, not a path
    began = time.monotonic()
    waiting = anyio.run(wait_until_usable, chosen.targets, chosen.workers, timeout, interval)
    done.waited = time.monotonic() - began
    if waiting:
        done.results = [result for result in waiting.values() if result is not None]
        _note_maintenance(done, log, chosen, waiting)
        names = ", ".join(sorted(waiting))
        _say(done, log, f"not usable after {done.waited:.1f} s, {done.program} was not run: {names}")
        return done.exit_code
    began = time.monotonic()
    ended = run_command(command, environ)
    done.exit_code, done.stopped, done.ran = ended.code, ended.stopped, time.monotonic() - began
    if done.exit_code == 0:
        _say(done, log, None)
    elif done.stopped:  # whoever asked for it does not wait for probes
        _say(done, log, f"{done.program} was told to stop, and ended with {done.exit_code}")
    else:
        done.results = _probe(chosen)
        unwell = [result.target for result in done.results if result.status.value != "healthy"]
        _note_maintenance(done, log, chosen, unwell)
        fault = _verdict(done.results)
        _say(done, log, f"{done.program} ended with {done.exit_code} after {done.ran:.1f} s: {fault}")
    # Handed on as it is: 130 as a return value would be this process' own interruption.
    raise SystemExit(done.exit_code)


def _probe(chosen: Selection) -> list[ProbeResult]:
    from floe_monitor.cli.check_command import probe

    return probe(chosen.targets, chosen.workers, lambda _: None)


def _note_maintenance(done: _Run, log: LogFormat, chosen: Selection, unwell: Iterable[str]) -> None:
    """Which of the targets that are not well are worked on. In JSON it stands in the one line."""
    from floe_monitor.cli.known_maintenance import KnownMaintenance, in_maintenance

    done.maintained = KnownMaintenance(chosen).now()
    for name in unwell if log is LogFormat.TEXT else ():
        if name in done.maintained:
            note(in_maintenance(name, done.maintained[name]))


def _worst(results: Sequence[ProbeResult]) -> ProbeResult | None:
    return max(results, key=lambda result: result.status.severity, default=None)


def _verdict(results: Sequence[ProbeResult]) -> str:
    """Whether an engine was at fault, as seen right after the command."""
    from floe_monitor.cli.report import one_line

    bad = [one_line(result) for result in results if result.status.value == "unhealthy"]
    if bad:
        return f"an engine is at fault: {'; '.join(bad)}"
    limited = [one_line(result) for result in results if result.status.value == "degraded"]
    if limited:
        return f"an engine may be at fault: {'; '.join(limited)}"
    return "every engine is well now, the fault seems the command's own"


def _say(done: _Run, log: LogFormat, text: str | None) -> None:
    if log is LogFormat.JSON:
        from floe_monitor.domain import serialization

        note(serialization.encode(done.as_json()).decode().strip())
    elif text is not None:
        note(text)
