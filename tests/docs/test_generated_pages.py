"""The pages that whole runs write: nothing that those runs try has been added or renamed since."""

from __future__ import annotations

import re

import pytest
from repository_links import DOCS

from conformance import engines
from floe_monitor.testing.network_faults import FAULTS, NAMELESS

MEASURED = re.compile(r"(\*\*fails\*\* )?\d+\.\d\d s, ")


def table(text: str) -> list[list[str]]:
    """Its rows' cells, without the line under the heading."""
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in rows]


def test_each_fault_of_the_network_has_been_measured_on_each_engine() -> None:
    heading, *rows = table((DOCS / "faults.md").read_text())
    engines_tried = [
        "duckdb (attached catalog)",
        "postgres",
        "snowflake",
        "bigquery",
        "databricks",
        "spark",
        "trino",
        "clickhouse",
        "redshift",
    ]
    assert heading == ["Fault", *engines_tried]
    assert [name for name, *_ in rows] == [*map(str, FAULTS), NAMELESS]
    unmeasured = [
        (row[0], engine)
        for row in rows
        for engine, cell in zip(heading[1:], row[1:], strict=True)
        if not MEASURED.match(cell)
    ]
    assert unmeasured == []


@pytest.mark.parametrize("name", engines.names())
def test_each_situation_of_an_engine_has_its_verdict(name: str) -> None:
    engine = engines.load(name)
    sections = ("\n" + (DOCS / "verdicts.md").read_text()).split("\n## ")[1:]
    [section] = [part for part in sections if part.split("\n", 1)[0] == (engine.title or engine.plugin)]
    _, *rows = table(section)
    assert [row[0].replace("\\|", "|").replace("&lt;", "<") for row in rows] == [
        case.name for case in engine.cases
    ]
