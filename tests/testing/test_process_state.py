"""What the kit compares before and after a plugin's code notices each change that it is to notice."""

from __future__ import annotations

import locale
import logging
import os
import signal
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from floe_monitor.testing.process_state import changes, process_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOGGER = logging.getLogger("tests.process_state")


@pytest.fixture
def restored() -> Iterator[None]:
    """Whatever the changes below leave behind."""
    place, root = locale.setlocale(locale.LC_ALL), logging.root.level
    handler, hook = signal.getsignal(signal.SIGUSR1), threading.excepthook
    yield
    locale.setlocale(locale.LC_ALL, place)
    signal.signal(signal.SIGUSR1, handler)
    threading.excepthook = hook
    logging.root.setLevel(root)
    LOGGER.setLevel(logging.NOTSET)
    socket.setdefaulttimeout(None)
    os.environ.pop("ACME_HOME", None)


def other_locale() -> None:
    locale.setlocale(locale.LC_ALL, "C.UTF-8" if locale.setlocale(locale.LC_ALL) == "C" else "C")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda: os.environ.update(ACME_HOME="/somewhere"), "the environment"),
        (other_locale, "the locale"),
        (lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN), "signal handlers"),
        (lambda: logging.root.setLevel(logging.CRITICAL), "logging"),
        (lambda: LOGGER.setLevel(logging.DEBUG), "the level of logger tests.process_state"),
        (lambda: socket.setdefaulttimeout(3), "the default socket timeout"),
        (lambda: setattr(threading, "excepthook", print), "exception hooks"),
    ],
)
def test_a_change_is_named(restored: None, change: Callable[[], object], named: str) -> None:
    before = process_state()
    assert changes(before, process_state()) == []
    change()
    assert changes(before, process_state()) == [named]
