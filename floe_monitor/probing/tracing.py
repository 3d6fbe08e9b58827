"""What the runner needs of a tracer, and the one that traces nothing."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from floe_monitor.domain.events import ProbeResult


class SpanHandle(Protocol):
    """The span of one validation. Ids are lower-case hex."""

    @property
    def trace_id(self) -> str | None: ...
    @property
    def span_id(self) -> str | None: ...

    def activate(self) -> AbstractContextManager[object]:
        """Entered in the worker, so that spans of the plugin's own become children."""

    def end(self, result: ProbeResult) -> None:
        """Called once, with the outcome; never blocks."""


class Tracing(Protocol):
    def start(self, *, target: str, plugin: str, db_system: str, correlation_id: str) -> SpanHandle: ...


class _NoSpan:
    trace_id: str | None = None
    span_id: str | None = None

    def activate(self) -> AbstractContextManager[object]:
        return nullcontext()

    def end(self, result: ProbeResult) -> None:
        """Nothing was started."""


class NoTracing:
    """Tracing while no exporter is configured."""

    _span = _NoSpan()

    def start(self, *, target: str, plugin: str, db_system: str, correlation_id: str) -> SpanHandle:  # noqa: ARG002
        return self._span
