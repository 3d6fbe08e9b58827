"""`config import`: an existing profiles.yml as a configuration, with nothing dropped in silence.

A literal secret becomes a reference to an environment variable before any plugin sees it; its value is kept
apart, for `check --profiles` alone.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from floe_monitor.cli.output_import import OutputImport, RefusedError, refusal_of_profile
from floe_monitor.cli.profile_document import read_document
from floe_monitor.cli.secret_references import SecretReferences
from floe_monitor.cli.terminal import NO, OK, CliError, note, unknown, write
from floe_monitor.compute.toolkit.env_references import is_template
from floe_monitor.credentials.masking import redacted
from floe_monitor.domain.plurals import counted

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence
    from pathlib import Path

    from floe_monitor.cli.profile_document import Document
    from floe_monitor.domain.targets import Target
    from floe_monitor.registry.discovery import PluginRegistry
    from floe_monitor.settings.models import WorkerSettings

_MOST_SHOWN = 128
_NO_NAME = re.compile(r"[^A-Za-z0-9_.\-]+|^[.\-]+")


@dataclass(frozen=True, slots=True)
class Lost:
    """An output, or with None a profile, that is no target, and why."""

    profile: str
    output: str | None
    reason: str

    def __str__(self) -> str:
        return f"{_named(self.profile, self.output)}: {self.reason}"


@dataclass(slots=True)
class Imported:
    """`lost` and `notes` are to print; `secrets` are the variables that stand for literals."""

    secrets: SecretReferences
    targets: dict[str, dict[str, Any]] = field(default_factory=dict)
    profiles: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)

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
        note(f"wrote {output} with {counted(len(found.targets), 'target')}")
    for line in (*found.notes, *(f"not carried over: {lost}" for lost in found.lost)):
        note(line)
    if found.lost:
        note(f"What was not carried over stays in {path} as it is.")
    if found.secrets.made:
        note("Literal secrets became references; set these variables where floe-monitor and dbt run:")
        for name in found.secrets.made:
            note(f"  {name}")
    return NO if found.lost else OK


def targets_of(
    path: Path, environ: MutableMapping[str, str], only: Sequence[str]
) -> tuple[WorkerSettings, dict[str, Target], list[Lost]]:
    """The outputs of the profiles named, or of all, as targets to probe, and those that are none.

    Literal secrets go to `environ` for the time.
    """
    from floe_monitor.domain.targets import build_targets  # noqa: PLC0415 - as above
    from floe_monitor.registry.discovery import discover  # noqa: PLC0415 - only when a command needs it
    from floe_monitor.settings import Settings  # noqa: PLC0415 - as above

    registry = discover()
    found = read_profiles(path, only, registry)
    for text in found.notes:
        note(text)
    found.secrets.set_in(environ)
    settings = Settings.model_validate({"targets": found.targets})
    return settings.workers, build_targets(settings, registry), found.lost


def read_profiles(path: Path, only: Sequence[str], registry: PluginRegistry) -> Imported:
    """Every output of the profiles named, or of all."""
    document = read_document(path)
    for name in only:
        if name not in document.profiles:
            known = [key for key in document.profiles if isinstance(key, str)]
            raise unknown(f"{path} has no profile", name, known)
    return _Import(document, registry).read(path, only)


class _Import:
    """Reads the profiles of one document."""

    def __init__(self, document: Document, registry: PluginRegistry) -> None:
        self._document = document
        self._found = Imported(SecretReferences(document.profiles, os.environ), notes=list(document.notes))
        self._outputs = OutputImport(registry, os.environ)

    def read(self, path: Path, only: Sequence[str]) -> Imported:
        for name, body in self._document.profiles.items():
            if only and name not in only:
                continue
            if not isinstance(body, dict) or "outputs" not in body:
                self._found.notes.append(f"{_printable(str(name))!r} is no profile: it has no outputs")
                continue
            outputs = body["outputs"]
            if not isinstance(name, str):
                self._lose(str(name), None, "its name is no text: put it in quotes")
            elif (refusal := refusal_of_profile(name)) is not None:
                self._lose(name, None, refusal)
            elif not isinstance(outputs, dict):
                self._lose(name, None, "it has no outputs")
            else:
                self._profile(name, body.get("target"), outputs, path)
        return self._found

    def _profile(self, name: str, default: Any, outputs: dict[Any, Any], path: Path) -> None:
        taken = {key: self._take(name, key, output) for key, output in outputs.items()}
        names = {key: target for key, target in taken.items() if target is not None}
        if not names:
            return
        profile: dict[str, Any] = {"name": name, "path": str(path)}
        if isinstance(default, str) and default in names:
            profile["target"] = default
        elif default is not None and not (isinstance(default, str) and is_template(default)):
            self._found.notes.append(
                f"{_named(name, None)}: its default target {_printable(str(default))!r} is no output of this "
                "configuration; profiles.yml keeps it"
            )
        profile["targets"] = list(names.values())
        self._found.profiles.append(profile)

    def _take(self, profile: str, key: Any, output: Any) -> str | None:
        """Add one output's target; its name, or None where it could not be carried over."""
        try:
            if not isinstance(key, str):
                raise RefusedError("its name is no text: put it in quotes")  # noqa: TRY301 - said below
            if not isinstance(output, dict) or not output.get("type"):
                raise RefusedError("it has no type")  # noqa: TRY301 - as above
            name = self._free_name(profile, key)
            with self._found.secrets.tentatively():
                fields, notes = self._outputs.target(name, key, self._found.secrets.replaced(output, name))
        except RefusedError as error:
            self._lose(profile, str(key), str(error))
            return None
        self._found.targets[name] = fields
        where = _named(profile, key)
        if name != key:
            shown = _printable(key)
            self._found.notes.append(
                f"{where} becomes target {name}; profiles.yml goes on calling it {shown}"
            )
        self._found.notes += [f"{where}: {text}" for text in notes]
        return name

    def _lose(self, profile: str, output: str | None, reason: str) -> None:
        self._found.lost.append(Lost(profile, output, redacted(reason)))

    def _free_name(self, profile: str, key: str) -> str:
        taken = self._found.targets
        name = _NO_NAME.sub("_", key)[:128] or "target"
        if name in taken:
            name = _NO_NAME.sub("_", f"{profile}-{key}")[:120]
        number = 2
        base = name
        while name in taken:
            name, number = f"{base}-{number}", number + 1
        return name


def _as_yaml(found: Imported, path: Path) -> str:
    import yaml  # noqa: PLC0415 - only when a command needs it

    head = [f"# Made from {os.fspath(path)} by `floe-monitor config import`."]
    head += [f"# Set {name}: the profile held this secret as it is." for name in found.secrets.made]
    head += [f"# Not carried over, and left in the file as it is: {lost}" for lost in found.lost]
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # in a tenth of the time
    body = yaml.dump(found.configuration(), Dumper=dumper, sort_keys=False, allow_unicode=True, width=100)
    return "\n".join(head) + "\n" + body


def _named(profile: str, output: str | None) -> str:
    """For a line on a terminal: a name may have any characters."""
    return f"profile {_printable(profile)}" + ("" if output is None else f", output {_printable(output)}")


def _printable(text: str) -> str:
    """Where a name belongs there may stand a URL with a password."""
    text = redacted(text)
    return "".join(letter if letter.isprintable() else " " for letter in text)[:_MOST_SHOWN]
