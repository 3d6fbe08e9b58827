"""The normaliser hides what varies and shows all else."""

from __future__ import annotations

import pytest

from tests.goldens.exposition import comparable
from tests.goldens.normaliser import Normaliser

SHOWN = [
    '"policy": {"interval_seconds": 30.0, "timeout_seconds": 5.0}',
    '"message": "not within 5 s", "consecutive_failures": 3, "generation": 2',
    "probe: {interval: 1h, timeout: 500ms}",
    '"correlation_id": null, "last_duration_seconds": null, "since": null',
    "TARGET  STATUS  CHECKS",
    "port: 5432",
    "/elsewhere/place",
]
HIDDEN = [
    ('"since": "2026-11-22T10:00:00.123Z"', '"since": "<time>"'),
    ('"last_duration_seconds": 0.001234,', '"last_duration_seconds": <seconds>,'),
    ('"started_seconds":1e-05}', '"started_seconds":<seconds>}'),
    ('"correlation_id":"01ab"', '"correlation_id":"<id>"'),
    ("dev  ✓ healthy    13.6 ms  ✓ query", "dev  ✓ healthy  <latency>  ✓ query"),
    ("dev  ✓ healthy     1.06 s  ✓ query", "dev  ✓ healthy  <latency>  ✓ query"),
    (
        "probe finished  correlation_id=01ab duration_ms=8.1 error",
        "probe finished  correlation_id=<id> duration_ms=<ms> error",
    ),
    ("up after 0.3 s: dev", "up after <time> s: dev"),
    ("since 12 s ago", "since <ago>"),
    ("http://127.0.0.1:34567/", "http://127.0.0.1:<port>/"),
    ("/srv/x/profiles.yml", "<place>/profiles.yml"),
]


@pytest.mark.parametrize("text", SHOWN)
def test_what_does_not_vary_is_compared(text: str) -> None:
    assert Normaliser(place="/srv/x", port="34567")(text) == text


@pytest.mark.parametrize(("text", "normalised"), HIDDEN)
def test_what_varies_is_replaced(text: str, normalised: str) -> None:
    assert Normaliser(place="/srv/x", port="34567")(text) == normalised


def test_metrics_keep_all_but_what_is_measured() -> None:
    page = (
        "# TYPE d histogram\n"
        'd_bucket{le="10.0",plugin="b"} 1.0\n'
        'd_bucket{le="2.5",plugin="b"} 1.0 # {correlation_id="0123456789ab"} 0.2 1763805600.1\n'
        'd_bucket{le="+Inf",plugin="b"} 4.0\n'
        'd_sum{plugin="b"} 0.7\n'
        'd_count{plugin="a"} 3.0\n'
    )
    assert comparable(page) == (
        "# TYPE d histogram\n"
        'd_bucket{le="2.5",plugin="b"} <value>\n'
        'd_bucket{le="10.0",plugin="b"} <value>\n'
        'd_bucket{le="+Inf",plugin="b"} 4.0\n'
        'd_count{plugin="a"} 3.0\n'
        'd_sum{plugin="b"} <value>\n'
        'exemplar: d_bucket{plugin="b"} {correlation_id="<id>"} <value> <time>\n'
    )
