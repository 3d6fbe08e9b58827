"""Extensions beside DuckDB's own INSTALL and LOAD: by which names, and in which directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest
from floe_monitor_duckdb import extensions
from floe_monitor_duckdb.errors import MissingExtensionError
from floe_monitor_duckdb.extensions import _directory, _hindrance

from floe_monitor.compute import ConnectionStatus, ErrorType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from floe_monitor.compute import ConnectionResult

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus
pytestmark = pytest.mark.usefixtures("packaged_extensions")
HTTPFS = extensions.packaged("httpfs")[0].file


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as opened:
        yield opened


def _installs(connection: duckdb.DuckDBPyConnection) -> bool:
    try:
        connection.execute(f"INSTALL '{HTTPFS}'")
    except duckdb.IOException:
        return False
    return True


@pytest.mark.parametrize("home", ["", "home", "gone"])
@pytest.mark.parametrize("configured", [None, "extensions", "~/extensions", "~by/extensions"])
def test_the_directory_is_the_one_that_duckdb_installs_into(
    connection: duckdb.DuckDBPyConnection,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    home: str,
    configured: str | None,
) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / home) if home else "")
    if configured is not None:
        path = configured if configured.startswith("~") else str(tmp_path / configured)
        connection.execute(f"SET extension_directory = '{path}'")
    directory = _directory(connection)
    installs = _installs(connection)
    assert installs is (_hindrance(connection) is None)
    if installs:
        assert directory is not None
        assert [each.name for each in directory.rglob("*.duckdb_extension")] == ["httpfs.duckdb_extension"]


@pytest.mark.parametrize("name", ["HTTPFS", "Https", "s3"])
def test_an_extension_is_found_by_each_of_its_names(
    probe: Callable[..., ConnectionResult], name: str
) -> None:
    assert probe(extensions=[name]).status is HEALTHY


def test_a_missing_extension_names_the_package_to_install(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    with pytest.raises(MissingExtensionError) as caught:
        extensions.load(connection, "Postgres")
    package = f"duckdb-extension-postgres-scanner=={duckdb.__version__}"
    assert (
        f"'Postgres' is not installed for DuckDB v{duckdb.__version__}: install the package {package}"
        in str(caught.value)
    )
    with pytest.raises(MissingExtensionError, match="none of DuckDB's own"):
        extensions.load(connection, "nosuch")


@pytest.mark.parametrize("home", ["", "gone"])
def test_without_a_home_dbt_cannot_install(
    probe: Callable[..., ConnectionResult], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: str
) -> None:
    monkeypatch.setattr(extensions, "gettempdir", lambda: str(tmp_path))
    extensions.private_directory.cache_clear()
    monkeypatch.setenv("HOME", str(tmp_path / home) if home else "")
    result = probe(extensions=["httpfs"])
    extensions.private_directory.cache_clear()
    assert (result.status, result.error_type) == (DEGRADED, ErrorType.EXTENSION)
    assert "dbt cannot install extension 'httpfs': " in result.message
    assert "HOME" in result.message


@pytest.mark.usefixtures("bound_by_permissions")
@pytest.mark.parametrize("check_writable", [True, False])
def test_where_that_may_not_be_written_a_private_directory_serves(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    probe: Callable[..., ConnectionResult],
    check_writable: bool,
) -> None:
    """What this user may not write says nothing of dbt's, where the target says so."""
    monkeypatch.setattr(extensions, "gettempdir", lambda: str(tmp_path))
    extensions.private_directory.cache_clear()
    sealed = tmp_path / "sealed"
    sealed.mkdir(mode=0o555)
    options = {"extension_directory": str(sealed / "x")}
    result = probe(extensions=["httpfs"], config_options=options, check_writable=check_writable)
    extensions.private_directory.cache_clear()
    text = result.message if check_writable else result.warnings[0]
    assert result.status is (DEGRADED if check_writable else HEALTHY)
    assert "dbt cannot install extension 'httpfs': the directory in which it looks" in text
