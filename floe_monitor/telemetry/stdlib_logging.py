"""Records of the standard library's logging through the monitor's log, without credentials they may quote."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any

from floe_monitor.compute.redaction.current import current_redactor
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
        without_secrets(f"{frame.filename}:{frame.lineno} {frame.name}")
        for frame in traceback.extract_tb(trace, limit=-FRAMES)
    ]


def is_trusted(name: str) -> bool:
    return name.partition(".")[0] in TRUSTED


def class_name(kind: type[BaseException] | None) -> str:
    """An exception's class, where a module has it: one made at run time may be called anything."""
    if kind is None:
        return "?"
    found: object = sys.modules.get(kind.__module__)
    names = [name for name in kind.__qualname__.split(".") if name != "<locals>"]
    if len(names) == kind.__qualname__.count(".") + 1:
        for name in names:
            found = getattr(found, name, None)
        if found is not kind:
            return "(a class made at run time)"
    return without_secrets(names[-1])


def without_secrets(text: str) -> str:
    """In a validation, without the secrets of its target."""
    redact = current_redactor()
    return redact(text) if redact is not None else text


def message_of(record: logging.LogRecord) -> str:
    """The part of a record's message that may be written.

    For a logger that is not trusted, the template before its arguments are inserted; a message formatted by
    the caller is withheld. In a validation, all without the target's secrets.
    """
    if is_trusted(record.name):
        text = record.getMessage()
    elif record.name == "py.warnings":
        text = ": ".join(record.getMessage().split(": ")[:2])  # place and category
    elif record.name == "asyncio":
        text = record.getMessage().partition("\n")[0] if not record.args else str(record.msg)
    else:
        text = str(record.msg) if record.args else WITHHELD
    return without_secrets(text)


class ForwardingHandler(logging.Handler):
    """Passes records on to `emit(level, text, fields)`; of one call site few a minute, unless they are for
    debugging."""

    def __init__(self, emit: Callable[[int, str, dict[str, Any]], None]) -> None:
        super().__init__()
        self._emit = emit
        self._limit = RateLimit()

    def emit(self, record: logging.LogRecord) -> None:
        withheld: int | None = 0
        if record.levelno > logging.DEBUG:
            withheld = self._limit.admit((record.name, record.pathname, record.lineno))
        if withheld is None:
            return
        try:
            fields: dict[str, Any] = {"logger": without_secrets(record.name)}
            if withheld:
                fields["withheld"] = withheld
            if record.exc_info and record.exc_info[0]:
                fields |= {"error": class_name(record.exc_info[0]), "frames": frames(record.exc_info[2])}
            self._emit(record.levelno, message_of(record), fields)
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
            # A plugin's own thread may be called anything.
            log.error("a thread ended: %s at %s", class_name(args.exc_type), frames(args.exc_traceback)[-1:])

    def unraisable(args: sys.UnraisableHookArgs) -> None:
        log.warning("ignored %s at %s", class_name(args.exc_type), frames(args.exc_traceback)[-1:])

    threading.excepthook, sys.unraisablehook = in_thread, unraisable

    def undo() -> None:
        root.handlers[:] = handlers
        root.setLevel(root_level)
        for name, former in levels.items():
            logging.getLogger(name).setLevel(former)
        logging.captureWarnings(capture=False)
        threading.excepthook, sys.unraisablehook = hooks

    return undo
