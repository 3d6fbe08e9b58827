"""The duties of process 1: orphans of the whole container become its children, and stay zombies until it
waits for them. The daemon cannot wait for just any child, since drivers and the process pool wait for theirs;
so process 1 forks, the child is the daemon, and the parent does nothing but pass signals on and wait.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress

_PASSED_ON = frozenset(
    {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2}
)


def fork_from_init() -> None:
    """Return in a child, and end the calling process with the child's exit status: 128 and the signal's
    number where one killed it. For a process that has started no thread."""
    # Blocked from before the fork, so that none is lost: process 1 is sent no signal that it does not handle.
    awaited = _PASSED_ON | {signal.SIGCHLD}
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    former = signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)
        return
    while True:
        number = signal.sigwait(awaited)
        if number in _PASSED_ON:
            os.kill(child, number)
        elif (status := _reap(child)) is not None:
            os._exit(status)


def _reap(child: int) -> int | None:
    """Wait for every process that has ended; the exit status where `child` is among them."""
    found = None
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == child:
                code = os.waitstatus_to_exitcode(ended[1])
                found = code if code >= 0 else 128 - code
    return found
