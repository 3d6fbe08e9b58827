"""What a plugin must leave as it was: state that all threads of a process share."""

from __future__ import annotations

import locale
import logging
import os
import signal
import socket
import sys
import threading
import warnings
from pathlib import Path

_LEVELS = "the levels of loggers"


def process_state() -> dict[str, object]:
    """By name, in values that can be compared."""
    return {
        "the environment": dict(os.environ),
        "the working directory": str(Path.cwd()),
        "the umask": _umask(),
        "the locale": locale.setlocale(locale.LC_ALL),
        "signal handlers": _signal_handlers(),
        "the default socket timeout": socket.getdefaulttimeout(),
        "logging": _logging(),
        _LEVELS: _levels(),
        "warning filters": list(warnings.filters),
        "sys.path": list(sys.path),
        "sys.stdout": sys.stdout,
        "sys.stderr": sys.stderr,
        "exception hooks": (sys.excepthook, threading.excepthook, sys.unraisablehook),
        "the recursion limit": sys.getrecursionlimit(),
        "the switch interval": sys.getswitchinterval(),
    }


def changes(before: dict[str, object], after: dict[str, object]) -> list[str]:
    """The names of what differs. Loggers that came with a driver are its own affair."""
    found = [name for name, value in before.items() if name != _LEVELS and value != after[name]]
    levels, now = before[_LEVELS], after[_LEVELS]
    if isinstance(levels, dict) and isinstance(now, dict):
        found += [f"the level of logger {name}" for name, level in levels.items() if now.get(name) != level]
    return found


def _umask() -> int:
    try:  # Linux reports it; elsewhere it can be read by setting it alone
        text = Path("/proc/self/status").read_text()
    except OSError:
        found = os.umask(0o077)
        os.umask(found)
        return found
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("Umask:")), 8)


def _signal_handlers() -> dict[int, object]:
    return {int(each): signal.getsignal(each) for each in signal.valid_signals()}


def _logging() -> object:
    root = logging.root
    return root.level, list(root.handlers), list(root.filters), root.manager.disable, logging.raiseExceptions


def _levels() -> dict[str, int]:
    loggers = logging.root.manager.loggerDict.items()
    return {name: each.level for name, each in loggers if isinstance(each, logging.Logger)}
