"""A page of metrics as it is compared: every family, series and label; values where they do not vary."""

from __future__ import annotations

import re

_SAMPLE = re.compile(
    r"(?P<name>[A-Za-z_:][\w:]*)(?P<labels>\{.*?\})? (?P<value>\S+)(?: # (?P<exemplar>\{.*\}.*))?$"
)
_MEASURED = re.compile(
    r"process_.*|.*_(sum|created)|.*_timestamp_seconds|floe_compute_target_(last|check)_duration_seconds"
    r"|floe_compute_target_result_seconds_total|floe_monitor_scheduler_beat_age_seconds"
)
"""Samples whose value is a time or a resource."""
_BOUND = re.compile(r'(?<=[{,])le="([^"]*)",?')


def comparable(page: str) -> str:
    """Families in their order, the series of each sorted: on the page they stand as the first results came.

    How many observations a bucket holds, and which bucket has an exemplar, follow from durations: buckets but
    `+Inf` keep their bound alone, and exemplars are listed at the end, once for each series that has any.
    """
    if not page:
        return page
    lines: list[str] = []
    series: list[str] = []
    exemplars: set[str] = set()
    for line in page.splitlines():
        if line.startswith("#"):
            lines += sorted(series, key=_sortable)
            series.clear()
            lines.append(line)
            continue
        sample = _SAMPLE.fullmatch(line)
        if sample is None:
            series.append(line)
            continue
        name, labels = sample["name"], sample["labels"] or ""
        varies = _MEASURED.fullmatch(name) or (name.endswith("_bucket") and 'le="+Inf"' not in labels)
        series.append(f"{name}{labels} {'<value>' if varies else sample['value']}")
        if sample["exemplar"]:
            shape = re.sub(r"(?<=\} ).*", "<value> <time>", sample["exemplar"])
            shape = re.sub(r'"[0-9a-f]{8,}"', '"<id>"', shape)
            exemplars.add(f"exemplar: {name}{_BOUND.sub('', labels)} {shape}")
    return "\n".join([*lines, *sorted(series, key=_sortable), *sorted(exemplars)]) + "\n"


def _sortable(line: str) -> tuple[str, float, str]:
    """Buckets by their bound as a number."""
    bound = _BOUND.search(line)
    return _BOUND.sub("", line).rpartition(" ")[0], float(bound[1]) if bound else 0.0, line
