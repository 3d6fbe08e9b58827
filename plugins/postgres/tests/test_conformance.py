"""The contract, as any plugin is held to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from floe_monitor.testing import (
    ComputePluginConformance,
    Given,
    KeptConnectionConformance,
    ValidationConformance,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Keys = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def server(plain_server: Any) -> Any:
    return plain_server


class Targets:
    """The same for both ways to use connections."""

    plugin_name = "postgres"
    host_key: ClassVar[str | None] = "host"
    overrun_seconds = 0.1
    fault_deadline_seconds = 0.6
    more: dict[str, Any] = {}  # noqa: RUF012 - never changed

    @pytest.fixture
    def healthy_config(self, keys: Keys) -> Given:
        return {**keys(), **self.more}

    @pytest.fixture
    def broken_configs(self, keys: Keys) -> Mapping[str, Given]:
        changes: dict[str, dict[str, Any]] = {
            "wrong password": {"password": "wrong"},
            "unknown database": {"dbname": "nothing"},
            "closed port": {"port": 1},
            "unknown host": {"host": "nowhere.invalid"},
            "unknown role": {"role": "missing"},
        }
        return {name: {**keys(**change), **self.more} for name, change in changes.items()}


class TestPostgres(Targets, ComputePluginConformance):
    driver_modules = ("psycopg", "psycopg_binary")


class TestKept(Targets, ValidationConformance, KeptConnectionConformance):
    more = {"connection_reuse": True}  # noqa: RUF012 - never changed
