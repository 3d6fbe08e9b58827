"""`plugins list|show`, and what plugins answer for dbt: `packages`, `resources` and `catalog-sql`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from floe_monitor.cli.configuration import load_targets, pick
from floe_monitor.cli.options import (
    ConfigOption,
    FormatOption,
    OutputFormat,
    TargetArgument,
    TargetArguments,
)
from floe_monitor.cli.terminal import OK, CliError, console, note, unknown, write

if TYPE_CHECKING:
    from rich.text import Text

    from floe_monitor.domain.targets import Target
    from floe_monitor.registry.discovery import PluginEntry


app = typer.Typer(help="Look at the plugins installed.", no_args_is_help=True)


@app.command("list")
def list_plugins(output: FormatOption = OutputFormat.TABLE) -> int:
    """List the plugins installed, where they come from, and what is wrong with any."""
    from floe_monitor.registry.discovery import GROUP, discover

    entries = discover().entries()
    if output is OutputFormat.JSON:
        from floe_monitor.domain.serialization import encode

        keys = ("name", "distribution", "version", "target", "problem")
        found = [
            {**{key: getattr(entry, key) for key in keys}, "lacking": entry.lacking()} for entry in entries
        ]
        write(encode(found).decode())
        return OK
    if not entries:
        from floe_monitor.registry.extras import installable_plugins

        names = ", ".join(sorted(installable_plugins().values()))
        hint = f"; there are {names}" if names else ""
        note(f"no plugins are installed (entry points of the group {GROUP}){hint}")
        return OK
    from rich.table import Table  # JSON does without
    from rich.text import Text

    table = Table("NAME", "DISTRIBUTION", "VERSION", "STATE", box=None, pad_edge=False, header_style="bold")
    for entry in entries:
        state = _state(entry)
        table.add_row(Text(entry.name), Text(entry.distribution or "–"), Text(entry.version or "–"), state)
    console().print(table)
    return OK


@app.command("show")
def show_plugin(name: Annotated[str, typer.Argument(metavar="NAME")]) -> int:
    """Show one plugin: its provenance, what it needs, the keys of its targets."""
    from floe_monitor.registry.discovery import discover

    registry = discover()
    entries = [entry for entry in registry.entries() if entry.name == name]
    if not entries:
        problem = registry.get(name).problem
        raise CliError(problem) if problem else unknown("no plugin", name, registry.names())
    write("\n\n".join("\n".join(_description(entry)) for entry in entries))
    return OK


def _state(entry: PluginEntry) -> Text:
    from rich.text import Text

    if entry.problem:
        return Text(f"✕ {entry.problem}", "red")
    if lacking := entry.lacking():
        return Text(f"! its driver is not installed: {', '.join(lacking)}", "yellow")
    return Text("✓ usable", "green")


def _description(entry: PluginEntry) -> list[str]:
    lines = [
        f"name          {entry.name}",
        f"from          {entry.provenance}",
        f"entry point   {entry.target}",
    ]
    if entry.problem:
        lines.append(f"problem       {entry.problem}")
    elif lacking := entry.lacking():
        lines.append(f"lacks         {', '.join(lacking)}")
    plugin = entry.plugin
    if plugin is None:
        return lines
    hosted = "in the platform's own pods" if plugin.is_self_hosted else "a service"
    lines += [
        f"plugin        {plugin.version}, contract {plugin.floe_api_version}",
        f"engine runs   {hosted}",
        f"dbt packages  {', '.join(plugin.get_required_dbt_packages())}",
    ]
    get_schema = getattr(plugin, "get_config_schema", None)
    schema = get_schema() if get_schema is not None else None
    if schema is not None:
        from floe_monitor.compute.models import ComputeConfig

        lines.append("keys of connection:")
        for key, info in schema.model_fields.items():
            if key not in ComputeConfig.model_fields:
                lines.append(f"  {info.alias or key:<20} {info.description or ''}".rstrip())
    return lines


def packages(targets: TargetArguments = None, config: ConfigOption = None) -> int:
    """Print the requirement lines of the dbt image that serves the targets."""

    _, configured = load_targets(config)
    # Each requirement once; two that differ for one package are both printed, for pip to refuse or join.
    needed: dict[str, str] = {}
    for target in pick(configured, targets or []):
        for requirement in _plugin_of(target).get_required_dbt_packages():
            needed.setdefault("".join(requirement.split()).lower().replace("_", "-"), requirement.strip())
    write("\n".join(sorted(needed.values(), key=str.lower)))
    return OK


def resources(
    size: Annotated[str, typer.Argument(metavar="SIZE", help="small, medium or large.")],
    plugin: Annotated[
        Optional[str],
        typer.Option("--plugin", help="Ask this plugin rather than the common presets."),
    ] = None,
) -> int:
    """Print the Kubernetes `resources:` of a dbt job pod."""
    import yaml

    from floe_monitor.cli.job_resources import kubernetes_resources, sized
    from floe_monitor.registry.discovery import discover

    asked = None
    if plugin is not None:
        entry = discover().get(plugin)
        if entry.plugin is None:
            raise CliError(f"{plugin}: {entry.problem}")
        asked = entry.plugin
    made = {"resources": kubernetes_resources(sized(asked, size))}
    write(yaml.safe_dump(made, sort_keys=False).rstrip())
    return OK


def catalog_sql(
    target: TargetArgument,
    config: ConfigOption = None,
    show_secrets: Annotated[
        bool, typer.Option("--show-secrets", help="Print credentials as they are, not as ***.")
    ] = False,
) -> int:
    """Print the statements that attach a target's catalogs."""
    from floe_monitor.cli.catalog_statements import statements

    _, configured = load_targets(config)
    (picked,) = pick(configured, [target])
    for statement in statements(picked, _plugin_of(picked), show_secrets=show_secrets):
        write(statement.rstrip().rstrip(";") + ";")
    return OK


def _plugin_of(target: Target) -> Any:
    if target.entry.plugin is None:
        raise CliError(f"target {target.name}: {target.entry.problem}")
    return target.entry.plugin
