from __future__ import annotations

import re
from pathlib import Path

import promql_parser

from floe_monitor.telemetry.instruments import INSTRUMENTS, reference

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_reference_is_the_table() -> None:
    assert reference() in PAGE.read_text(encoding="utf-8"), (
        "docs/metrics.md differs from the table: "
        "replace its table by the output of floe_monitor.telemetry.instruments.reference()"
    )


def test_every_query_parses_and_asks_for_what_there_is() -> None:
    (block,) = re.findall(r"```promql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    statements = [
        line for line in re.sub(r"\n +", " ", block).splitlines() if line and not line.startswith("#")
    ]
    assert len(statements) >= 15
    names = {each.name for each in INSTRUMENTS}
    for statement in statements:
        promql_parser.parse(statement)
        for name in re.findall(r"floe_\w+", statement):
            assert name in names or re.sub(r"_(bucket|count|sum)$", "", name) in names
