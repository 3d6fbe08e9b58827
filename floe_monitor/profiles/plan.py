"""What a profiles.yml should become, and doing it: the copy, the file, the record, in that order."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from floe_monitor.profiles import files
from floe_monitor.profiles.copies import keep_copy
from floe_monitor.profiles.literals import refusal
from floe_monitor.profiles.merge import Existing, MergeRefusedError, merge, read
from floe_monitor.profiles.ownership import Wanted, claims_after, decide
from floe_monitor.profiles.record import Record, read_record, record_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from floe_monitor.profiles.render import Rendered

_NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """What a file should become, by the record that was read with it."""

    snapshot: files.Snapshot
    existing: Existing
    rendered: Rendered
    record: Record
    wanted: Wanted
    text: str
    record_problem: str = ""
    """Why the record removes nothing."""

    @property
    def changed(self) -> bool:
        return self.text != self.existing.text

    @property
    def writes(self) -> bool:
        """A missing file is written even where nothing would stand in it but what it says already."""
        return self.changed or self.snapshot.data is None

    @property
    def problems(self) -> str:
        """The outputs that are not as configured."""
        return self.rendered.problem_text(self.existing.own)

    @property
    def note(self) -> str:
        """What stays without being configured, and why the record could not help; no fault of the file."""
        if self.rendered.prune:
            return ""
        parts = [f"{self.record_problem}; nothing is removed"] if self.record_problem else []
        if stays := self.wanted.stays:
            names = ", ".join(f"{str(name)[:60]!r}" for name in stays[:_NAMES_SHOWN])
            more = f" and {len(stays) - _NAMES_SHOWN} more" if len(stays) > _NAMES_SHOWN else ""
            parts.append(f"left in the file, not configured and not the monitor's: {names}{more}")
        return "; ".join(parts)

    @property
    def refused(self) -> str:
        """Why it must not be written: the file would lose a literal secret that nothing else holds."""
        return refusal(self.existing.own, self.wanted.profile, self.rendered.is_set)

    @property
    def needs_copy(self) -> bool:
        """Before the first write to what the monitor did not make."""
        return not self.record.usable or self.wanted.adopts

    @property
    def record_after(self) -> Record:
        name = self.rendered.name
        after = read(self.text, name)
        claims = claims_after(self.existing, after, self.rendered, self.record.claims(name))
        return self.record.with_claims(name, claims)


def plan(
    snapshot: files.Snapshot, rendered: Rendered, record: Record | None = None, record_problem: str = ""
) -> Plan:
    """`record` is read anew without one. Raises `MergeRefusedError` and `OutputError`."""
    data = snapshot.data or b""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise MergeRefusedError(f"line {line}: the existing file is not UTF-8") from None
    record = read_record(snapshot.real) if record is None else record
    problem = record_problem or record.problem
    existing = read(text, rendered.name)
    wanted = decide(existing, rendered, record.claims(rendered.name), may_remove=not problem)
    merged = merge(existing, wanted.profile, verbatim=not rendered.prune)
    return Plan(snapshot, existing, rendered, record, wanted, merged, problem)


@dataclass(frozen=True, slots=True)
class Stored:
    """What was written, None where nothing was, and what there is to say about it."""

    data: bytes | None
    note: str


def store(now: Plan, copied: Callable[[Path], None], made: bytes | None = None) -> Stored:
    """Write what was planned, under the write lock: a copy where one is due, the file, the record.

    The record is made ready before all else, so that one that cannot be written removes nothing, and takes
    effect last. `copied` is called with a copy at once: it stays whatever happens then. `made` is what this
    process wrote last, of which no copy is due. Raises `CopyError`, `MergeRefusedError`,
    `ChangedMeanwhileError` and `FileError`: the file is then as before.
    """
    if now.changed and (refused := now.refused):
        raise MergeRefusedError(refused)
    after = now.record_after
    path = record_path(now.snapshot.real)
    with ExitStack() as stack:
        staged = None
        if after != now.record or files.opener_than(path, now.snapshot):
            try:
                staging = files.staged(now.snapshot, after.encode(), _cannot_write(path))
                staged = stack.enter_context(staging)
            except files.FileError as error:
                now = plan(now.snapshot, now.rendered, now.record, str(error))
        if not now.writes:
            return Stored(None, now.note)
        due = now.needs_copy and now.snapshot.data != made
        if due and (copy := keep_copy(now.snapshot)) is not None:
            copied(copy)
        data = now.text.encode()
        files.replace(now.snapshot, data)
        note = now.note
        if staged is not None:
            try:
                files.put(staged, path)
            except OSError as error:
                said = f"{_cannot_write(path)}: {files.explain(error)}"
                note = f"{note}; {said}" if note else said
        return Stored(data, note)


def _cannot_write(record: Path) -> str:
    return f"the record {record.name} cannot be written"
