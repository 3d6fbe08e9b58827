"""Whether the process has descriptors and threads left, asked before what would abort it for want of them.

Native libraries are not written for that: DuckDB and the watcher of files end the process where they cannot
open a descriptor or start a thread. What is free now may be taken before it is used, so more is asked for
than is needed.
"""

from __future__ import annotations

import os
import resource
import threading

from floe_monitor.compute.errors import resource_error_in

DESCRIPTORS = 64
"""What has to be free before a validation starts; an eighth of the limit where that is less."""

THREADS = 4
"""What has to be free before a native library starts threads of its own."""


def descriptor_limit() -> int:
    """How many descriptors this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else 1 << 20


def require_descriptors(count: int = DESCRIPTORS) -> None:
    """Raise `MonitorResourceError` where fewer than `count` can be opened, or an eighth of the limit."""
    held: list[int] = []
    try:
        held.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        for _ in range(min(count, descriptor_limit() // 8) - 1):
            held.append(os.dup(held[0]))
    except OSError as error:
        raise resource_error_in(error) or error from None
    finally:
        for descriptor in held:
            os.close(descriptor)


def require_threads(count: int = THREADS) -> None:
    """Raise `MonitorResourceError` where `count` threads cannot run at once."""
    over = threading.Event()
    try:
        for _ in range(count):
            threading.Thread(target=over.wait, name="headroom", daemon=True).start()
    except RuntimeError as error:
        raise resource_error_in(error) or error from None
    finally:
        over.set()
