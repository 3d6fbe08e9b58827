"""Every command: its arguments and its help. The work is imported when a command runs."""

# Imports inside the commands keep `check` and completion quick: a web server takes longer to import than a
# database takes to answer.
# ruff: noqa: PLC0415

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Optional

import typer

from floe_monitor import __version__
from floe_monitor.cli.terminal import write

HELP = "Watch the compute engines a dbt platform runs on, and keep profiles.yml in step."

app = typer.Typer(
    name="floe-monitor",
    help=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
config_app = typer.Typer(help="Look at the configuration.", no_args_is_help=True)
profiles_app = typer.Typer(help="Look after profiles.yml.", no_args_is_help=True)
plugins_app = typer.Typer(help="Look at the plugins installed.", no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(profiles_app, name="profiles")
app.add_typer(plugins_app, name="plugins")


class OutputFormat(StrEnum):
    TABLE = "table"
    JSON = "json"


class TextFormat(StrEnum):
    YAML = "yaml"
    JSON = "json"


def _duration(text: str | float) -> float:
    from floe_monitor.settings.durations import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _complete_targets(ctx: typer.Context, incomplete: str) -> list[str]:
    from floe_monitor.cli.loading import names_for_completion

    return [name for name in names_for_completion(ctx.params.get("config")) if name.startswith(incomplete)]


ConfigOption = Annotated[
    Optional[Path],  # noqa: UP045 - typer reads it at run time
    typer.Option(
        "--config",
        "-c",
        envvar="FLOE_MONITOR_CONFIG",
        show_default="./floe-monitor.yaml",
        help="Configuration file.",
    ),
]
TargetArguments = Annotated[
    Optional[list[str]],  # noqa: UP045 - typer reads it at run time
    typer.Argument(metavar="TARGET", autocompletion=_complete_targets, help="Targets; all if none is named."),
]
TargetArgument = Annotated[str, typer.Argument(metavar="TARGET", autocompletion=_complete_targets)]
FormatOption = Annotated[OutputFormat, typer.Option("--format", "-f", help="Output format.")]


def _version(asked: bool) -> None:
    if asked:
        write(f"floe-monitor {__version__}")
        raise typer.Exit


@app.callback()
def root(
    _version_asked: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    _debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of unexpected errors.")] = False,
) -> None:
    """Watch the compute engines a dbt platform runs on, and keep profiles.yml in step."""


@app.command()
def run(config: ConfigOption = None) -> int:
    """Watch, export and reconcile until told to stop."""
    from floe_monitor.cli.running import run_daemon

    return run_daemon(config)


@app.command()
def check(
    targets: TargetArguments = None,
    config: ConfigOption = None,
    profiles: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads it at run time
        typer.Option("--profiles", help="Check the outputs of this profiles.yml instead of a configuration."),
    ] = None,
    output: FormatOption = OutputFormat.TABLE,
    strict: Annotated[bool, typer.Option("--strict", help="DEGRADED counts as a failure too.")] = False,
) -> int:
    """Probe targets once. Exit 0: none is UNHEALTHY, 1: some are, 2: usage or configuration."""
    from floe_monitor.cli.checking import check_targets

    return check_targets(targets or [], config, profiles, as_json=output is OutputFormat.JSON, strict=strict)


@app.command()
def wait(
    targets: TargetArguments = None,
    config: ConfigOption = None,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", "-t", parser=_duration, metavar="DURATION", help="Give up after this time."
        ),
    ] = 60.0,
    interval: Annotated[
        float, typer.Option("--interval", parser=_duration, metavar="DURATION", help="Time between attempts.")
    ] = 1.0,
) -> int:
    """Wait until targets are up (HEALTHY or DEGRADED): a gate for an init container. Exit 1: not in time."""
    from floe_monitor.cli.waiting import wait_for_targets

    return wait_for_targets(targets or [], config, timeout, interval)


@config_app.command("check")
def config_check(config: ConfigOption = None) -> int:
    """Say what is wrong with the configuration, with file and line. Exit 2: something is."""
    from floe_monitor.cli.configuring import check_config

    return check_config(config)


@config_app.command("show")
def config_show(
    config: ConfigOption = None,
    output: Annotated[TextFormat, typer.Option("--format", "-f", help="Output format.")] = TextFormat.YAML,
) -> int:
    """Print the configuration in force, defaults and environment included, secrets hidden."""
    from floe_monitor.cli.configuring import show_config

    return show_config(config, as_json=output is TextFormat.JSON)


@config_app.command("schema")
def config_schema() -> int:
    """Print the JSON Schema of the configuration, for editors."""
    from floe_monitor.cli.configuring import print_schema

    return print_schema()


@config_app.command("import")
def config_import(
    profiles: Annotated[Path, typer.Argument(metavar="PROFILES.yml", help="An existing dbt profiles.yml.")],
    profile: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads it at run time
        typer.Option("--profile", help="Take this profile only; may be repeated."),
    ] = None,
    output: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads it at run time
        typer.Option("--output", "-o", help="Write here instead of to stdout; an existing file is refused."),
    ] = None,
) -> int:
    """Turn a profiles.yml into a configuration. Exit 1: something could not be carried over."""
    from floe_monitor.cli.importing import import_profiles

    return import_profiles(profiles, profile or [], output)


@profiles_app.command("show")
def profiles_show(config: ConfigOption = None) -> int:
    """Print each profiles.yml as it should be."""
    from floe_monitor.cli.profiling import show_profiles

    return show_profiles(config)


@profiles_app.command("diff")
def profiles_diff(config: ConfigOption = None) -> int:
    """Print how each profiles.yml differs from what it should be. Exit 1: one does."""
    from floe_monitor.cli.profiling import diff_profiles

    return diff_profiles(config)


@profiles_app.command("write")
def profiles_write(config: ConfigOption = None) -> int:
    """Bring each profiles.yml into step, once. Exit 1: one could not be written."""
    from floe_monitor.cli.profiling import write_profiles

    return write_profiles(config)


@plugins_app.command("list")
def plugins_list(output: FormatOption = OutputFormat.TABLE) -> int:
    """List the plugins installed, where they come from, and what is wrong with any."""
    from floe_monitor.cli.asking import list_plugins

    return list_plugins(as_json=output is OutputFormat.JSON)


@plugins_app.command("show")
def plugins_show(name: Annotated[str, typer.Argument(metavar="NAME")]) -> int:
    """Show one plugin: its provenance, what it needs, the keys of its targets."""
    from floe_monitor.cli.asking import show_plugin

    return show_plugin(name)


@app.command()
def packages(targets: TargetArguments = None, config: ConfigOption = None) -> int:
    """Print the requirement lines of the dbt image that serves the targets."""
    from floe_monitor.cli.asking import print_packages

    return print_packages(targets or [], config)


@app.command()
def resources(
    size: Annotated[str, typer.Argument(metavar="SIZE", help="small, medium or large.")],
    plugin: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it at run time
        typer.Option("--plugin", help="Ask this plugin rather than the common presets."),
    ] = None,
) -> int:
    """Print the Kubernetes `resources:` of a dbt job pod."""
    from floe_monitor.cli.asking import print_resources

    return print_resources(size, plugin)


@app.command("catalog-sql")
def catalog_sql(
    target: TargetArgument,
    config: ConfigOption = None,
    show_secrets: Annotated[
        bool, typer.Option("--show-secrets", help="Print credentials as they are, not as ***.")
    ] = False,
) -> int:
    """Print the statements that attach a target's catalogs."""
    from floe_monitor.cli.asking import print_catalog_sql

    return print_catalog_sql(target, config, show_secrets=show_secrets)
