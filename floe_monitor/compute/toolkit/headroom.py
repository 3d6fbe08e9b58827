"""Whether the process has descriptors and threads left, asked before what would abort it for want of them.

Native libraries are not written for that: DuckDB and the watcher of files end the process where they cannot
open a descriptor or start a thread. What is free now may be taken before it is used, so more is asked for
than is needed.
"""

from __future__ import annotations

import os
import resource
import select
import sys
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
    limit = descriptor_limit()
    count = min(count, limit // 8)
    held: list[int] = []
    try:
        held.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        if _seen_free(count - 1, limit):
            return
        for _ in range(count - 1):
            held.append(os.dup(held[0]))
    except OSError as error:
        raise resource_error_in(error) or error from None
    finally:
        for descriptor in held:
            os.close(descriptor)


def _seen_free(count: int, limit: int) -> bool:
    """Whether `count` are free among the highest ones, which are taken last.

    By one system call. To open as many takes a hundred, and after each a thread that computes may have the
    interpreter for 5 ms: beside a scrape that kept the event loop, which asks once a second, for 60 ms.
    """
    if sys.platform != "linux":  # macOS says the same of descriptors that are open
        return False
    poll = select.poll()
    for descriptor in range(max(0, limit - 4 * count), limit):
        poll.register(descriptor, 0)
    free = sum(1 for _, event in poll.poll(0) if event & select.POLLNVAL)
    return free >= count


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
