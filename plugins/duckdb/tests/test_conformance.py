"""The contract, as any plugin is held to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

import pytest

from conformance.polaris_standin import PolarisStandIn
from floe_monitor.testing import (
    ComputePluginConformance,
    DescriptionConformance,
    Given,
    NetworkConformance,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


class TestMemory(ComputePluginConformance):
    plugin_name = "duckdb"
    driver_modules = ("duckdb", "_duckdb")
    host_key = None
    healthy: ClassVar[Mapping[str, Any]] = {"connection": {"path": ":memory:"}}

    @pytest.fixture
    def broken_configs(self, tmp_path: Path) -> Mapping[str, Given]:
        junk = tmp_path / "junk.duckdb"
        junk.write_bytes(b"junk" * 5000)
        return {
            "junk file": {"connection": {"path": str(junk)}},
            "directory": {"connection": {"path": str(tmp_path)}},
            "missing directory": {"connection": {"path": str(tmp_path / "no" / "x.duckdb")}},
            "unknown option": {"connection": {"config_options": {"nosuch": 1}}},
            "unknown setting": {"connection": {"settings": {"nosuch": 1}}},
            "bad memory limit": {"connection": {"memory_limit": "much"}},
        }


class TestFile(ComputePluginConformance):
    plugin_name = "duckdb"
    driver_modules = ("duckdb", "_duckdb")
    host_key = None

    @pytest.fixture
    def healthy_config(self, database: Path) -> Given:
        return {"connection": {"path": str(database)}}

    @pytest.fixture
    def broken_configs(self, database: Path) -> Mapping[str, Given]:
        broken = database.with_name("truncated.duckdb")
        broken.write_bytes(database.read_bytes()[:20000])
        return {"truncated": {"connection": {"path": str(broken)}}}


@pytest.mark.gate
@pytest.mark.slow
class TestAttachedCatalog(DescriptionConformance, NetworkConformance):
    """An Iceberg catalog is what a network leads to here; such a target has a process of its own."""

    plugin_name = "duckdb"
    fault_deadline_seconds = 1.0

    @pytest.fixture
    def healthy_config(self, extension_directory: str) -> Iterator[Given]:
        with PolarisStandIn() as catalog:
            catalog.client = ("id-of-the-client", "secret-of-the-client")
            yield {
                "connection": {
                    "attach": [
                        {
                            "path": "floe",
                            "alias": "lake",
                            "type": "iceberg",
                            "required": True,
                            "options": {"endpoint": catalog.uri},
                        }
                    ],
                    "config_options": {"extension_directory": extension_directory},
                },
                "credentials": dict(
                    zip(("lake.client_id", "lake.client_secret"), catalog.client, strict=True)
                ),
            }

    def server_of(self, keys: Mapping[str, Any]) -> tuple[str, int]:
        url = urlsplit(keys["connection"]["attach"][0]["options"]["endpoint"])
        return str(url.hostname), int(url.port or 80)

    def pointed_at(self, keys: Mapping[str, Any], host: str, port: int) -> dict[str, Any]:
        [entry] = keys["connection"]["attach"]
        url = urlsplit(entry["options"]["endpoint"])._replace(netloc=f"{host}:{port}").geturl()
        attach = [{**entry, "options": {**entry["options"], "endpoint": url}}]
        return {**keys, "connection": {**keys["connection"], "attach": attach}}
