"""`check`: every target probed once."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from floe_monitor.cli.loading import load_targets, pick
from floe_monitor.cli.reporting import print_json, print_table
from floe_monitor.cli.terminal import NO, OK, console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from floe_monitor.domain.events import ProbeResult
    from floe_monitor.domain.targets import Target
    from floe_monitor.settings.models import WorkerSettings


def check_targets(
    names: Sequence[str], config: Path | None, profiles: Path | None, *, as_json: bool, strict: bool
) -> int:
    """The exit code: 0 unless a target is UNHEALTHY, or DEGRADED where that is told to count."""
    if profiles is None:
        loaded, targets = load_targets(config)
        workers = loaded.settings.workers
    else:
        from floe_monitor.cli.importing import targets_of  # noqa: PLC0415 - not in the usual case

        workers, targets = targets_of(profiles, os.environ)
    chosen = pick(targets, names)
    with _progress(len(chosen)) as on_result:
        results = probe(chosen, workers, on_result)
    bad = {"unhealthy", "degraded"} if strict else {"unhealthy"}
    ok = not any(result.status.value in bad for result in results)
    if as_json:
        print_json(results, ok)
    else:
        print_table(results)
    return OK if ok else NO


def probe(
    targets: Sequence[Target], workers: WorkerSettings, on_result: Callable[[ProbeResult], None]
) -> list[ProbeResult]:
    import anyio  # noqa: PLC0415 - after the configuration has been found good

    from floe_monitor.probing.oneshot import probe_once  # noqa: PLC0415 - as above

    return anyio.run(probe_once, targets, workers, on_result)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[ProbeResult], None]]:
    """A bar on stderr while several targets are probed, on a terminal only; gone when they are done."""
    if total < 2 or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415 - as it says

    columns = (TextColumn("probing"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[last]}"))
    with Progress(*columns, console=console(sys.stderr), transient=True) as bar:
        task = bar.add_task("probing", total=total, last="")
        yield lambda result: bar.update(task, advance=1, last=result.target)
