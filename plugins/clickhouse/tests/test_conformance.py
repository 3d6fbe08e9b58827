"""The contract, as any plugin is held to it, in both protocols."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from floe_monitor.testing import (
    ComputePluginConformance,
    Given,
    KeptConnectionConformance,
    NetworkConformance,
    ValidationConformance,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence

    from conformance.clickhouse_standin import StandIn

    Keys = Callable[..., dict[str, Any]]


class ClickHouse:
    plugin_name = "clickhouse"
    driver_modules: ClassVar[Sequence[str]] = ("clickhouse_connect", "clickhouse_driver", "certifi")
    host_key: ClassVar[str | None] = "host"
    overrun_seconds = 0.1
    fault_deadline_seconds: ClassVar[float] = 0.5
    deadline_seconds: ClassVar[float] = 5.0


class TestHttp(ClickHouse, ComputePluginConformance):
    @pytest.fixture
    def healthy_config(self, keys: Keys) -> Given:
        return keys(custom_settings={"max_threads": 2}, cluster="main")

    @pytest.fixture
    def broken_configs(self, keys: Keys, launch: Callable[..., StandIn]) -> Mapping[str, Given]:
        return {
            "closed port": keys(port=1),
            "unknown host": keys(host="nowhere.invalid"),
            "wrong password": keys({"password": "wrong battery"}),
            "no TLS there": keys(secure=True),
            "the native port": keys(port=launch().native_port),
            "no such cluster": keys(cluster="nowhere"),
            "a page of something else": keys(port=launch(status=404).port),
        }


class Native(ClickHouse):
    @pytest.fixture
    def healthy_config(self, keys: Keys) -> Given:
        return keys(driver="native", custom_settings={"max_threads": 2}, cluster="main")


class TestNative(Native, ValidationConformance):
    host_key = None

    @pytest.fixture
    def broken_configs(self, keys: Keys) -> Mapping[str, Given]:
        return {
            "closed port": keys(driver="native", port=1),
            "wrong password": keys({"password": "wrong battery"}, driver="native"),
            "no TLS there": keys(driver="native", secure=True),
            "no such cluster": keys(driver="native", cluster="nowhere"),
        }


@pytest.mark.gate
class TestFaultsOfNative(Native, NetworkConformance):
    """Faults before, in and after the Hello."""


@pytest.mark.gate
class TestFaultsOfHttps(ClickHouse, NetworkConformance):
    @pytest.fixture
    def healthy_config(self, keys: Keys, launch: Callable[..., StandIn], tls: ssl.SSLContext) -> Given:
        return keys(port=launch(tls=tls).port, secure=True, verify=False)


@pytest.mark.gate
class TestFaultsOfNativeTls(ClickHouse, NetworkConformance):
    @pytest.fixture
    def healthy_config(self, keys: Keys, launch: Callable[..., StandIn], tls: ssl.SSLContext) -> Given:
        return keys(port=launch(tls=tls).native_port, driver="native", secure=True, verify=False)


@pytest.mark.gate
class TestKeptHttp(ClickHouse, KeptConnectionConformance):
    """One connection for several probes."""

    @pytest.fixture
    def healthy_config(self, keys: Keys) -> Given:
        return keys()


@pytest.mark.gate
class TestKeptNative(ClickHouse, KeptConnectionConformance):
    @pytest.fixture
    def healthy_config(self, keys: Keys) -> Given:
        return keys(driver="native")
