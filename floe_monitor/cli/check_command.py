"""`check`: every target probed once."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from floe_monitor.cli import startup_collections
from floe_monitor.cli.options import ConfigOption, ProfileOption, ProfilesOption, TargetArguments
from floe_monitor.cli.terminal import NO, OK, console, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from floe_monitor.domain.events import ProbeResult
    from floe_monitor.domain.targets import Target
    from floe_monitor.settings.models import WorkerSettings


class ReportFormat(StrEnum):
    TABLE = "table"
    JSON = "json"
    JUNIT = "junit"


def check(
    targets: TargetArguments = None,
    config: ConfigOption = None,
    profiles: ProfilesOption = None,
    profile: ProfileOption = None,
    output: Annotated[
        ReportFormat, typer.Option("--format", "-f", help="Output format.")
    ] = ReportFormat.TABLE,
    strict: Annotated[
        bool, typer.Option("--strict", help="DEGRADED, or an output that is no target, counts as a failure.")
    ] = False,
) -> int:
    """Probe targets once. Exit 0: none is UNHEALTHY, 1: some are, 2: usage or configuration."""
    from floe_monitor.cli.known_maintenance import KnownMaintenance
    from floe_monitor.cli.report import failing, print_json, print_table
    from floe_monitor.cli.selection import select

    chosen = select(targets or [], config, profiles, profile or [])
    with _progress(len(chosen.targets)) as on_result:
        results = probe(chosen.targets, chosen.workers, on_result)
    maintained = KnownMaintenance(chosen).now()
    # A check of nothing must not pass.
    ok = bool(results) and not any(result.status.value in failing(strict=strict) for result in results)
    ok = ok and not (strict and chosen.unchecked)
    if output is ReportFormat.JSON:
        print_json(results, ok, chosen.unchecked, maintained)
    elif output is ReportFormat.JUNIT:
        from floe_monitor.cli import junit

        write(junit.render(results, chosen.unchecked or [], strict=strict))
    else:
        print_table(results, chosen.unchecked or [], maintained)
    return OK if ok else NO


def probe(
    targets: Sequence[Target], workers: WorkerSettings, on_result: Callable[[ProbeResult], None]
) -> list[ProbeResult]:
    import anyio  # after the configuration has been found good

    from floe_monitor.probing.oneshot import probe_once

    startup_collections.resume()
    return anyio.run(probe_once, targets, workers, on_result)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[ProbeResult], None]]:
    """A bar on stderr while several targets are probed, on a terminal only; gone when they are done."""
    if total < 2 or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("probing"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[last]}"))
    with Progress(*columns, console=console(sys.stderr), transient=True) as bar:
        task = bar.add_task("probing", total=total, last="")
        yield lambda result: bar.update(task, advance=1, last=result.target)
