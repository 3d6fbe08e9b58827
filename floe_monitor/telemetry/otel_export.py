"""Starts the OpenTelemetry sink where export is configured. The SDK is imported only then."""

from __future__ import annotations

import logging
import socket
import uuid
from importlib.util import find_spec
from typing import TYPE_CHECKING

from floe_monitor.telemetry.otel_config import Scrubber, header_values, plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor.domain.state import MonitorState
    from floe_monitor.settings.models import OtlpSettings
    from floe_monitor.telemetry.fanout import Drops
    from floe_monitor.telemetry.otel_config import Plan
    from floe_monitor.telemetry.otel_pipeline import OtelSink

log = logging.getLogger("floe_monitor.telemetry")

_GRPC = "opentelemetry.exporter.otlp.proto.grpc"


def build_otel(
    settings: OtlpSettings,
    environ: Mapping[str, str],
    version: str,
    state: MonitorState,
    drops: Drops | None = None,
    *,
    listens: str | None = None,
) -> OtelSink | None:
    """The sink and its tracing, started; None unless export is configured and can be had.

    `listens`: where this monitor does, on its host, which no other process can at the same time.
    """
    wanted = plan(settings, environ, f"{socket.gethostname()}:{listens or uuid.uuid4()}")
    if wanted is None:
        return None
    if _is_over_grpc(wanted) and find_spec(_GRPC) is None:
        log.warning(
            "nothing is exported over OTLP: gRPC is not installed: install floe-monitor's extra `otlp-grpc`,"
            " or set otlp.protocol to http/protobuf, usually on port 4318"
        )
        return None
    from floe_monitor.telemetry.otel_pipeline import OtelSink  # noqa: PLC0415 - 30 MB that most do not need

    return OtelSink(wanted, version, state, drops, scrub=Scrubber(header_values(wanted, environ)))


def _is_over_grpc(wanted: Plan) -> bool:
    destinations = (wanted.traces, wanted.metrics)
    return any(each is not None and each.protocol == "grpc" for each in destinations)
