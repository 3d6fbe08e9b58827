"""Arguments and options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Optional

import typer

from floe_monitor.cli.configuration import names_for_completion


class OutputFormat(StrEnum):
    TABLE = "table"
    JSON = "json"


def parse_duration(text: str | float) -> float:
    from floe_monitor.settings import durations  # pydantic comes with it

    try:
        return durations.parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _complete_targets(ctx: typer.Context, incomplete: str) -> list[str]:
    return [name for name in names_for_completion(ctx.params.get("config")) if name.startswith(incomplete)]


ConfigOption = Annotated[
    Optional[Path],
    typer.Option(
        "--config",
        "-c",
        envvar="FLOE_MONITOR_CONFIG",
        show_default="./floe-monitor.yaml",
        help="Configuration file.",
    ),
]
TargetArguments = Annotated[
    Optional[list[str]],
    typer.Argument(metavar="TARGET", autocompletion=_complete_targets, help="Targets; all if none is named."),
]
TargetArgument = Annotated[str, typer.Argument(metavar="TARGET", autocompletion=_complete_targets)]
ProfilesOption = Annotated[
    Optional[Path],
    typer.Option("--profiles", help="Take the outputs of this profiles.yml instead of a configuration."),
]
ProfileOption = Annotated[
    Optional[list[str]],
    typer.Option("--profile", metavar="NAME", help="Take this profile's targets only; may be repeated."),
]
FormatOption = Annotated[OutputFormat, typer.Option("--format", "-f", help="Output format.")]
