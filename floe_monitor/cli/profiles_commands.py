"""`profiles show|diff|write`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import typer

from floe_monitor.cli.configuration import load_targets
from floe_monitor.cli.options import ConfigOption
from floe_monitor.cli.terminal import NO, OK, CliError, colours, note, write

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from floe_monitor.domain.targets import Target
    from floe_monitor.settings.models import ProfileSettings

app = typer.Typer(help="Compare and write profiles.yml.", no_args_is_help=True)

_COLOURS = {"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[36m"}


@app.command("show")
def show_profiles(config: ConfigOption = None) -> int:
    """Print each profiles.yml as it should be."""
    from floe_monitor import profiles

    write(profiles.show(*_load(config), os.environ))
    return OK


@app.command("diff")
def diff_profiles(config: ConfigOption = None) -> int:
    """Print how each profiles.yml differs from what it should be. Exit 1: one does."""
    from floe_monitor import profiles

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


@app.command("write")
def write_profiles(config: ConfigOption = None) -> int:
    """Bring each profiles.yml into step, once. Exit 1: one could not be written."""
    from floe_monitor import profiles

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
