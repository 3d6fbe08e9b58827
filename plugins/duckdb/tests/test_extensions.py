"""Extensions beside DuckDB's own INSTALL and LOAD: by which names, and in which directory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from floe_monitor_duckdb import extensions
from floe_monitor_duckdb.errors import MissingExtensionError
from floe_monitor_duckdb.extensions import _directory, _hindrance

from floe_monitor.compute import ConnectionStatus, Deadline, ErrorType, deadline
from floe_monitor.domain.targets import build_targets
from floe_monitor.probing.oneshot import probe_once
from floe_monitor.registry.discovery import discover
from floe_monitor.settings.models import Settings

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


def make_slow(directory: Path, mebibytes: int) -> dict[str, Any]:
    """The keys of a target with an extension that takes long to load: DuckDB hashes all of a file before it
    looks at it, here of a hole, and no interrupt ends that."""
    version = f"v{duckdb.__version__}"
    [source] = [each.file for each in extensions.packaged("httpfs") if each.version == version]
    with duckdb.connect() as connection:
        [(platform,)] = connection.execute("PRAGMA platform").fetchall()
    file = directory / version / platform / source.name
    file.parent.mkdir(parents=True)
    with file.open("wb") as out:
        out.truncate(mebibytes << 20)
        out.seek(0, 2)
        out.write(source.read_bytes()[-512:])  # what says that it is an extension
    return {"extensions": ["httpfs"], "config_options": {"extension_directory": str(directory)}}


@pytest.mark.process
@pytest.mark.slow
async def test_one_whose_load_does_not_end_in_time_degrades(tmp_path: Path) -> None:
    target = {"plugin": "duckdb", "connection": make_slow(tmp_path, 8192)}
    settings = Settings.model_validate(
        {"probe": {"timeout": 2, "isolation": "process"}, "targets": {"dev": target}}
    )
    targets = build_targets(settings, discover())
    [result] = await probe_once(list(targets.values()), settings.workers, lambda _: None)
    assert (result.status, result.error_type) == (DEGRADED, ErrorType.TIMEOUT), result
    assert result.message == "no answer within 2 s: check 'extension:httpfs' did not return"
    assert [(each.name, each.status.value) for each in result.checks] == [
        ("connect", "healthy"),
        ("query", "healthy"),
        ("extension:httpfs", "degraded"),
    ]


def test_one_that_takes_all_the_time_leaves_the_rest_unchecked(
    probe: Callable[..., ConnectionResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for DuckDB's LOAD, which no interrupt ends: it returns after the margin."""

    def load(*_: Any) -> None:
        time.sleep(max(0.0, deadline.with_margin().remaining()))
        raise duckdb.InterruptException("Interrupted!")

    monkeypatch.setattr(extensions, "load", load)
    options = {"endpoint": "http://127.0.0.1:9/catalog", "authorization_type": "none"}
    attach = [{"path": "iceberg:floe", "alias": "lake", "type": "iceberg", "options": options}]
    with deadline.running_until(Deadline.after(2)):
        result = probe(extensions=["httpfs"], attach=attach)
    assert (result.status, result.error_type) == (DEGRADED, ErrorType.TIMEOUT), result
    assert "nothing after the extensions was checked: loading them took all the time" in result.warnings
    assert not [each.name for each in result.checks if each.name.endswith(":lake")]
