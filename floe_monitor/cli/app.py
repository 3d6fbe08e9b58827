"""The typer application: every command in the order in which `--help` lists them.

Importing the commands imports nothing of what they work with: a web server takes longer to import than a
database takes to answer. Each command imports what it needs when it runs.
"""

from __future__ import annotations

from typing import Annotated

import typer

from floe_monitor import __version__
from floe_monitor.cli import (
    config_commands,
    credential_commands,
    maintenance_commands,
    notify_commands,
    plugin_commands,
    profiles_commands,
)
from floe_monitor.cli.check_command import check
from floe_monitor.cli.exec_command import exec_
from floe_monitor.cli.healthcheck_command import healthcheck
from floe_monitor.cli.history_commands import history, incidents, report
from floe_monitor.cli.render_command import render
from floe_monitor.cli.run_command import run
from floe_monitor.cli.terminal import write
from floe_monitor.cli.wait_command import wait

HELP = "Watch the compute engines a dbt platform runs on, and keep profiles.yml in step."

app = typer.Typer(
    name="floe-monitor",
    help=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (
    run,
    check,
    wait,
    healthcheck,
    history,
    incidents,
    report,
    plugin_commands.packages,
    plugin_commands.resources,
    render,
    credential_commands.token,
    credential_commands.password,
):
    app.command()(command)
app.command("exec", context_settings={"allow_interspersed_args": False})(exec_)
app.command("catalog-sql")(plugin_commands.catalog_sql)
app.command()(maintenance_commands.announce)
app.add_typer(maintenance_commands.app, name="maintenance")
app.add_typer(config_commands.app, name="config")
app.add_typer(profiles_commands.app, name="profiles")
app.add_typer(plugin_commands.app, name="plugins")
app.add_typer(notify_commands.app, name="notify")


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
