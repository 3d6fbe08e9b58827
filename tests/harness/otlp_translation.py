"""OTLP metrics as Prometheus' OTLP receiver stores them: names, units and labels by its published rules.

The rules are those of github.com/prometheus/otlptranslator with `UnderscoreEscapingWithSuffixes`, Prometheus'
default strategy, and of the receiver's documentation: `job` and `instance` are made of the service's name and
instance, other attributes of the resource go to `target_info`, and those of the scope nowhere. Native
histograms, which exponential ones become, are left out. Compared with Prometheus 3.5's own receiver: alike.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

UNITS = {
    "d": "days",
    "h": "hours",
    "min": "minutes",
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "By": "bytes",
    "%": "percent",
    "1": "",
}
CUMULATIVE = 2


class Sample(NamedTuple):
    name: str
    labels: frozenset[tuple[str, str]]
    value: float


def metric_name(name: str, unit: str, kind: str) -> str:
    """`kind`: `counter` (a monotonic sum), `gauge` or `histogram`."""
    tokens = re.findall(r"[a-zA-Z0-9:]+", name)
    if "{" not in unit and "/" not in unit:  # annotations add nothing; rates do not occur here
        suffix = UNITS.get(unit, unit)
        if suffix and suffix not in tokens:
            tokens.append(suffix)
    if kind == "counter":
        tokens = [token for token in tokens if token != "total"] + ["total"]
    if kind == "gauge" and unit == "1":
        tokens = [token for token in tokens if token != "ratio"] + ["ratio"]
    joined = "_".join(tokens)
    return f"_{joined}" if joined[:1].isdigit() else joined


def label_name(name: str) -> str:
    sanitized = re.sub(r"[^a-zA-Z0-9_]", "_", name)
    if sanitized[:1].isdigit():
        return f"key_{sanitized}"
    return f"key{sanitized}" if re.match("_[^_]", sanitized) else sanitized


def attributes(thing: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in thing.attributes}


def samples(request: Any) -> Iterator[Sample]:
    """Of one ExportMetricsServiceRequest."""
    for resource in request.resource_metrics:
        about = attributes(resource.resource)
        namespace, service = about.get("service.namespace"), about.get("service.name", "")
        scope = {
            "job": f"{namespace}/{service}" if namespace else service,
            "instance": about.get("service.instance.id", ""),
        }
        identifying = ("service.namespace", "service.name", "service.instance.id")
        rest = {key: value for key, value in about.items() if key not in identifying}
        yield _sample("target_info", {**rest, **scope}, 1)
        for scoped in resource.scope_metrics:
            for metric in scoped.metrics:
                yield from _of_metric(metric, scope)


def _of_metric(metric: Any, scope: dict[str, str]) -> Iterable[Sample]:
    data = metric.WhichOneof("data")
    if data == "gauge":
        name = metric_name(metric.name, metric.unit, "gauge")
        return [_number(name, point, scope) for point in metric.gauge.data_points]
    if data == "sum":
        assert metric.sum.aggregation_temporality == CUMULATIVE, "Prometheus refuses others"
        name = metric_name(metric.name, metric.unit, "counter" if metric.sum.is_monotonic else "gauge")
        return [_number(name, point, scope) for point in metric.sum.data_points]
    if data == "histogram":
        name = metric_name(metric.name, metric.unit, "histogram")
        return [each for point in metric.histogram.data_points for each in _histogram(name, point, scope)]
    return []


def _number(name: str, point: Any, scope: dict[str, str]) -> Sample:
    return _sample(name, {**attributes(point), **scope}, getattr(point, point.WhichOneof("value")))


def _histogram(name: str, point: Any, scope: dict[str, str]) -> Iterator[Sample]:
    labels = {**attributes(point), **scope}
    count = 0
    for bound, number in zip((*point.explicit_bounds, math.inf), point.bucket_counts, strict=True):
        count += number
        le = "+Inf" if math.isinf(bound) else f"{bound:.12g}"  # without the ".0" of a scraped one
        yield _sample(f"{name}_bucket", {**labels, "le": le}, count)
    yield _sample(f"{name}_sum", labels, point.sum)
    yield _sample(f"{name}_count", labels, point.count)


def _sample(name: str, labels: dict[str, Any], value: float) -> Sample:
    named = frozenset((label_name(key), str(text)) for key, text in labels.items() if str(text))
    return Sample(name, named, float(value))
