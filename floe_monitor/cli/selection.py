"""What a command probes: targets of a configuration, or outputs of a profiles.yml."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from floe_monitor.cli.configuration import load_targets, pick
from floe_monitor.cli.terminal import unknown

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from floe_monitor.cli.profile_import import Lost
    from floe_monitor.domain.targets import Target
    from floe_monitor.settings import LoadedSettings
    from floe_monitor.settings.history_models import HistoryUrl
    from floe_monitor.settings.models import WorkerSettings


@dataclass(frozen=True, slots=True)
class Selection:
    """`unchecked`: what was asked for of a profiles.yml and is no target; None for a configuration."""

    workers: WorkerSettings
    targets: list[Target]
    unchecked: list[Lost] | None
    history: HistoryUrl | None = None
    """Where the configuration has the daemon keep one."""


def select(
    names: Sequence[str], config: Path | None, profiles: Path | None, profile: Sequence[str]
) -> Selection:
    """The targets named, or all: of the configuration or of the file `profiles`, of those of `profile` alone
    where any is given."""
    if profiles is None:
        loaded, configured = load_targets(config)
        wanted = _of_profiles(loaded, configured, profile) if profile else configured
        return Selection(loaded.settings.workers, pick(wanted, names), None, loaded.settings.history.url)
    from floe_monitor.cli.profile_import import targets_of  # noqa: PLC0415 - not in the usual case

    workers, outputs, lost = targets_of(profiles, os.environ, profile)
    return Selection(workers, *_of_outputs(outputs, names, lost))


def _of_profiles(
    loaded: LoadedSettings, configured: dict[str, Target], profile: Sequence[str]
) -> dict[str, Target]:
    kept = {each.name: each.targets for each in loaded.settings.profiles}
    for name in profile:
        if name not in kept:
            raise unknown("the configuration keeps no profile", name, kept)
    wanted: set[str] = set()
    for name in profile:
        targets = kept[name]
        wanted.update(configured if targets is None else targets)
    return {name: target for name, target in configured.items() if name in wanted}


def _of_outputs(
    outputs: dict[str, Target], names: Sequence[str], lost: Sequence[Lost]
) -> tuple[list[Target], list[Lost]]:
    """The targets named, or all, and what of it is no target: it may be named like one."""
    if not names:
        return (list(outputs.values()) if lost else pick(outputs, ())), list(lost)
    unchecked = [each for each in lost if each.output in names and each.output not in outputs]
    gone = {each.output for each in unchecked}
    there = [name for name in names if name not in gone]
    return (pick(outputs, there) if there else []), unchecked
