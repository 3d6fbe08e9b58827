"""Starts the OpenTelemetry sink where export is configured. The SDK is imported only then."""

from __future__ import annotations

import socket
import uuid
from typing import TYPE_CHECKING

from floe_monitor.telemetry.otel_config import Scrubber, header_values, plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor.domain.state import MonitorState
    from floe_monitor.settings.models import OtlpSettings
    from floe_monitor.telemetry.fanout import Drops
    from floe_monitor.telemetry.otel_pipeline import OtelSink


def build_otel(
    settings: OtlpSettings,
    environ: Mapping[str, str],
    version: str,
    state: MonitorState,
    drops: Drops | None = None,
    *,
    listens: str | None = None,
) -> OtelSink | None:
    """The sink and its tracing, started; None unless export is configured. `listens`: where this monitor
    does, on its host, which no other process can at the same time."""
    wanted = plan(settings, environ, f"{socket.gethostname()}:{listens or uuid.uuid4()}")
    if wanted is None:
        return None
    from floe_monitor.telemetry.otel_pipeline import OtelSink  # noqa: PLC0415 - 30 MB that most do not need

    return OtelSink(wanted, version, state, drops, scrub=Scrubber(header_values(wanted, environ)))
