"""`check`: every target probed once."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from floe_monitor.cli.configuration import load_targets, pick
from floe_monitor.cli.options import ConfigOption, FormatOption, OutputFormat, TargetArguments
from floe_monitor.cli.terminal import NO, OK, console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from floe_monitor.cli.profile_import import Lost
    from floe_monitor.domain.events import ProbeResult
    from floe_monitor.domain.targets import Target
    from floe_monitor.settings.models import WorkerSettings


def check(
    targets: TargetArguments = None,
    config: ConfigOption = None,
    profiles: Annotated[
        Optional[Path],
        typer.Option("--profiles", help="Check the outputs of this profiles.yml instead of a configuration."),
    ] = None,
    output: FormatOption = OutputFormat.TABLE,
    strict: Annotated[
        bool, typer.Option("--strict", help="DEGRADED, or an output that is no target, counts as a failure.")
    ] = False,
) -> int:
    """Probe targets once. Exit 0: none is UNHEALTHY, 1: some are, 2: usage or configuration."""
    from floe_monitor.cli.report import print_json, print_table

    workers, configured, lost = _targets(config, profiles)
    chosen, unchecked = _chosen(configured, targets or [], lost or [])
    with _progress(len(chosen)) as on_result:
        results = probe(chosen, workers, on_result)
    bad = {"unhealthy", "degraded"} if strict else {"unhealthy"}
    # A check of nothing must not pass.
    ok = bool(results) and not any(result.status.value in bad for result in results)
    ok = ok and not (strict and unchecked)
    if output is OutputFormat.JSON:
        print_json(results, ok, None if lost is None else unchecked)
    else:
        print_table(results, unchecked)
    return OK if ok else NO


def _targets(
    config: Path | None, profiles: Path | None
) -> tuple[WorkerSettings, dict[str, Target], list[Lost] | None]:
    """Also what of a profiles.yml cannot be checked; None for a configuration."""
    if profiles is None:
        loaded, targets = load_targets(config)
        return loaded.settings.workers, targets, None
    from floe_monitor.cli.profile_import import targets_of  # not in the usual case

    return targets_of(profiles, os.environ)


def _chosen(
    configured: dict[str, Target], names: Sequence[str], lost: Sequence[Lost]
) -> tuple[list[Target], list[Lost]]:
    """The targets named, or all, and what of it is no target: it may be named like one."""
    if not names:
        return (list(configured.values()) if lost else pick(configured, ())), list(lost)
    unchecked = [each for each in lost if each.output in names and each.output not in configured]
    gone = {each.output for each in unchecked}
    there = [name for name in names if name not in gone]
    return (pick(configured, there) if there else []), unchecked


def probe(
    targets: Sequence[Target], workers: WorkerSettings, on_result: Callable[[ProbeResult], None]
) -> list[ProbeResult]:
    import anyio  # after the configuration has been found good

    from floe_monitor.probing.oneshot import probe_once

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
