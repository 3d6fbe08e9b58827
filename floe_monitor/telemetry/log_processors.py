"""From the fields of an event to its line: JSON or the console's, without secrets and in one line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import structlog

from floe_monitor.compute.redaction.current import current_redactor
from floe_monitor.telemetry import stdlib_logging

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from structlog.typing import Processor

    from floe_monitor.telemetry.log_writer import LogWriter

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


class LineLogger:
    """structlog's output: any method takes a rendered line."""

    def __init__(self, writer: LogWriter) -> None:
        self._write = writer.write

    def msg(self, line: str) -> None:
        self._write(line)

    debug = info = warning = error = critical = msg


def processors(*, console: bool, colours: bool) -> list[Processor]:
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
