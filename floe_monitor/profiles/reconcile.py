"""One pass over one profile: render, compare, and write where the file differs.

Everything here blocks and belongs to one thread at a time.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from floe_monitor.compute.redaction.detection import is_secret_key, is_secret_variable
from floe_monitor.compute.toolkit.env_references import UnresolvedError, variables_in
from floe_monitor.credentials.references import Reference, as_reference
from floe_monitor.profiles import files
from floe_monitor.profiles.copies import CopyError
from floe_monitor.profiles.locks import FileLock, HeldError, NoLocksError, owner_lock, writing
from floe_monitor.profiles.merge import MergeRefusedError
from floe_monitor.profiles.plan import plan, store
from floe_monitor.profiles.render import OutputError, Rendered, render

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from floe_monitor.domain.events import Publish
    from floe_monitor.domain.targets import Target
    from floe_monitor.settings.models import ProfileSettings

WRITE_WAIT_SECONDS = 5.0
"""How long to wait for another writer of the same file; each holds it for one read and one write."""
_ATTEMPTS = 5

Result = Literal["written", "unchanged", "refused", "foreign_owner", "failed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`copy` is the one that was made of the file before it was written."""

    result: Result
    message: str = ""
    copy: Path | None = None

    @property
    def copy_text(self) -> str:
        return f"kept a copy of the file as it was: {self.copy}" if self.copy else ""

    @property
    def text(self) -> str:
        return "; ".join(part for part in (self.copy_text, self.message) if part)


@dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """What one profile should be."""

    profile: ProfileSettings
    targets: Mapping[str, Target]


class Reconciler:
    """Brings one profile in step, again and again; remembers what needs no second look."""

    def __init__(self, publish: Publish, environ: Mapping[str, str], *, owns: bool) -> None:
        self._publish = publish
        self._environ = environ
        self._owns = owns
        self._owner: FileLock | None = None
        self._note = ""
        self._assignment: Assignment | None = None
        self._rendered: Rendered | None = None
        self._in_step: bytes | None = None
        self._in_step_note = ""
        self._copy: Path | None = None
        self._made: bytes | None = None

    def run(self, assignment: Assignment, cancelled: threading.Event | None = None) -> Outcome:
        """One pass. Once `cancelled` is set nothing is written any more. Does not raise."""
        self._copy = None
        outcome = self._explained_pass(assignment, cancelled or threading.Event())
        return replace(outcome, copy=self._copy)

    def _explained_pass(self, assignment: Assignment, cancelled: threading.Event) -> Outcome:
        try:
            return self._pass(assignment, cancelled)
        except (MergeRefusedError, CopyError) as error:
            return Outcome("refused", str(error))
        except (files.FileError, OutputError) as error:
            return Outcome("failed", str(error))
        except HeldError as error:
            return Outcome("failed", f"it has been locked for {WRITE_WAIT_SECONDS:g} s by {error}")
        except Exception as error:  # noqa: BLE001 - an odd file must not end the daemon; its text is not echoed
            return Outcome("failed", f"a defect of the monitor: {type(error).__name__}")

    def release(self) -> None:
        """Let another daemon keep the profile."""
        if self._owner is not None:
            self._owner.release()
            self._owner = None

    def _pass(self, assignment: Assignment, cancelled: threading.Event) -> Outcome:
        path = assignment.profile.path
        files.make_directory(path)
        real = files.real_path(path)
        if self._owns and (owner := self._claim(real, assignment.profile.name)):
            return Outcome("foreign_owner", f"kept by {owner}; standing by")
        rendered = self._render(assignment)
        snapshot = files.read(path)
        if snapshot.data is not None and snapshot.data == self._in_step and not rendered.problems:
            return self._outcome("unchanged", "", self._in_step_note)
        now = plan(snapshot, rendered)
        if not now.writes:
            self._in_step, self._in_step_note = snapshot.data, now.note
            return self._outcome("unchanged", now.problems, now.note)
        with writing(real, WRITE_WAIT_SECONDS) as exclusive:
            if exclusive:
                files.sweep(real)
            return self._write(path, real, rendered, cancelled)

    def _write(self, path: str, real: Path, rendered: Rendered, cancelled: threading.Event) -> Outcome:
        for _ in range(_ATTEMPTS):
            now = plan(files.read(path), rendered)
            if now.snapshot.real != real:
                break
            if not now.writes:
                return self._outcome("unchanged", now.problems, now.note)
            if cancelled.is_set():
                return Outcome("failed", "stopped before it was written")
            try:
                stored = store(now, self._copied, self._made)
            except files.ChangedMeanwhileError:
                continue
            if stored.data is None:
                return self._outcome("unchanged", now.problems, stored.note)
            self._made = stored.data
            return self._outcome("written", now.problems, stored.note)
        return Outcome("failed", "another process keeps changing it")

    def _copied(self, copy: Path) -> None:
        self._copy = copy

    def _outcome(self, result: Result, problems: str, note: str) -> Outcome:
        if problems and result == "written":
            problems = f"written, except: {problems}"
        message = "; ".join(part for part in (problems, note, self._note) if part)
        return Outcome("failed" if problems else result, message)

    def _claim(self, real: Path, name: str) -> str | None:
        """Become the profile's owner in that file; returns the owner, where that is another process."""
        wanted = owner_lock(real, name)
        if self._owner is not None and (self._owner.path != wanted.path or not self._owner.current()):
            self.release()
        if self._owner is not None:
            return None
        try:
            wanted.acquire()
        except HeldError as error:
            return str(error)
        except NoLocksError as error:
            # Whatever it is that forbids the lock file either forbids writing too, which will be said, or
            # leaves two daemons to agree by their configuration alone.
            self._note = f"kept without a lock against a second daemon: {error}"
            return None
        self._owner, self._note = wanted, ""
        return None

    def _render(self, assignment: Assignment) -> Rendered:
        """Anew for a new assignment, and as long as an output is missing."""
        if self._rendered is None or self._assignment is not assignment or self._rendered.problems:
            self._rendered = render_with_secrets(assignment, self._publish, self._environ)
            self._assignment = assignment
            self._in_step = None
        return self._rendered


def render_with_secrets(assignment: Assignment, publish: Publish, environ: Mapping[str, str]) -> Rendered:
    """Render, knowing the credentials of this moment, so that none of them gets into an output."""
    secrets = {
        name: _secrets(assignment.targets[name], environ)
        for name in (assignment.profile.targets or assignment.targets)
        if name in assignment.targets
    }
    files_of = {
        name.name: Reference(file=name.file)
        for target in assignment.targets.values()
        for name in target.profile_names
        if name.file is not None
    }

    def is_set(variable: str) -> bool:
        """In the environment, or as the name that the profile has for a credential's file."""
        reference = files_of.get(variable)
        return bool(environ.get(variable) or (reference is not None and _read(reference, environ)))

    return render(assignment.profile, assignment.targets, publish=publish, secrets=secrets, is_set=is_set)


def _secrets(target: Target, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Values of the target's credentials, wherever it refers to them."""
    settings = target.settings
    references = [credential.reference for credential in settings.credentials.values()]
    values = {value for reference in references for value in _read(reference, environ)}
    open_keys = [settings.connection, settings.output_keys or {}, settings.model_extra or {}]
    values.update(_referred(open_keys, environ, secret=False))
    return tuple(value for value in values if value)


def _referred(value: object, environ: Mapping[str, str], *, secret: bool) -> Iterator[str]:
    reference = as_reference(value)
    if reference is not None:
        yield from _read(reference, environ)
        return
    match value:
        case dict():
            for key, item in value.items():
                yield from _referred(item, environ, secret=secret or is_secret_key(str(key)))
        case list():
            for item in value:
                yield from _referred(item, environ, secret=secret)
        case str():
            for name in variables_in(value):
                if secret or is_secret_variable(name):
                    yield environ.get(name, "")


def _read(reference: Reference, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The value; none where there is none, which the probe reports."""
    try:
        return (reference.read(environ),)
    except UnresolvedError:
        return ()
