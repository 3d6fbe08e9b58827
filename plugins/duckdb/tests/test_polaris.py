"""A real Polaris while it is watched: what one plugin says before, during and after a change."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from floe_monitor_duckdb import DuckDBComputePlugin
from floe_monitor_duckdb.iceberg import tokens

from conformance import maven_artifacts
from conformance.polaris_server import BUCKET, MANAGES, ROOT, PolarisServer
from conformance.vending_lakehouse import VendingLakehouse
from floe_monitor.compute import ConnectionResult, ConnectionStatus, Deadline, ErrorType, deadline
from floe_monitor.registry.config_validation import build_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [
    pytest.mark.gate,
    pytest.mark.process,
    pytest.mark.skipif(maven_artifacts.unavailable() is not None, reason=str(maven_artifacts.unavailable())),
]

HEALTHY, DEGRADED, _ = ConnectionStatus
START_SECONDS = 180.0


@pytest.fixture(scope="module")
def polaris(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PolarisServer]:
    folder = tmp_path_factory.mktemp("polaris")
    with VendingLakehouse(folder / "store") as store:
        store.add_bucket(BUCKET)
        with PolarisServer(folder / "server", store) as server:
            server.add_catalog("floe")
            yield server


@pytest.fixture
def probe(polaris: PolarisServer, extension_directory: str) -> Callable[..., ConnectionResult]:
    """Validate, by one plugin, a target on this catalog as this client."""
    plugin = DuckDBComputePlugin()

    def run(client: tuple[str, str], path: str = "floe") -> ConnectionResult:
        attach: dict[str, Any] = {
            "path": path,
            "alias": "lake",
            "type": "iceberg",
            "options": {"endpoint": polaris.uri},
        }
        fields = {
            "plugin": "duckdb",
            "connection": {
                "attach": [attach],
                "config_options": {"extension_directory": extension_directory},
            },
            "credentials": dict(zip(("lake.client_id", "lake.client_secret"), client, strict=True)),
        }
        with deadline.running_until(Deadline.after(30)):
            return plugin.validate_connection(build_config(plugin, fields))

    return run


def test_a_secret_that_was_rotated_is_noticed_though_the_former_token_still_serves(
    polaris: PolarisServer, probe: Callable[..., ConnectionResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "_LONGEST", 1.0)
    polaris.add_role("rotated", "floe", MANAGES)
    first = polaris.add_principal("rotated", ["rotated"])
    assert probe(first).status is HEALTHY
    second = polaris.rotate("rotated", first)
    third = polaris.rotate("rotated", second)
    give_up = time.monotonic() + 60
    while (result := probe(first)).status is HEALTHY:
        assert time.monotonic() < give_up
        time.sleep(0.1)
    assert (result.status, result.error_type) == (DEGRADED, ErrorType.AUTHENTICATION), result
    assert probe(second).status is HEALTHY, "the one before the last is still taken"
    assert probe(third).status is HEALTHY


def test_a_catalog_that_is_dropped_and_made_again(
    polaris: PolarisServer, probe: Callable[..., ConnectionResult]
) -> None:
    polaris.add_catalog("passing")
    polaris.add_role("passing", "passing", MANAGES)
    client = polaris.add_principal("passing", ["passing"])
    assert probe(client, "passing").status is HEALTHY
    polaris.manage("DELETE", "/catalogs/passing/catalog-roles/passing")
    polaris.manage("DELETE", "/catalogs/passing")
    result = probe(client, "passing")
    assert (result.status, result.error_type) == (DEGRADED, ErrorType.CATALOG), result
    polaris.add_catalog("passing")
    result = probe(client, "passing")
    assert (result.status, result.error_type) == (DEGRADED, ErrorType.PERMISSION), result
    assert "PrincipalRoles '[passing]'" in result.message


def test_a_server_that_restarts(polaris: PolarisServer, probe: Callable[..., ConnectionResult]) -> None:
    """The last of the module: what was in its memory is gone, and so is the key that signed its tokens."""
    assert probe(ROOT).status is HEALTHY
    polaris.stop()
    result = probe(ROOT)
    assert (result.status, result.error_type) == (DEGRADED, ErrorType.CONNECTION), result
    polaris.launch()
    give_up = time.monotonic() + START_SECONDS
    seen = set()
    while (result := probe(ROOT)).error_type is not ErrorType.CATALOG:
        seen.add(result.error_type)
        assert time.monotonic() < give_up, result
    assert "no warehouse 'floe'" in result.message
    assert seen <= {ErrorType.CONNECTION}, "a token of the former key is replaced within one probe"
    polaris.add_catalog("floe")
    assert probe(ROOT).status is HEALTHY
