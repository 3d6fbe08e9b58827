"""The contract, as any plugin is held to it."""

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
from floe_monitor.testing.fault_proxy import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from floe_monitor.testing import FaultProxy

    Keys = Callable[..., dict[str, Any]]


class Thrift:
    """Against the stand-in."""

    plugin_name = "spark"
    driver_modules: ClassVar[Sequence[str]] = ("TCLIService", "pyhive", "thrift", "thrift_sasl", "puresasl")
    host_key: ClassVar[str | None] = "host"
    overrun_seconds = 0.1
    fault_deadline_seconds = 0.5

    @pytest.fixture
    def healthy_config(self, keys: Keys, launch: Any) -> Given:
        server = launch(auth="LDAP", password="correct horse")
        return keys(port=server.port, auth="LDAP", password="correct horse")


class TestThrift(Thrift, ComputePluginConformance):
    @pytest.fixture
    def broken_configs(self, keys: Keys, launch: Any, healthy_config: dict[str, Any]) -> Mapping[str, Given]:
        port = healthy_config["connection"]["port"]
        return {
            "wrong password": keys(port=port, auth="LDAP", password="wrong battery"),
            "closed port": keys(port=1),
            "unknown host": keys(host="nowhere.invalid"),
            "no TLS there": keys(use_ssl=True),
            "no login wanted here": keys(auth="NOSASL"),
        }


class Http(NetworkConformance):
    """Against the stand-in."""

    plugin_name = "spark"
    driver_modules = Thrift.driver_modules
    host_key = "host"
    overrun_seconds = 0.1
    fault_deadline_seconds = 0.5

    @pytest.fixture
    def healthy_config(self, http_keys: Keys, databricks: Any) -> Given:
        self._server = databricks()
        return http_keys(self._server.port)

    def pointed_at(self, keys: Mapping[str, Any], host: str, port: int) -> dict[str, Any]:
        """The certificate is for localhost."""
        return super().pointed_at(keys, "localhost" if host == LOOPBACK else host, port)


class TestHttp(Http, ValidationConformance):
    @pytest.fixture
    def broken_configs(self, http_keys: Keys, healthy_config: dict[str, Any]) -> Mapping[str, Given]:
        port = healthy_config["connection"]["port"]
        return {
            "wrong token": http_keys(port, token="dapi-wrong-0123456789"),
            "closed port": http_keys(1),
            "certificate for another name": http_keys(port, host="127.0.0.1"),
        }


class TestNosasl(Thrift, NetworkConformance):
    """Without a login: the first answer is the session's."""

    @pytest.fixture
    def healthy_config(self, keys_of: Any, serve: Any) -> Given:
        fields: Given = keys_of("NOSASL", serve("NOSASL").port)
        return fields


@pytest.mark.gate
class TestTls(Thrift, NetworkConformance, ValidationConformance):
    """Thrift within TLS, which only `use_ssl` asks for: faults before, in and after the handshake."""

    @pytest.fixture
    def healthy_config(self, keys_of: Any, serve: Any) -> Given:
        fields: Given = keys_of("TLS", serve("TLS").port)
        return fields

    @pytest.fixture
    def broken_configs(self, keys: Keys) -> Mapping[str, Given]:
        return {"no TLS there": keys(use_ssl=True), "closed port": keys(port=1, use_ssl=True)}


class TestKeptThrift(Thrift, KeptConnectionConformance):
    """The session is the connection's."""


class TestKeptHttp(Http, KeptConnectionConformance):
    """The session outlives a connection."""

    def kept(self, proxy: FaultProxy) -> int:
        return int(self._server.sessions)
