"""The Accept headers of Prometheus, browsers and scripts."""

from __future__ import annotations

import pytest

from floe_monitor.web.content_negotiation import accepts_gzip, accepts_openmetrics, preferred

PROMETHEUS = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, False),
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("application/openmetrics-text", True),
        (PROMETHEUS, True),
        ("text/plain;q=0.9, application/openmetrics-text;q=0.1", False),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text; version=1.0.0; q=junk", False),
        ("text/html,application/xhtml+xml,*/*;q=0.8", False),
    ],
)
def test_openmetrics_is_for_those_who_name_it(accept: str | None, expected: bool) -> None:
    assert accepts_openmetrics(accept) is expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "text/plain"),
        ("*/*", "text/plain"),
        ("application/json", "application/json"),
        ("text/*;q=0.5, application/json;q=0.4", "text/plain"),
        ("text/plain;q=0.1, */*;q=0.5", "application/json"),
        ("image/png", "text/plain"),
    ],
)
def test_the_most_specific_range_decides(accept: str | None, expected: str) -> None:
    assert preferred(accept, ("text/plain", "application/json")) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [(None, False), ("identity", False), ("gzip", True), ("br, *", True), ("gzip;q=0, *", False)],
)
def test_gzip(header: str | None, expected: bool) -> None:
    assert accepts_gzip(header) is expected
