"""Records of the standard library's logging through the monitor's log, without credentials they may quote."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any

from floe_monitor.telemetry.rate_limit import RateLimit

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

TRUSTED = ("floe_monitor", "uvicorn", "watchfiles")
"""Loggers whose texts hold no credential."""
WITHHELD = "(text withheld: it may hold a credential)"
FRAMES = 12


def frames(trace: TracebackType | None) -> list[str]:
    """File, line and function of the last frames, innermost last; the text may quote a credential."""
    return [
        f"{frame.filename}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(trace, limit=-FRAMES)
    ]


def is_trusted(name: str) -> bool:
    return name.partition(".")[0] in TRUSTED


def message_of(record: logging.LogRecord, redact: Callable[[str], str] | None) -> str:
    """The part of a record's message that may be written.

    For a logger that is not trusted, the message after `redact`; without `redact`, the template before its
    arguments are inserted. A message formatted by the caller is withheld then.
    """
    if is_trusted(record.name):
        text = record.getMessage()
    elif record.name == "py.warnings":
        text = ": ".join(record.getMessage().split(": ")[:2])  # place and category
    elif record.name == "asyncio":
        text = record.getMessage().partition("\n")[0] if not record.args else str(record.msg)
    elif redact is not None:
        text = record.getMessage()
    else:
        text = str(record.msg) if record.args else WITHHELD
    return redact(text) if redact else text


class ForwardingHandler(logging.Handler):
    """Passes records on to `emit(level, text, fields)`; of one call site few a minute, unless they are for
    debugging."""

    def __init__(
        self, emit: Callable[[int, str, dict[str, Any]], None], redact: Callable[[str], str] | None
    ) -> None:
        super().__init__()
        self._emit = emit
        self._redact = redact
        self._limit = RateLimit()

    def emit(self, record: logging.LogRecord) -> None:
        withheld: int | None = 0
        if record.levelno > logging.DEBUG:
            withheld = self._limit.admit((record.name, record.pathname, record.lineno))
        if withheld is None:
            return
        try:
            fields: dict[str, Any] = {"logger": record.name}
            if withheld:
                fields["withheld"] = withheld
            if record.exc_info and record.exc_info[0]:
                fields |= {"error": record.exc_info[0].__name__, "frames": frames(record.exc_info[2])}
            self._emit(record.levelno, message_of(record, self._redact), fields)
        except Exception:  # noqa: BLE001, S110 - a record that cannot be formatted is not worth a fault
            pass


def install(handler: ForwardingHandler, level: int) -> Callable[[], None]:
    """Send logging, warnings and exceptions of threads to `handler` alone; returns what undoes it.

    Below WARNING, only records of trusted loggers: drivers log connection strings at DEBUG.
    """
    root = logging.getLogger()
    handlers, root_level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in TRUSTED}
    hooks = threading.excepthook, sys.unraisablehook
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))
    for name in TRUSTED:
        logging.getLogger(name).setLevel(level)
    # watchfiles logs every change at INFO, uvicorn every start.
    for name in ("watchfiles", "uvicorn"):
        logging.getLogger(name).setLevel(max(level, logging.WARNING) if level > logging.DEBUG else level)
    logging.captureWarnings(capture=True)
    log = logging.getLogger("floe_monitor")

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_type is not SystemExit:
            name = args.thread.name if args.thread else "?"
            log.error(
                "thread %s ended: %s at %s", name, args.exc_type.__name__, frames(args.exc_traceback)[-1:]
            )

    def unraisable(args: sys.UnraisableHookArgs) -> None:
        log.warning("ignored %s at %s", args.exc_type.__name__, frames(args.exc_traceback)[-1:])

    threading.excepthook, sys.unraisablehook = in_thread, unraisable

    def undo() -> None:
        root.handlers[:] = handlers
        root.setLevel(root_level)
        for name, former in levels.items():
            logging.getLogger(name).setLevel(former)
        logging.captureWarnings(capture=False)
        threading.excepthook, sys.unraisablehook = hooks

    return undo
