"""The contract, as any plugin is held to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from conformance.trino_standin import PASSWORD, basic
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
    from pathlib import Path

    from conformance.trino_standin import StandIn

    Keys = Callable[..., dict[str, Any]]


class Trino:
    plugin_name = "trino"
    driver_modules: ClassVar[Sequence[str]] = ("trino", "requests", "certifi")
    host_key: ClassVar[str | None] = "host"
    overrun_seconds = 0.1
    fault_deadline_seconds: ClassVar[float] = 0.5
    deadline_seconds: ClassVar[float] = 5.0


class TestHttp(Trino, ComputePluginConformance):
    @pytest.fixture
    def healthy_config(self, keys: Keys) -> Given:
        return keys(
            session_properties={"query_max_run_time": "1h"}, roles={"memory": "builder"}, client_tags=["dbt"]
        )

    @pytest.fixture
    def broken_configs(self, keys: Keys, launch: Callable[..., StandIn]) -> Mapping[str, Given]:
        return {
            "closed port": keys(port=1),
            "unknown host": keys(host="nowhere.invalid"),
            "no TLS there": keys(http_scheme="https"),
            "starting": keys(port=launch(starting=True).port),
            "no such catalog": keys(database="nowhere"),
            "a page of something else": keys(port=launch(status=404).port),
        }


class Https(Trino):
    """With a password, under a root of its own."""

    @pytest.fixture
    def healthy_config(
        self, keys: Keys, launch: Callable[..., StandIn], tls: ssl.SSLContext, root: Path
    ) -> Given:
        port = launch(tls=tls, logins=frozenset({basic("dbt")})).port
        return keys({"password": PASSWORD}, method="ldap", port=port, cert=str(root))


class TestHttps(Https, ValidationConformance):
    host_key = None

    @pytest.fixture
    def broken_configs(
        self, keys: Keys, healthy_config: dict[str, Any], standin: StandIn
    ) -> Mapping[str, Given]:
        connection = healthy_config["connection"]
        return {
            "wrong password": keys({"password": "wrong battery"}, **connection),
            "roots of others": keys({"password": PASSWORD}, **{**connection, "cert": True}),
            "no TLS there": keys({"password": PASSWORD}, **{**connection, "port": standin.port}),
        }


@pytest.mark.gate
class TestFaultsOfHttps(Https, NetworkConformance):
    """Faults before, in and after the handshake."""


@pytest.mark.gate
class TestKept(Trino, KeptConnectionConformance):
    """One connection for several probes."""

    @pytest.fixture
    def healthy_config(self, keys: Keys) -> Given:
        return keys()
