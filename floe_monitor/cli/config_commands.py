"""`config check|show|schema|shards|import`."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from floe_monitor.cli.configuration import find_config, load_settings, load_targets
from floe_monitor.cli.options import ConfigOption, TargetArguments
from floe_monitor.cli.terminal import OK, CliError, note, unknown, write
from floe_monitor.domain.plurals import counted

app = typer.Typer(help="Look at the configuration.", no_args_is_help=True)


class TextFormat(StrEnum):
    YAML = "yaml"
    JSON = "json"


@app.command("check")
def check_config(config: ConfigOption = None) -> int:
    """Say what is wrong with the configuration, with file and line. Exit 2: something is."""
    # A target whose plugin is missing is a problem here: the daemon would report it UNHEALTHY for ever.
    from floe_monitor.settings.file_modes import exposed_files

    loaded, targets = load_targets(config)
    problems = [
        f"  {loaded.locate(('targets', name, 'plugin'))}: targets.{name}: {target.entry.problem}"
        for name, target in targets.items()
        if target.entry.plugin is None
    ]
    if problems:
        raise CliError(f"the configuration {find_config(config)} cannot work here:", *problems)
    for warning in exposed_files(loaded.trusted):
        note(f"warning: {warning}")
    for name, token in loaded.settings.http.tokens.items():
        if token.has_ended(datetime.now(UTC)):
            note(f"warning: the token {name!r} ended at {token.expires} and opens nothing")
    files = ", ".join(map(str, loaded.files))
    kept = len(loaded.settings.profiles)
    write(f"ok: {counted(len(targets), 'target')}, {counted(kept, 'profile')} in {files}")
    return OK


@app.command("show")
def show_config(
    config: ConfigOption = None,
    output: Annotated[TextFormat, typer.Option("--format", "-f", help="Output format.")] = TextFormat.YAML,
) -> int:
    """Print the configuration in force, defaults and environment included, secrets hidden."""
    from floe_monitor.compute.redaction.redactor import MASK
    from floe_monitor.credentials.masking import redacted

    loaded, targets = load_targets(config)
    settings = loaded.settings.model_dump(mode="json", exclude_none=True)
    for name, target in targets.items():
        settings["targets"][name]["probe"] = target.policy.as_settings()
    shown = {key: redacted(value) for key, value in settings.items()}
    # A target may be called `token`: its name must not hide it.
    shown["targets"] = {name: redacted(value) for name, value in settings["targets"].items()}
    shown["http"] |= {
        "tokens": {name: {**token, "hash": MASK} for name, token in settings["http"]["tokens"].items()},
        "users": settings["http"]["users"],
    }
    write(_json(shown) if output is TextFormat.JSON else _yaml(shown))
    return OK


@app.command("schema")
def print_schema() -> int:
    """Print the JSON Schema of the configuration, for editors."""
    from floe_monitor.settings.schema import schema_text

    write(schema_text().rstrip())
    return OK


@app.command("shards")
def show_shards(targets: TargetArguments = None, config: ConfigOption = None) -> int:
    """Print how many targets each shard watches, or the shards of those named."""
    from collections import Counter

    from floe_monitor.domain.shards import PROFILE_OWNER, assigned

    settings = load_settings(config).settings
    shard = settings.shard
    if shard is None:
        raise CliError("the configuration has no shards: every monitor watches all targets")
    for name in targets or ():
        if name not in settings.targets:
            raise unknown("no target", name, settings.targets)
        write(f"{name}: {', '.join(map(str, assigned(name, shard.count, shard.replicas)))}")
    if not targets:
        on = Counter(i for name in settings.targets for i in assigned(name, shard.count, shard.replicas))
        for index in range(shard.count):
            keeps = ", keeps the profiles" if settings.profiles and index == PROFILE_OWNER else ""
            write(f"shard {index}: {counted(on[index], 'target')}{keeps}")
    return OK


@app.command("import")
def import_profiles(
    profiles: Annotated[Path, typer.Argument(metavar="PROFILES.yml", help="An existing dbt profiles.yml.")],
    profile: Annotated[
        Optional[list[str]],
        typer.Option("--profile", help="Take this profile only; may be repeated."),
    ] = None,
    output: Annotated[
        Optional[Path],
        typer.Option("--output", "-o", help="Write here instead of to stdout; an existing file is refused."),
    ] = None,
) -> int:
    """Turn a profiles.yml into a configuration. Exit 1: something could not be carried over."""
    from floe_monitor.cli import profile_import

    return profile_import.import_profiles(profiles, profile or [], output)


def _json(value: Any) -> str:
    import json  # YAML does without

    return json.dumps(value, indent=2, ensure_ascii=False)


def _yaml(value: Any) -> str:
    import yaml  # JSON does without

    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
    return text
