"""What a session attaches: files without a lock, options by the engine, the rest admitted."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.compute import CheckResult, ConnectionResult, ConnectionStatus, ErrorType

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus


@pytest.fixture
def judge(probe: Callable[..., ConnectionResult]) -> Callable[..., CheckResult]:
    """The check of one attachment to an engine in memory."""

    def run(path: object, **entry: Any) -> CheckResult:
        result = probe(attach=[{"path": str(path), "alias": "more", **entry}])
        return {check.name: check for check in result.checks}["attach:more"]

    return run


def test_a_sound_file_passes(judge: Callable[..., CheckResult], database: Path) -> None:
    assert judge(database).status is HEALTHY
    assert judge(database, type="duckdb", read_only=True).status is HEALTHY
    assert judge(database, options={"block_size": 16384, "row_group_size": None}).status is HEALTHY
    assert judge(":memory:").status is HEALTHY


@pytest.mark.parametrize(
    ("content", "text"), [(b"junk" * 4000, "is not a DuckDB database"), (b"", "is empty")]
)
def test_a_broken_file_is_what_it_is_for_the_target_itself(
    judge: Callable[..., CheckResult], tmp_path: Path, content: bytes, text: str
) -> None:
    path = tmp_path / "more.duckdb"
    path.write_bytes(content)
    found = judge(path)
    assert (found.status, found.error_type) == (UNHEALTHY, ErrorType.CONNECTION)
    assert text in found.message


def test_a_missing_file_fails_where_dbt_may_not_create_it(
    judge: Callable[..., CheckResult], tmp_path: Path
) -> None:
    assert judge(tmp_path / "more.duckdb").status is DEGRADED
    assert judge(tmp_path / "more.duckdb", read_only=True).status is UNHEALTHY
    assert judge(tmp_path / "no" / "more.duckdb").status is UNHEALTHY


def test_a_file_that_a_writer_holds_is_in_use(
    judge: Callable[..., CheckResult],
    database: Path,
    holding: Callable[[Path, str], AbstractContextManager[int]],
) -> None:
    with holding(database, "write") as pid:
        found = judge(database)
    assert found.status is DEGRADED
    assert f"is in use by PID {pid}" in found.message


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"options": {"nosuch": "x"}}, 'Unrecognized option for attach "nosuch"'),
        ({"secret": "nosuch"}, 'Unrecognized option for attach "secret"'),
    ],
)
def test_an_option_that_dbt_would_fail_on(
    probe: Callable[..., ConnectionResult], database: Path, entry: dict[str, Any], text: str
) -> None:
    result = probe(attach=[{"path": str(database), **entry}])
    assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.CONFIGURATION)
    assert text in result.message


def test_a_key_opens_what_nobody_looks_into(judge: Callable[..., CheckResult], database: Path) -> None:
    found = judge(database, options={"encryption_key": "{{ env_var('KEY') }}"})
    assert found.status is DEGRADED
    assert "whether its key opens it is not checked" in found.message


@pytest.mark.usefixtures("packaged_extensions")
def test_a_file_of_sqlite_is_known_by_its_first_bytes(
    judge: Callable[..., CheckResult], tmp_path: Path
) -> None:
    path = tmp_path / "more.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (a)")
    for entry in ({}, {"type": "sqlite"}, {"type": "SQLITE_SCANNER"}):
        found = judge(path, **entry)
        assert (found.status, found.error_type) == (DEGRADED, ErrorType.EXTENSION)
        assert "install the package duckdb-extension-sqlite-scanner==" in found.message
    path.write_bytes(b"junk" * 1000)
    assert "is not a SQLite database" in judge(path, type="sqlite").message


@pytest.mark.usefixtures("packaged_extensions")
@pytest.mark.parametrize(
    ("path", "entry", "text"),
    [
        ("host=127.0.0.1", {"type": "postgres"}, "duckdb-extension-postgres-scanner=="),
        ("ducklake:meta.db", {}, "duckdb-extension-ducklake=="),
        ("https://127.0.0.1:1/shop.duckdb", {}, "not checked"),
        ("x", {"type": "nosuch"}, "is none of DuckDB's own"),
    ],
)
def test_what_only_a_server_could_tell_is_admitted(
    judge: Callable[..., CheckResult], path: str, entry: dict[str, Any], text: str
) -> None:
    found = judge(path, **entry)
    assert found.status is DEGRADED
    assert text in found.message
