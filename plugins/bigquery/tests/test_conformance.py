"""The contract, as any plugin is held to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.testing import ComputePluginConformance, Given
from floe_monitor.testing.fault_proxy import Fault, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Keys = Callable[..., dict[str, Any]]


class TestBigQuery(ComputePluginConformance):
    plugin_name = "bigquery"
    overrun_seconds = 0.1
    driver_modules = ("google.auth", "google.oauth2", "requests", "urllib3", "cryptography")

    @pytest.fixture
    def healthy_config(self, keys: Keys, keyfile: dict[str, Any]) -> Given:
        private_key = keyfile.pop("private_key")
        return keys({"private_key": private_key}, method="service-account-json", keyfile_json=keyfile)

    @pytest.fixture
    def broken_configs(self, keys: Keys, keyfile: dict[str, Any]) -> Mapping[str, Given]:
        refreshing = {
            "client_id": "client",
            "token_uri": keyfile["token_uri"],
        }
        secrets = {"refresh_token": "revoked-refresh", "client_secret": "client-secret"}
        keyfile = {key: value for key, value in keyfile.items() if key != "private_key"}
        return {
            "unknown token": keys({"token": "unknown-token"}),
            "revoked refresh token": keys(secrets, **refreshing),
            "no key": keys({"private_key": "no-key"}, method="service-account-json", keyfile_json=keyfile),
            "no key file": keys({}, method="service-account", keyfile="/nowhere/key.json"),
            "unknown project": keys(project="nothing"),
            "closed port": keys(api_endpoint="http://127.0.0.1:1"),
            "unknown host": keys(api_endpoint="https://nowhere.invalid"),
        }

    @pytest.fixture
    def hanging_config(self, keys: Keys) -> Iterator[Given]:
        with FaultProxy(fault=Fault.HANG) as proxy:
            yield keys(api_endpoint=f"http://127.0.0.1:{proxy.port}")
