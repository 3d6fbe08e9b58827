"""The limit on descriptors, raised to what the system allows."""

from __future__ import annotations

import resource
from contextlib import suppress

MOST = 1 << 20
"""Some systems set a limit of a billion, and what drivers start may close every number up to it."""


def raise_descriptor_limit() -> None:
    """Raise the soft limit of this process to its hard one.

    The soft one is often 1024 for the sake of programs that use `select`, of which the monitor is none.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # macOS allows less than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
