"""The contract, as any plugin is held to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

import pytest

from conformance.bigquery_standin import StandIn
from floe_monitor.testing import (
    ComputePluginConformance,
    Given,
    KeptConnectionConformance,
    NetworkConformance,
)
from floe_monitor.testing.fault_proxy import LOOPBACK, Fault, FaultProxy
from floe_monitor.testing.validation import ValidationConformance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import trustme

    Keys = Callable[..., dict[str, Any]]


class Targets:
    """The same for both ways to use connections."""

    plugin_name = "bigquery"
    overrun_seconds = 0.1
    fault_deadline_seconds: ClassVar[float] = 0.6
    more: dict[str, Any] = {}  # noqa: RUF012 - never changed

    def server_of(self, keys: Mapping[str, Any]) -> tuple[str, int]:
        place = urlsplit(keys["connection"]["api_endpoint"])
        return str(place.hostname), int(place.port or 80)

    def pointed_at(self, keys: Mapping[str, Any], host: str, port: int) -> dict[str, Any]:
        """The API and the token endpoint."""
        place, connection = f"http://{host}:{port}", keys["connection"]
        keyfile = {**connection["keyfile_json"], "token_uri": f"{place}/token"}
        return {**keys, "connection": {**connection, "api_endpoint": place, "keyfile_json": keyfile}}

    @pytest.fixture
    def healthy_config(self, keys: Keys, keyfile: dict[str, Any]) -> Given:
        secrets = {"private_key": keyfile.pop("private_key")}
        return {**keys(secrets, method="service-account-json", keyfile_json=keyfile), **self.more}

    @pytest.fixture
    def broken_configs(self, keys: Keys, keyfile: dict[str, Any]) -> Mapping[str, Given]:
        refreshing = {
            "client_id": "client",
            "token_uri": keyfile["token_uri"],
        }
        secrets = {"refresh_token": "revoked-refresh", "client_secret": "client-secret"}
        keyfile = {key: value for key, value in keyfile.items() if key != "private_key"}
        found = {
            "unknown token": keys({"token": "unknown-token"}),
            "revoked refresh token": keys(secrets, **refreshing),
            "no key": keys({"private_key": "no-key"}, method="service-account-json", keyfile_json=keyfile),
            "no key file": keys({}, method="service-account", keyfile="/nowhere/key.json"),
            "unknown project": keys(project="nothing"),
            "closed port": keys(api_endpoint="http://127.0.0.1:1"),
            "unknown host": keys(api_endpoint="https://nowhere.invalid"),
        }
        return {name: {**given, **self.more} for name, given in found.items()}

    @pytest.fixture
    def hanging_config(self, keys: Keys) -> Iterator[Given]:
        with FaultProxy(fault=Fault.HANG) as proxy:
            yield {**keys(api_endpoint=f"http://127.0.0.1:{proxy.port}"), **self.more}


class TestBigQuery(Targets, ComputePluginConformance):
    driver_modules = ("google.auth", "google.oauth2", "requests", "urllib3", "cryptography")


class TestKept(Targets, ValidationConformance, KeptConnectionConformance):
    more = {"connection_reuse": True}  # noqa: RUF012 - never changed


class TestTokenEndpoint(Targets, NetworkConformance):
    """The driver's own limit there is 120 s, with two more attempts. The API is well."""

    fault_deadline_seconds = 0.4
    # Without a name service the kit has no network either, and the API is not well.
    test_silent_name_service: ClassVar[None] = None  # type: ignore[assignment]

    def pointed_at(self, keys: Mapping[str, Any], host: str, port: int) -> dict[str, Any]:
        connection = keys["connection"]
        keyfile = {**connection["keyfile_json"], "token_uri": f"http://{host}:{port}/token"}
        return {**keys, "connection": {**connection, "keyfile_json": keyfile}}


class TestThroughProxy(NetworkConformance):
    """Google's own addresses, within TLS, by the proxy that the environment names."""

    plugin_name = "bigquery"
    fault_deadline_seconds = 0.4

    @pytest.fixture(autouse=True)
    def _trusted(self, authority: trustme.CA, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.authority, self.environment = authority, monkeypatch
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(root))

    @pytest.fixture
    def healthy_config(self, keys: Keys) -> Iterator[Given]:
        with StandIn(authority=self.authority) as google:
            self.port = google.port
            yield keys(api_endpoint=None)

    def server_of(self, keys: Mapping[str, Any]) -> tuple[str, int]:
        return LOOPBACK, self.port

    def pointed_at(self, keys: Mapping[str, Any], host: str, port: int) -> dict[str, Any]:
        self.environment.setenv("HTTPS_PROXY", f"http://{host}:{port}")
        return dict(keys)
