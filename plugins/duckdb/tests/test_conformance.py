"""The contract, as any plugin is held to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from floe_monitor.testing import ComputePluginConformance, Given

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class TestMemory(ComputePluginConformance):
    plugin_name = "duckdb"
    driver_modules = ("duckdb", "_duckdb")
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

    @pytest.fixture
    def healthy_config(self, database: Path) -> Given:
        return {"connection": {"path": str(database)}}

    @pytest.fixture
    def broken_configs(self, database: Path) -> Mapping[str, Given]:
        broken = database.with_name("truncated.duckdb")
        broken.write_bytes(database.read_bytes()[:20000])
        return {"truncated": {"connection": {"path": str(broken)}}}
