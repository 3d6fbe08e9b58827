"""A command run in place of this process as far as a process can: the same streams and environment, signals
passed on, its exit status handed back."""

from __future__ import annotations

import os
import signal
import socket
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from floe_monitor.cli.terminal import CliError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

NOT_EXECUTABLE, NOT_FOUND = 126, 127
"""As a shell says it."""
PASSED_ON = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
)
_OF_THE_TERMINAL = frozenset({signal.SIGINT, signal.SIGQUIT, signal.SIGWINCH})
"""Sent by a terminal to the whole process group in its foreground."""
_STOPPING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


@dataclass(frozen=True, slots=True)
class Ended:
    """`code`: the exit status, 128 and the signal's number where one ended it. `stopped`: by request."""

    code: int
    stopped: bool


def run_command(command: Sequence[str], environ: Mapping[str, str]) -> Ended:
    """Return once the command has ended.

    For the main thread. Raises `CliError` with a shell's status where there is no such program.
    """
    with _noticing_signals() as noticed:
        child, stopped = _start(command, environ), False
        while True:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                code = os.waitstatus_to_exitcode(status)
                return Ended(code if code >= 0 else 128 - code, stopped)
            for number in noticed.recv(4096):
                stopped = stopped or number in _STOPPING
                _pass_on(number, child)


def _start(command: Sequence[str], environ: Mapping[str, str]) -> int:
    try:
        return os.posix_spawnp(command[0], list(command), environ, setsigdef=_IGNORED_BY_PYTHON)
    except FileNotFoundError:
        raise CliError(f"{command[0]}: there is no such program", code=NOT_FOUND) from None
    except OSError as error:
        raise CliError(f"{command[0]} cannot be run: {error.strerror}", code=NOT_EXECUTABLE) from None


@contextmanager
def _noticing_signals() -> Iterator[socket.socket]:
    """A socket that has the number of each signal as a byte. The handlers of the signals do nothing: the
    system writes to the socket, whichever thread a signal reaches."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    former = {number: signal.signal(number, _do_nothing) for number in (*PASSED_ON, signal.SIGCHLD)}
    wakeup = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    try:
        yield ours
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in former.items():
            signal.signal(number, handler)
        ours.close()
        theirs.close()


def _do_nothing(number: int, frame: object) -> None: ...


def _pass_on(number: int, child: int) -> None:
    """The child has not been waited for: its number is its own."""
    if number == signal.SIGCHLD or (number in _OF_THE_TERMINAL and _has_the_terminal()):
        return
    os.kill(child, number)


def _has_the_terminal() -> bool:
    """Whether this process, and so its child, is in the foreground of a terminal."""
    with suppress(OSError, ValueError):
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    return False
