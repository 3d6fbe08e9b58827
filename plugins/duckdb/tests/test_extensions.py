from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from floe_monitor_duckdb.extensions import _directory, packaged

from floe_monitor.compute import ConnectionStatus, Deadline, ErrorType, deadline
from floe_monitor.domain.targets import build_targets
from floe_monitor.probing.oneshot import probe_once
from floe_monitor.registry.discovery import discover
from floe_monitor.settings.models import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from floe_monitor.compute import ConnectionResult

DEGRADED = ConnectionStatus.DEGRADED


def make_slow(directory: Path, mebibytes: int) -> dict[str, Any]:
    """The keys of a target with an extension that takes long to load: DuckDB hashes all of a file before it
    looks at it, here of a hole, and no interrupt ends that."""
    version = f"v{duckdb.__version__}"
    [source] = [each.file for each in packaged("httpfs") if each.version == version]
    with duckdb.connect() as connection:
        [(platform,)] = connection.execute("PRAGMA platform").fetchall()
    file = directory / version / platform / source.name
    file.parent.mkdir(parents=True)
    with file.open("wb") as out:
        out.truncate(mebibytes << 20)
        out.seek(0, 2)
        out.write(source.read_bytes()[-512:])  # what says that it is an extension
    return {"extensions": ["httpfs"], "config_options": {"extension_directory": str(directory)}}


def test_a_home_that_is_not_known_is_no_fault() -> None:
    with duckdb.connect() as connection:
        connection.execute("SET extension_directory = '~nobody-here/extensions'")
        assert _directory(connection) == Path("~nobody-here/extensions")


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


@pytest.mark.gate
@pytest.mark.slow
def test_one_whose_load_takes_all_the_time_leaves_the_catalog_unjudged(
    tmp_path: Path, probe: Callable[..., ConnectionResult]
) -> None:
    slow = make_slow(tmp_path, 128)
    began = time.monotonic()
    assert probe(**slow).checks[-1].error_type is ErrorType.EXTENSION
    took = time.monotonic() - began
    options = {"endpoint": "http://127.0.0.1:9/catalog", "authorization_type": "none"}
    attach = [{"path": "iceberg:floe", "alias": "lake", "type": "iceberg", "options": options}]
    with deadline.running_until(Deadline.after(took / 2)):
        result = probe(**slow, attach=attach)
    assert (result.status, result.error_type) == (DEGRADED, ErrorType.TIMEOUT), result
    assert "catalogs: not checked, for loading the extensions took all the time" in result.warnings
    assert not [each.name for each in result.checks if each.name.endswith(":lake")]
