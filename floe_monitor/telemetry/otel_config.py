"""Whether and where OpenTelemetry data goes, from the configuration and the environment, without the SDK.

The standard `OTEL_*` variables switch export on and configure it; the configuration's `otlp` goes before them
where both name the same thing. Whatever is not named here (certificates, compression, timeouts, samplers,
batch and temporality preferences) the SDK reads from its own variables.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from floe_monitor.compute.redaction.redactor import Redactor
from floe_monitor.compute.toolkit.env_references import UnresolvedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor.settings.models import OtlpSettings

log = logging.getLogger("floe_monitor.telemetry")

Signal = Literal["traces", "metrics"]
Protocol = Literal["grpc", "http/protobuf"]

_DEFAULT_ENDPOINT: dict[Protocol, str] = {
    "grpc": "http://localhost:4317",
    "http/protobuf": "http://localhost:4318",
}
_SIGNAL_PATH = re.compile(r"/v1/(traces|metrics)$")
_USERINFO = re.compile(r"(?<=//)[^/@\s]*@")


@dataclass(frozen=True, slots=True)
class Destination:
    """Where one signal goes. For HTTP the URL has the signal's path; it may hold a password."""

    protocol: Protocol
    endpoint: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to build. `headers` are values: never print a plan."""

    traces: Destination | None
    metrics: Destination | None
    headers: Mapping[str, str] = field(repr=False)
    metric_interval: float
    """Seconds."""
    exponential: bool | None
    """Whether histograms are; None: as the SDK reads it from its own variable."""
    instance: str
    """What tells this monitor from others that run at the same time."""
    resource: Mapping[str, str]


def plan(settings: OtlpSettings, environ: Mapping[str, str], instance: str) -> Plan | None:
    """What the configuration and the environment ask for; None where they ask for nothing."""
    if settings.enabled is False or environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    traces = _destination("traces", settings, environ) if settings.traces else None
    metrics = _destination("metrics", settings, environ) if settings.metrics else None
    if traces is None and metrics is None:
        return None
    return Plan(
        traces=traces,
        metrics=metrics,
        headers=_headers(settings, environ),
        metric_interval=_interval(settings, environ),
        exponential=None if settings.histograms is None else settings.histograms == "exponential",
        instance=instance,
        resource=settings.resource,
    )


class Scrubber:
    """Replaces header values and user information of URLs in the SDK's log messages."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self._redact = Redactor(secrets)

    def __call__(self, text: str) -> str:
        return _USERINFO.sub("***@", self._redact(text))


def _destination(signal: Signal, settings: OtlpSettings, environ: Mapping[str, str]) -> Destination | None:
    exporters = environ.get(f"OTEL_{signal.upper()}_EXPORTER", "").strip().lower()
    if exporters and "otlp" not in (name.strip() for name in exporters.split(",")):
        if exporters != "none":
            log.warning(
                "OTEL_%s_EXPORTER=%s: only otlp is supported, %s stay off", signal.upper(), exporters, signal
            )
        return None
    own = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT", "").strip()
    common = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()
    if not (settings.enabled or settings.endpoint or own or common):
        return None
    protocol = _protocol(signal, settings, environ)
    if own and not settings.endpoint:
        return Destination(protocol, own)  # as it is, by the specification
    base = settings.endpoint or common or _DEFAULT_ENDPOINT[protocol]
    if protocol == "grpc":
        return Destination(protocol, base)
    return Destination(protocol, f"{_SIGNAL_PATH.sub('', base.rstrip('/'))}/v1/{signal}")


def _protocol(signal: Signal, settings: OtlpSettings, environ: Mapping[str, str]) -> Protocol:
    named = (
        settings.protocol
        or environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", "").strip().lower()
        or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "").strip().lower()
        or "http/protobuf"
    )
    if named == "grpc":
        return "grpc"
    if named != "http/protobuf":
        log.warning("OTLP protocol %s is not supported: %s go over http/protobuf", named, signal)
    return "http/protobuf"


def _interval(settings: OtlpSettings, environ: Mapping[str, str]) -> float:
    milliseconds = environ.get("OTEL_METRIC_EXPORT_INTERVAL", "")
    try:
        seconds = float(milliseconds) / 1000
    except ValueError:
        return settings.export_interval
    return seconds if seconds > 0 else settings.export_interval


def _headers(settings: OtlpSettings, environ: Mapping[str, str]) -> dict[str, str]:
    """A header whose source is missing is left out, which is logged: probing goes on."""
    found = {}
    for name, header in settings.headers.items():
        try:
            found[name.lower()] = header.reference.read(environ)
        except UnresolvedError:
            log.error("otlp.headers.%s: %s cannot be read", name, header.file or header.env)  # noqa: TRY400 - a line, no trace
    return found


def header_values(plan: Plan, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Every value that goes out as a header, of the plan and of the SDK's own variables."""
    names = ("HEADERS", "TRACES_HEADERS", "METRICS_HEADERS")
    pairs = ",".join(environ.get(f"OTEL_EXPORTER_OTLP_{name}", "") for name in names).split(",")
    return (*plan.headers.values(), *(pair.partition("=")[2].strip() for pair in pairs))
