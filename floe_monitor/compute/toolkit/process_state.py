"""The working directory and the umask of the daemon, which a plugin may change for the whole process."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_directory: str | None = None
_umask = 0


@contextmanager
def kept() -> Iterator[None]:
    """Meanwhile `restore` goes back to what they are now. Not to be nested."""
    global _directory, _umask  # noqa: PLW0603 - of the process, as what they hold
    with suppress(OSError):  # it was removed
        _directory = os.getcwd()  # noqa: PTH109 - compared as text, for every probe
    _umask = os.umask(0o077)
    os.umask(_umask)
    try:
        yield
    finally:
        _directory = None


def restore() -> None:
    """Undo what a plugin did to them; nothing outside of `kept`."""
    directory = _directory
    if directory is None:
        return
    os.umask(_umask)
    with suppress(OSError):
        if _current() != directory:
            os.chdir(directory)


def _current() -> str | None:
    with suppress(OSError):
        return os.getcwd()  # noqa: PTH109 - as above
    return None
