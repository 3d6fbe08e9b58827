"""What the commands `profiles show`, `diff` and `write` do. They block."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from floe_monitor.credentials.masking import redacted
from floe_monitor.profiles import files
from floe_monitor.profiles.dump import dump_block
from floe_monitor.profiles.locks import owner_lock
from floe_monitor.profiles.merge import MergeRefusedError
from floe_monitor.profiles.plan import plan
from floe_monitor.profiles.reconcile import Assignment, Outcome, Reconciler, render_with_secrets
from floe_monitor.profiles.render import OutputError, Rendered
from floe_monitor.profiles.yaml_text import load

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from floe_monitor.domain.events import Event
    from floe_monitor.domain.targets import Target
    from floe_monitor.settings.models import ProfileSettings


@dataclass(frozen=True, slots=True)
class ProfileDiff:
    """`text` is a unified diff of the profile's own lines, empty where the file is in step.

    `problem` says why there is no diff, why it would not be written, or which outputs could not be rendered;
    `note`, what stays in the file without being configured.
    """

    profile: str
    path: str
    text: str
    problem: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class ProfileWrite:
    """`owner` names the daemon that keeps the profile, which will make it what its own configuration says."""

    profile: str
    path: str
    outcome: Outcome
    owner: str | None = None


def show(
    profiles: Sequence[ProfileSettings], targets: Mapping[str, Target], environ: Mapping[str, str]
) -> str:
    """What each profile gets from the configuration: YAML, with its path and problems as comments.

    What the file has besides, and `write` leaves in it, is named and not shown: it may hold secrets.
    """
    parts = []
    for profile in profiles:
        rendered = render_with_secrets(Assignment(profile, targets), _ignore, environ)
        head = [f"# {profile.path}"] + [
            f"# output {name!r}: {why}" for name, why in rendered.problems.items()
        ]
        try:
            value, notes = _preview(profile.path, rendered)
            head += [f"# {note}" for note in notes]
            body = dump_block({profile.name: value})
        except OutputError:
            body = f"# profile {profile.name!r} has no output\n"
        parts.append("\n".join(head) + "\n" + body)
    return "\n".join(parts)


def _preview(path: str, rendered: Rendered) -> tuple[dict[str, Any], list[str]]:
    """The configuration's part of the profile, with the default output that the file will have."""
    alone = rendered.over(None)
    try:
        now = plan(files.read(path), rendered)
    except (files.FileError, MergeRefusedError) as error:
        return alone, [f"the file will stay as it is: {error}"]
    target = {"target": now.wanted.profile["target"]} if "target" in now.wanted.profile else {}
    return {**target, "outputs": alone["outputs"]}, [now.note] if now.note else []


def diff(
    profiles: Sequence[ProfileSettings], targets: Mapping[str, Target], environ: Mapping[str, str]
) -> list[ProfileDiff]:
    """What `write` would change, one entry per profile. No line of another profile is in it.

    It compares values, not their spelling; what the file has and the configuration has not is shown
    without what looks like a secret.
    """
    return [_diff(Assignment(profile, targets), environ) for profile in profiles]


def _diff(assignment: Assignment, environ: Mapping[str, str]) -> ProfileDiff:
    profile = assignment.profile
    try:
        rendered = render_with_secrets(assignment, _ignore, environ)
        now = plan(files.read(profile.path), rendered)
    except (files.FileError, MergeRefusedError, OutputError) as error:
        return ProfileDiff(profile.name, profile.path, "", str(error))
    if not now.changed:
        return ProfileDiff(profile.name, profile.path, "", now.problems, now.note)
    # What the configuration says openly; a secret that stays in an output of somebody else is not among it.
    said = frozenset(_texts(rendered.outputs))
    old = redacted(now.existing.own, said=said)
    new = redacted(load(now.text)[profile.name], said=said)
    before = [] if old is None else dump_block({profile.name: old}).splitlines(keepends=True)
    after = dump_block({profile.name: new}).splitlines(keepends=True)
    lines = difflib.unified_diff(before, after, profile.path, f"{profile.path} (configuration)")
    problem = "; ".join(part for part in (now.refused, now.problems) if part)
    return ProfileDiff(profile.name, profile.path, "".join(lines), problem, now.note)


def write(
    profiles: Sequence[ProfileSettings], targets: Mapping[str, Target], environ: Mapping[str, str]
) -> list[ProfileWrite]:
    """Bring every profile in step once. A daemon that keeps one is no obstacle: writers take turns."""
    written = []
    for profile in profiles:
        outcome = Reconciler(_ignore, environ, owns=False).run(Assignment(profile, targets))
        owner = owner_lock(files.real_path(profile.path), profile.name).holder()
        written.append(ProfileWrite(profile.name, profile.path, outcome, owner))
    return written


def _ignore(event: Event) -> None:
    """One-shot commands export nothing."""


def _texts(value: Any) -> Iterator[str]:
    match value:
        case dict():
            for item in value.values():
                yield from _texts(item)
        case list():
            for item in value:
                yield from _texts(item)
        case _:
            yield str(value)
