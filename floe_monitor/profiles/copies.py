"""A copy of a profiles.yml as it was before the monitor wrote to it for the first time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from floe_monitor.profiles import files

if TYPE_CHECKING:
    from pathlib import Path

MOST_COPIES = 9
_FAILING = "not written, since no copy of it can be kept"


def copy_path(real: Path, number: int = 1) -> Path:
    """Beside the file and visible: it is the user's."""
    suffix = f"-{number}" if number > 1 else ""
    return real.with_name(f"{real.name}.before-floe-monitor{suffix}")


class CopyError(Exception):
    """No copy can be kept, so the file must not be written. The message is for the operator."""


def keep_copy(snapshot: files.Snapshot) -> Path | None:
    """Keep what was read, with its mode, and never in place of an earlier copy.

    None where a copy of the same content stands there already, or there is nothing to keep. Raises
    `CopyError`.
    """
    if not (snapshot.data or b"").strip():
        return None
    try:
        return _keep(snapshot)
    except files.FileError as error:
        raise CopyError(str(error)) from None


def _keep(snapshot: files.Snapshot) -> Path | None:
    for number in range(1, MOST_COPIES + 1):
        path = copy_path(snapshot.real, number)
        if _holds(path, snapshot.data):
            return None
        if os.path.lexists(path):
            continue
        with files.staged(snapshot, snapshot.data or b"", _FAILING) as temporary:
            try:
                files.put_new(temporary, path)
            except FileExistsError:
                continue
            return path
    raise files.FileError(
        f"{_FAILING}: {MOST_COPIES} stand beside it already, {path.name} the last; remove what is not needed"
    )


def _holds(path: Path, data: bytes | None) -> bool:
    try:
        return files.read_at(path).data == data
    except files.FileError:
        return False
