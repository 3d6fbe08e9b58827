"""The log: one line for each change of a target's status, and for other events an operator acts upon."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO, cast

import structlog

from floe_monitor.compute.redaction.current import current_redactor
from floe_monitor.domain.events import (
    Acted,
    ConfigReloaded,
    LateReturn,
    ProbeFinished,
    ProfileReconciled,
    ShortageBegan,
    ShortageEnded,
    TargetHung,
    TargetStale,
    TickSkipped,
)
from floe_monitor.domain.health import HealthStatus
from floe_monitor.domain.serialization import moment
from floe_monitor.telemetry import stdlib_logging
from floe_monitor.telemetry.log_writer import LogWriter
from floe_monitor.telemetry.rate_limit import Daily, RateLimit

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, MutableMapping, Sequence

    from structlog.typing import FilteringBoundLogger, Processor

    from floe_monitor.domain.events import Event, ProbeResult
    from floe_monitor.settings.models import LogSettings
    from floe_monitor.telemetry.fanout import Drops

NAMES_SHOWN = 20
"""Targets or problems named in one line; the rest are counted."""

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_OF_STATUS = {
    HealthStatus.UNKNOWN: logging.WARNING,
    HealthStatus.HEALTHY: logging.INFO,
    HealthStatus.DEGRADED: logging.WARNING,
    HealthStatus.UNHEALTHY: logging.ERROR,
}
_OF_PROFILE = {
    "written": logging.INFO,
    "unchanged": logging.DEBUG,
    "foreign_owner": logging.WARNING,
    "refused": logging.ERROR,
    "failed": logging.ERROR,
}
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


def _some(names: tuple[str, ...]) -> list[str]:
    rest = len(names) - NAMES_SHOWN
    return [*names[:NAMES_SHOWN], *([f"and {rest} more"] if rest > 0 else [])]


class LogSink:
    """Writes events as lines. Make it after `configure_logging`."""

    name = "log"

    def __init__(self, settings: LogSettings) -> None:
        self._probes = settings.probes
        self._log = get_logger()
        self._audit = structlog.wrap_logger(
            None, wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET)
        ).bind()
        self._profiles: dict[str, tuple[str, str]] = {}
        self._limit = RateLimit()
        self._daily = Daily()
        self._handlers: dict[type[Any], Callable[[Any], None]] = {
            ProbeFinished: self._finished,
            TickSkipped: self._skipped,
            ShortageBegan: self._short,
            ShortageEnded: self._short_no_more,
            LateReturn: self._late,
            TargetStale: self._stale,
            TargetHung: self._hung,
            ConfigReloaded: self._reloaded,
            ProfileReconciled: self._reconciled,
            Acted: self._acted,
        }

    def handle(self, event: Event) -> None:
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)

    def _finished(self, event: ProbeFinished) -> None:
        change = event.transition
        if change is not None:
            self._log.log(
                _OF_STATUS[change.after],
                f"target {event.result.target} is {change.after.word}",
                before=change.before.word,
                after=change.after.word,
                before_lasted_seconds=round(change.lasted, 3),
                **_of_result(event.result),
            )
        if self._probes:
            self._log.info("probe finished", **_of_result(event.result))
        self._warn_of_expiries(event.result)

    def _warn_of_expiries(self, result: ProbeResult) -> None:
        now = result.finished_at
        for expiry in result.expiries:
            if expiry.is_near(now) and self._daily.admit((result.target, expiry.what), expiry.at):
                self._log.warning(
                    f"target {result.target}: {expiry.warning(now)}",
                    target=result.target,
                    plugin=result.plugin,
                    what=expiry.what.value,
                    expires_at=moment(expiry.at),
                )

    def _skipped(self, event: TickSkipped) -> None:
        self._log.debug(
            "tick skipped", target=event.target, plugin=event.plugin, reason=event.reason, count=event.count
        )

    def _limited(self, level: int, text: str, kind: Hashable = None, **fields: object) -> None:
        """For what a client's request or a repeated failure may cause without end."""
        withheld = self._limit.admit((text, kind))
        if withheld is not None:
            self._log.log(level, text, **fields, **({"withheld": withheld} if withheld else {}))

    def _short(self, event: ShortageBegan) -> None:
        self._limited(logging.ERROR, f"{event.what}: probes that need it are skipped")

    def _short_no_more(self, event: ShortageEnded) -> None:
        lasted = round(event.lasted, 3)
        self._limited(logging.INFO, "the monitor is short of nothing any more", lasted_seconds=lasted)

    def _late(self, event: LateReturn) -> None:
        self._limited(
            logging.INFO,
            "stuck worker returned",
            event.target,
            target=event.target,
            plugin=event.plugin,
            overdue_seconds=round(event.overdue, 3),
        )

    def _stale(self, event: TargetStale) -> None:
        self._log.warning(
            f"target {event.target} is unknown: no probe of it could run",
            target=event.target,
            plugin=event.plugin,
            silent_seconds=round(event.silent, 3),
        )

    def _hung(self, event: TargetHung) -> None:
        change = event.transition
        self._log.log(
            _OF_STATUS[change.after],
            f"target {event.target} is {change.after.word}: its validation still hangs",
            target=event.target,
            plugin=event.plugin,
            before=change.before.word,
            after=change.after.word,
            before_lasted_seconds=round(change.lasted, 3),
        )

    def _reloaded(self, event: ConfigReloaded) -> None:
        if not event.problems:
            for name in event.removed:
                self._daily.forget(name)
            waiting = {"waiting_for_restart": list(event.waiting)} if event.waiting else {}
            self._limited(
                logging.INFO,
                "configuration loaded",
                (event.added, event.changed, event.removed, event.waiting),
                added=_some(event.added),
                changed=_some(event.changed),
                removed=_some(event.removed),
                **waiting,
            )
            return
        for problem in event.problems[:NAMES_SHOWN]:
            count = len(event.problems)
            self._limited(logging.ERROR, "configuration refused", problem, problem=problem, problems=count)

    def _acted(self, event: Acted) -> None:
        """Whatever the level is. Refused ones may come without end, and are counted beyond a few."""
        fields = {
            "action": event.action,
            "target": event.target,
            "by": event.by,
            "client": event.client,
            "outcome": event.outcome,
            "http_status": event.status,
        }
        fields = {key: value for key, value in fields.items() if value is not None}
        if event.outcome != "refused":
            self._audit.info("audit", **fields)
            return
        withheld = self._limit.admit(("audit", event.client))
        if withheld is not None:
            self._audit.warning("audit", **fields, **({"withheld": withheld} if withheld else {}))

    def _reconciled(self, event: ProfileReconciled) -> None:
        """Profiles are compared every few seconds: what has not changed since is not repeated."""
        outcome = (event.result, event.message)
        repeated = self._profiles.get(event.profile) == outcome and event.result != "written"
        self._profiles[event.profile] = outcome
        if not repeated:
            details = {"message": event.message} if event.message else {}
            self._log.log(
                _OF_PROFILE[event.result], f"profile {event.result}", profile=event.profile, **details
            )


def _of_result(result: ProbeResult) -> dict[str, object]:
    fields: dict[str, object] = {
        "target": result.target,
        "plugin": result.plugin,
        "status": result.status.value,
        "duration_ms": round(result.duration * 1000, 3),
        "error_type": result.error_type.value if result.error_type else None,
        "message": result.message or None,
        "warnings": list(result.warnings) or None,
        "correlation_id": result.correlation_id,
        "trace_id": result.trace_id,
        "span_id": result.span_id,
    }
    return {key: value for key, value in fields.items() if value is not None}
