"""`config import`: an existing profiles.yml as a configuration, with nothing dropped in silence.

A literal secret becomes a reference to an environment variable before any plugin sees it; its value is kept
apart, for `check --profiles` alone.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from floe_monitor.cli.terminal import NO, OK, CliError, note, suggestion, write
from floe_monitor.compute.toolkit.env_references import expression_for, is_template
from floe_monitor.credentials.detection import SECRET_ENV_PREFIX, is_secret_key, secrets_in

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping, Sequence
    from pathlib import Path

    from floe_monitor.domain.targets import Target
    from floe_monitor.registry.discovery import PluginRegistry
    from floe_monitor.settings.models import WorkerSettings

_NO_NAME = re.compile(r"[^A-Za-z0-9_.\-]+|^[.\-]+")


@dataclass(slots=True)
class Imported:
    """`secrets`: literals found, by the variable that stands for each. `lost` and `notes` are to print."""

    targets: dict[str, dict[str, Any]] = field(default_factory=dict)
    profiles: list[dict[str, Any]] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def configuration(self) -> dict[str, Any]:
        return {"profiles": self.profiles, "targets": self.targets}


def import_profiles(path: Path, only: Sequence[str], output: Path | None) -> int:
    """Print or write the configuration. 1 where something could not be carried over."""
    from floe_monitor.registry.discovery import discover  # noqa: PLC0415 - only when a command needs it

    found = read_profiles(path, only, discover())
    text = _as_yaml(found, path)
    if output is None:
        write(text)
    else:
        try:
            with output.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            raise CliError(f"{output} exists already; name another file or remove it") from None
        except OSError as error:
            raise CliError(f"cannot write {output}: {error.strerror}") from None
        note(f"wrote {output} with {len(found.targets)} targets")
    for line in (*found.notes, *(f"not carried over: {lost}" for lost in found.lost)):
        note(line)
    if found.lost:
        note(f"What was not carried over stays in {path} as it is.")
    if found.secrets:
        note("Literal secrets became references; set these variables where floe-monitor and dbt run:")
        for name in found.secrets:
            note(f"  {name}")
    return NO if found.lost else OK


def targets_of(path: Path, environ: MutableMapping[str, str]) -> tuple[WorkerSettings, dict[str, Target]]:
    """The outputs of a profiles.yml as targets to probe; literal secrets go to `environ` for the time."""
    from floe_monitor.domain.targets import build_targets  # noqa: PLC0415 - as above
    from floe_monitor.registry.discovery import discover  # noqa: PLC0415 - only when a command needs it
    from floe_monitor.settings import ConfigurationError, Settings  # noqa: PLC0415 - as above

    registry = discover()
    found = read_profiles(path, (), registry)
    for lost in found.lost:
        note(f"not checked: {lost}")
    for text in found.notes:
        note(text)
    environ.update(found.secrets)
    settings = Settings.model_validate({"targets": found.targets})
    try:
        return settings.workers, build_targets(settings, registry)
    except ConfigurationError as error:
        problems = [
            f"  {problem.path and '.'.join(map(str, problem.path))}: {problem.message}"
            for problem in error.problems
        ]
        raise CliError(f"{path} cannot be checked:", *problems) from None


def read_profiles(path: Path, only: Sequence[str], registry: PluginRegistry) -> Imported:
    """Every output of the profiles named, or of all."""
    document = _parse(path)
    profiles = {name: body for name, body in document.items() if name != "config"}
    for name in only:
        if name not in profiles:
            raise CliError(f"{path} has no profile {name!r}{suggestion(name, profiles)}")
    found = Imported()
    for name, body in profiles.items():
        if only and name not in only:
            continue
        outputs = body.get("outputs") if isinstance(body, dict) else None
        if not isinstance(outputs, dict):
            found.lost.append(f"profile {name}: it has no outputs")
            continue
        taken = [_take(found, str(name), str(key), output, registry) for key, output in outputs.items()]
        names = {key: target for key, target in zip(map(str, outputs), taken, strict=True) if target}
        if not names:
            continue
        profile: dict[str, Any] = {"name": str(name), "path": str(path)}
        default = body.get("target")
        if default in names:
            profile["target"] = default
        elif default is not None and not is_template(str(default)):
            found.notes.append(
                f"profile {name}: its default target {default!r} is no output of this configuration; "
                "profiles.yml keeps it"
            )
        profile["targets"] = list(names.values())
        found.profiles.append(profile)
    return found


def _take(found: Imported, profile: str, key: str, output: Any, registry: PluginRegistry) -> str | None:
    """Add one output's target; its name, or None where it could not be carried over."""
    where = f"profile {profile}, output {key}"
    if not isinstance(output, dict) or not isinstance(output.get("type"), str):
        found.lost.append(f"{where}: it has no type")
        return None
    entry = registry.get(output["type"])
    import_output = getattr(entry.plugin, "import_dbt_output", None)
    if import_output is None:
        found.lost.append(f"{where}: {entry.problem or f'the {entry.name} plugin cannot import profiles'}")
        return None
    name = _free_name(found, profile, key)
    clean = _without_literals(output, SECRET_ENV_PREFIX + "_" + name, found.secrets)
    try:
        fields = import_output(clean)
    except Exception as error:  # noqa: BLE001 - a plugin's code; what it says is what could not be carried
        found.lost.append(f"{where}: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
        return None
    found.targets[name] = {"plugin": entry.name, **fields}
    if name != key:
        found.targets[name]["output"] = key
        found.notes.append(f"{where} becomes target {name}; profiles.yml goes on calling it {key}")
    return name


def _free_name(found: Imported, profile: str, key: str) -> str:
    name = _NO_NAME.sub("_", key)[:128] or "target"
    if name in found.targets:
        name = _NO_NAME.sub("_", f"{profile}-{key}")[:120]
    number = 2
    while name in found.targets:
        name, number = f"{name}-{number}", number + 1
    return name


def _without_literals(
    value: Any, variable: str, secrets: MutableMapping[str, str], secret: bool = False
) -> Any:
    """`value` with a dbt expression for every literal secret; each literal goes to `secrets`."""
    if isinstance(value, dict):
        return {
            key: _without_literals(item, f"{variable}_{key}", secrets, secret or is_secret_key(str(key)))
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_without_literals(item, f"{variable}_{n}", secrets, secret) for n, item in enumerate(value)]
    if value is None or isinstance(value, bool):
        return value
    text = str(value)
    if "{{" in text or not ((secret and text) or (isinstance(value, str) and secrets_in(text))):
        return value
    name = re.sub(r"\W", "_", variable, flags=re.ASCII).upper()
    while secrets.get(name, text) != text:
        name += "_"
    secrets[name] = text
    return expression_for(name)


def _parse(path: Path) -> Mapping[str, Any]:
    import yaml  # noqa: PLC0415 - only when a command needs it

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise CliError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError:
        raise CliError(f"{path} is not UTF-8 text") from None
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise CliError(f"{path}{where}: not YAML: {getattr(error, 'problem', None) or 'malformed'}") from None
    if not isinstance(document, dict):
        raise CliError(f"{path} is not a profiles.yml: it has no profiles")
    return document


def _as_yaml(found: Imported, path: Path) -> str:
    import yaml  # noqa: PLC0415 - only when a command needs it

    head = [f"# Made from {os.fspath(path)} by `floe-monitor config import`."]
    head += [f"# Set {name}: the profile held this secret as it is." for name in found.secrets]
    head += [f"# Not carried over, and left in the file as it is: {lost}" for lost in found.lost]
    body = yaml.safe_dump(found.configuration(), sort_keys=False, allow_unicode=True, width=100)
    return "\n".join(head) + "\n" + body
