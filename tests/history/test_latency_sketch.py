from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from floe_monitor.history.latency_sketch import LatencySketch

durations = st.lists(st.floats(1e-6, 1e5), min_size=1, max_size=60)


def sketch_of(values: list[float]) -> LatencySketch:
    sketch = LatencySketch()
    for value in values:
        sketch.add(value)
    return sketch


@given(durations, st.floats(0, 1))
def test_quantiles_are_within_two_percent(values: list[float], share: float) -> None:
    found = sketch_of(values).quantile(share)
    exact = sorted(values)[int(share * (len(values) - 1))]
    assert found == pytest.approx(exact, rel=0.0201)


@given(durations, durations)
def test_merging_is_as_if_all_had_been_one(first: list[float], second: list[float]) -> None:
    merged = sketch_of(first)
    merged.merge(sketch_of(second))
    assert merged == sketch_of(first + second)
    assert len(merged) == len(first) + len(second)


@given(durations)
def test_what_is_stored_is_read_back(values: list[float]) -> None:
    sketch = sketch_of(values)
    assert LatencySketch.from_bytes(sketch.to_bytes()) == sketch


@given(st.binary(max_size=40))
def test_whatever_stands_in_the_database_is_read_or_refused(packed: bytes) -> None:
    try:
        sketch = LatencySketch.from_bytes(packed)
    except ValueError:
        return
    assert len(sketch) >= 0
    assert LatencySketch.from_bytes(sketch.to_bytes()) == sketch


def test_an_empty_one_has_no_quantile() -> None:
    assert LatencySketch().quantile(0.5) is None
    assert LatencySketch.from_bytes(b"") == LatencySketch()


def test_no_duration_is_out_of_bounds() -> None:
    sketch = sketch_of([0.0, -1.0, 1e12])
    assert len(sketch) == 3
    assert sketch.quantile(0) == pytest.approx(1e-6, rel=0.03)
    assert sketch.quantile(1) == pytest.approx(1e6, rel=0.03)


def test_an_hour_fits_in_a_hundred_bytes() -> None:
    hour = sketch_of([0.05 * 1.004**n for n in range(120)])
    assert len(hour.to_bytes()) <= 100
