from __future__ import annotations

import time

import pytest

from floe_monitor.compute.toolkit.close_match import nearest


@pytest.mark.parametrize(
    ("word", "known", "expected"),
    [
        ("snowflkae", ["duckdb", "snowflake"], "snowflake"),
        ("Dev", ["DEV", "prod"], "DEV"),
        ("x", ["duckdb", "snowflake"], None),
        ("dev", [], None),
    ],
)
def test_the_most_similar_known_word(word: str, known: list[str], expected: str | None) -> None:
    assert nearest(word, known) == expected


def test_a_lower_cutoff_takes_less_similar_words() -> None:
    assert nearest("warehouse", ["house"], cutoff=0.8) is None
    assert nearest("warehouse", ["house"], cutoff=0.5) == "house"


def test_a_word_of_a_megabyte_costs_no_more_than_a_short_one() -> None:
    known = [f"warehouse-{number}" * 8 for number in range(50)]

    def cpu(word: str) -> float:
        began = time.process_time()
        nearest(word, known)
        return time.process_time() - began

    long = "warehouse" * 120_000
    control = min(cpu(long[:128]) for _ in range(5))
    assert min(cpu(long) for _ in range(5)) < 20 * control + 0.05
