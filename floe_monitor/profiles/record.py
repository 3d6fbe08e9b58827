"""The record beside a profiles.yml: which outputs the monitor wrote, and a hash of each one's text.

It only ever permits a removal. Without it, or where it cannot be believed, nothing is removed. It is written
after the file: a writer that dies between the two leaves a record that claims too little.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from floe_monitor.profiles import files
from floe_monitor.profiles.ownership import Claims

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_VERSION = 1
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Record:
    """`profiles` by name; `exists` is False where there is none yet. `problem`: why it counts for nothing."""

    profiles: Mapping[str, Claims] = field(default_factory=dict)
    exists: bool = False
    problem: str = ""

    @property
    def usable(self) -> bool:
        return self.exists and not self.problem

    def claims(self, profile: str) -> Claims | None:
        return self.profiles.get(profile) if self.usable else None

    def with_claims(self, profile: str, claims: Claims) -> Record:
        """It and what was written now. A record that counts for nothing begins anew."""
        kept = self.profiles if self.usable else {}
        return Record({**kept, profile: claims}, exists=True)

    def encode(self) -> bytes:
        profiles = {
            name: {"target": claims.target, "outputs": dict(claims.outputs)}
            for name, claims in self.profiles.items()
        }
        return (json.dumps({"version": _VERSION, "profiles": profiles}, indent=1) + "\n").encode()


def record_path(real: Path) -> Path:
    return files.marked(real, "record.json")


def read_record(real: Path) -> Record:
    """Does not raise: what is wrong with it is its `problem`."""
    path = record_path(real)
    if path.is_symlink():
        return Record(exists=True, problem=_problem(path, "it is a symbolic link"))
    try:
        data = files.read_at(path).data
    except files.FileError as error:
        return Record(exists=True, problem=_problem(path, str(error)))
    if data is None:
        return Record()
    try:
        return Record(_decode(json.loads(data)), exists=True)
    except (ValueError, RecursionError):
        return Record(exists=True, problem=_problem(path, "it is incomplete, or not from this version"))


def _problem(path: Path, why: str) -> str:
    return f"the record {path.name} counts for nothing: {why}"


def _decode(value: Any) -> dict[str, Claims]:
    """Raises `ValueError` for anything that `encode` does not write."""
    match value:
        case {"version": version, "profiles": dict() as profiles} if version == _VERSION:
            return {name: _claims(claims) for name, claims in profiles.items()}
    raise ValueError


def _claims(value: Any) -> Claims:
    match value:
        case {"target": str() | None as target, "outputs": dict() as outputs}:
            if all(isinstance(text, str) and _DIGEST.fullmatch(text) for text in outputs.values()):
                return Claims(outputs, target)
    raise ValueError
