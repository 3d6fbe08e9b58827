"""`profiles show|diff|write`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from floe_monitor.cli.loading import load_targets
from floe_monitor.cli.terminal import NO, OK, CliError, colours, note, write

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from floe_monitor.domain.targets import Target
    from floe_monitor.settings.models import ProfileSettings

_COLOURS = {"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[36m"}


def show_profiles(config: Path | None) -> int:
    from floe_monitor import profiles  # noqa: PLC0415 - read by these commands alone

    write(profiles.show(*_load(config), os.environ))
    return OK


def diff_profiles(config: Path | None) -> int:
    """1 where a file differs, or cannot be compared."""
    from floe_monitor import profiles  # noqa: PLC0415 - as above

    code = OK
    for found in profiles.diff(*_load(config), os.environ):
        if found.text:
            write(_coloured(found.text))
        if found.problem:
            note(f"{found.path}: profile {found.profile}: {found.problem}")
        elif not found.text:
            note(f"{found.path}: profile {found.profile} is in step")
        if found.note:
            note(f"  {found.note}")
        code = NO if found.text or found.problem else code
    return code


def write_profiles(config: Path | None) -> int:
    """1 where one could not be written."""
    from floe_monitor import profiles  # noqa: PLC0415 - as above

    code = OK
    for done in profiles.write(*_load(config), os.environ):
        if done.outcome.copy is not None:
            write(f"{done.path}: {done.outcome.copy_text}")
        said = f": {done.outcome.message}" if done.outcome.message else ""
        note(f"{done.path}: profile {done.profile} {done.outcome.result.replace('_', ' ')}{said}")
        if done.owner is not None:
            note(f"  a daemon keeps it as well: {done.owner}")
        code = code if done.outcome.result in ("written", "unchanged") else NO
    return code


def _load(config: Path | None) -> tuple[Sequence[ProfileSettings], dict[str, Target]]:
    loaded, targets = load_targets(config)
    if not loaded.settings.profiles:
        raise CliError(
            "the configuration keeps no profile", "Name one under `profiles:`; see docs/profiles.md."
        )
    return loaded.settings.profiles, targets


def _coloured(diff: str) -> str:
    if not colours(sys.stdout):
        return diff
    return "".join(
        f"{_COLOURS[line[0]]}{line.rstrip()}\x1b[0m\n" if line[:1] in _COLOURS else line
        for line in diff.splitlines(keepends=True)
    )
