"""Finding the configuration, reading it, and picking targets by name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from floe_monitor.cli.terminal import CliError, unknown
from floe_monitor.domain.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from floe_monitor.domain.targets import Target
    from floe_monitor.settings import LoadedSettings

PLACES = (
    "floe-monitor.yaml",
    "floe-monitor.yml",
    "config/floe-monitor.yaml",
    "/etc/floe-monitor/floe-monitor.yaml",
)
"""Where a configuration is looked for when none is named, the first found being taken."""


def find_config(given: Path | None) -> Path:
    """The file named by --config or FLOE_MONITOR_CONFIG, else the first of `PLACES`."""
    if given is not None:
        if not given.exists():
            raise CliError(f"no configuration at {given}", "  named by --config or FLOE_MONITOR_CONFIG")
        return given
    for place in map(Path, PLACES):
        if place.exists():
            return place
    looked = [f"  {place}" for place in PLACES]
    raise CliError(
        "no configuration found; looked for:",
        *looked,
        "Name one with --config or FLOE_MONITOR_CONFIG, or make one from dbt's own file with "
        "`floe-monitor config import ~/.dbt/profiles.yml`.",
    )


def load_settings(given: Path | None) -> LoadedSettings:
    """The configuration; `CliError` lists every problem with its place."""
    from floe_monitor.settings import ConfigurationError, load  # noqa: PLC0415 - completion does without

    path = find_config(given)
    try:
        return load(path, os.environ)
    except ConfigurationError as error:
        raise refused(path, error) from None


def load_targets(given: Path | None) -> tuple[LoadedSettings, dict[str, Target]]:
    """The configuration and its targets, joined with the plugins that are installed."""
    from floe_monitor.domain.targets import build_targets  # noqa: PLC0415 - as above
    from floe_monitor.registry.discovery import discover  # noqa: PLC0415 - as above
    from floe_monitor.settings import ConfigurationError  # noqa: PLC0415 - as above

    loaded = load_settings(given)
    try:
        return loaded, build_targets(loaded.settings, discover(), loaded.locate)
    except ConfigurationError as error:
        raise refused(find_config(given), error) from None


def refused(path: Path, error: Exception) -> CliError:
    problems = [f"  {problem}" for problem in getattr(error, "problems", ()) or (error,)]
    return CliError(f"the configuration {path} has {counted(len(problems), 'problem')}:", *problems)


def pick(targets: dict[str, Target], names: Sequence[str]) -> list[Target]:
    """The targets named, each once and in the order given; all if none is named."""
    for name in names:
        if name not in targets:
            raise unknown("no target", name, targets)
    if not targets:
        raise CliError(
            "no targets are configured", "Add one under `targets:`; docs/configuration.md shows how."
        )
    return [targets[name] for name in dict.fromkeys(names)] if names else list(targets.values())


def names_for_completion(given: Path | None) -> list[str]:
    """Target names for the shell; none where the configuration cannot be read."""
    try:
        return list(load_settings(given).settings.targets)
    except CliError:
        return []
