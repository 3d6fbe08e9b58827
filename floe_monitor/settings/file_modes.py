"""Whether somebody else may write the files that decide what is probed, and with which credentials."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

from floe_monitor.credentials.references import as_reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def referenced_files(document: Any) -> Iterator[str]:
    """The file of every reference in a configuration, wherever it stands."""
    if isinstance(document, dict):
        reference = as_reference(document)
        if reference is not None:
            if reference.file is not None:
                yield reference.file
            return
        document = document.values()
    elif not isinstance(document, list | tuple):
        return
    for item in document:
        yield from referenced_files(item)


def exposed_files(paths: Iterable[str]) -> Iterator[str]:
    """A warning for each file that everybody may write or, its directory being so, replace. Blocking.

    A file that is not there is told by whoever reads it. Under a sticky directory (`/tmp`) nobody replaces
    what is another's.
    """
    directories: dict[str, str] = {}
    for path in dict.fromkeys(paths):
        mode = _mode(path)
        if not mode:
            continue
        # Where a link leads counts, and who may change the link.
        directories.setdefault(os.path.dirname(path) or ".", path)  # noqa: PTH120 - as it is written
        directories.setdefault(os.path.dirname(os.path.realpath(path)), path)  # noqa: PTH120
        if mode & stat.S_IWOTH and stat.S_ISREG(mode):
            yield f"everybody may write {path} (mode {stat.S_IMODE(mode):04o}): `chmod o-w` it"
    for directory, path in directories.items():
        mode = _mode(directory)
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            yield (
                f"everybody may replace {path}, for everybody may write its directory {directory} "
                f"(mode {stat.S_IMODE(mode):04o}): `chmod o-w` it"
            )


def _mode(path: str) -> int:
    try:
        return os.stat(path).st_mode  # noqa: PTH116 - a text may hold what is no path
    except (OSError, ValueError):
        return 0
