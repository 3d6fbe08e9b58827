"""What a probe asks of a server, by the server's own log: nothing that writes, or leaves something behind."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.compute import ConnectionStatus
from tests.harness.polling import settled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from floe_monitor.compute import ConnectionResult

_STATEMENT = re.compile(r"LOG: {2}statement: (.*)")
_READING = re.compile(
    r"\s*(SELECT|SHOW|BEGIN|START TRANSACTION|ROLLBACK|SET ROLE|SET LOCAL)\b", re.IGNORECASE
)


@pytest.fixture
def probe(probe: Callable[..., ConnectionResult]) -> Callable[..., ConnectionResult]:
    """With more time than any machine takes."""
    return partial(probe, timeout=60.0)


@pytest.fixture
def logged(server: Any) -> Iterator[Callable[[], list[str]]]:
    """The statements of the monitor's sessions since the test began."""
    server.execute("ALTER ROLE dbt SET log_statement = 'all'")
    log = server.directory / "log"
    before = log.stat().st_size

    def statements() -> list[str]:
        text = log.read_bytes()[before:].decode().replace("\n\t", " ")
        return [found for found in _STATEMENT.findall(text) if "ALTER ROLE" not in found]

    yield statements
    server.execute("ALTER ROLE dbt RESET log_statement")


def test_a_probe_only_reads(
    probe: Callable[..., ConnectionResult], server: Any, logged: Callable[[], list[str]]
) -> None:
    relations = "SELECT count(*) FROM pg_class"
    before = server.execute(relations, "analytics")
    for schema in ("marts", "not_yet"):
        assert probe(schema=schema).status is ConnectionStatus.HEALTHY
    statements = logged()
    assert len(statements) >= 4
    for statement in statements:
        for each in filter(str.strip, statement.split(";")):
            assert _READING.match(each), statement
    assert any(re.match(r"(?i)begin.*read only", statement) for statement in statements), statements
    assert server.execute(relations, "analytics") == before
    settled(lambda: server.states() == [])
