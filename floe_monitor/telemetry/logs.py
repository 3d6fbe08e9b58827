"""The log: what becomes of a line, whoever writes it."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO, cast

import structlog

from floe_monitor.compute.redaction.current import current_redactor
from floe_monitor.telemetry import stdlib_logging
from floe_monitor.telemetry.log_writer import LogWriter

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

    from structlog.typing import FilteringBoundLogger, Processor

    from floe_monitor.settings.models import LogSettings
    from floe_monitor.telemetry.fanout import Drops

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_UNPRINTABLE = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}


def _one_line(_logger: object, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """On a console, no value may end the line or move the cursor."""
    for key, value in fields.items():
        if isinstance(value, str):
            fields[key] = value.translate(_UNPRINTABLE)
    return fields


def _to_json(fields: Any, **_: Any) -> str:
    first = {key: fields[key] for key in ("timestamp", "level", "event") if key in fields}
    return json.dumps({**first, **fields}, default=str, ensure_ascii=False)


def _error_without_text(
    _logger: object, _method: str, fields: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """An exception is logged by class and place; its text may quote a credential."""
    error = fields.pop("exc_info", None)
    if isinstance(error, BaseException):
        kind, places = stdlib_logging.class_name(type(error)), stdlib_logging.frames(error.__traceback__)
        fields.update(error=kind, frames=places)
    return fields


def _without_secrets(
    _logger: object, _method: str, fields: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A plugin may log through structlog too."""
    if current_redactor() is not None:
        for key, value in fields.items():
            if not isinstance(value, int | float):
                fields[key] = stdlib_logging.without_secrets(str(value))
    return fields


class _LineLogger:
    """structlog's output: any method takes a rendered line."""

    def __init__(self, writer: LogWriter) -> None:
        self._write = writer.write

    def msg(self, line: str) -> None:
        self._write(line)

    debug = info = warning = error = critical = msg


def _processors(*, console: bool, colours: bool) -> list[Processor]:
    common: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _error_without_text,
        _without_secrets,
    ]
    if console:
        return [*common, _one_line, structlog.dev.ConsoleRenderer(colors=colours)]
    return [*common, structlog.processors.JSONRenderer(serializer=_to_json)]


def configure_logging(
    settings: LogSettings,
    stream: TextIO | None,
    drops: Drops | None = None,
) -> LogWriter:
    """Send structlog, `logging`, warnings and threads' exceptions to `stream`, until the writer is closed.

    See `stdlib_logging.message_of` for what is written of what others log.
    """
    terminal = False
    with suppress(AttributeError, ValueError):  # no stream, or a closed one
        terminal = stream is not None and stream.isatty()
    console = settings.format == "console" or (settings.format == "auto" and terminal)
    level = _LEVELS[settings.level]
    processors = _processors(console=console, colours=terminal)
    writer = LogWriter(stream, drops, lost_line=lambda count: _render_lost(processors, count))
    before = structlog.get_config()
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _LineLogger(writer),
        cache_logger_on_first_use=False,
    )
    writer.on_close(lambda: structlog.configure(**before))
    logger = get_logger()

    def emit(at: int, text: str, fields: dict[str, Any]) -> None:
        logger.log(min(max(at // 10 * 10, logging.DEBUG), logging.CRITICAL), text, **fields)

    writer.on_close(stdlib_logging.install(stdlib_logging.ForwardingHandler(emit), level))
    return writer


def get_logger() -> FilteringBoundLogger:
    return cast("FilteringBoundLogger", structlog.get_logger().bind())


def _render_lost(processors: Sequence[Processor], count: int) -> str:
    fields: Any = {"event": "log lines were lost: the stream was blocked or closed", "count": count}
    for processor in processors:
        fields = processor(None, "warning", fields)
    return str(fields)
