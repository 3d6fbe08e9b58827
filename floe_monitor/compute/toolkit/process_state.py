"""The working directory and the umask of the daemon, which a plugin may change for the whole process."""

from __future__ import annotations

import os
from contextlib import suppress

_directory: str | None = None
_umask = 0


def remember() -> None:
    """What `restore` goes back to; called once, while nothing else runs yet."""
    global _directory, _umask  # noqa: PLW0603 - of the process, as what they hold
    with suppress(OSError):  # it was removed
        _directory = os.getcwd()  # noqa: PTH109 - compared as text, for every probe
    _umask = os.umask(0o077)
    os.umask(_umask)


def restore() -> None:
    """Undo what a plugin did to them; nothing where none is remembered, as in what is no daemon."""
    if _directory is None:
        return
    os.umask(_umask)
    with suppress(OSError):
        if _current() != _directory:
            os.chdir(_directory)


def _current() -> str | None:
    with suppress(OSError):
        return os.getcwd()  # noqa: PTH109 - as above
    return None
