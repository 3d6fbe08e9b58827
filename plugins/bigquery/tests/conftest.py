"""The stand-in for BigQuery's API on a free loopback port, and targets that use it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from floe_monitor_bigquery import BigQueryComputePlugin

from conformance.bigquery_standin import StandIn, new_account
from floe_monitor.compute import Deadline
from floe_monitor.compute.deadline import running_until
from floe_monitor.registry.config_validation import build_config
from tests.harness.plugin_targets import target

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from floe_monitor.compute import ConnectionResult

ACCOUNT = "dbt@analytics.iam.gserviceaccount.com"
ENVIRONMENT = (
    "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_QUOTA_PROJECT", "BIGQUERY_EMULATOR_HOST", "NO_GCE_CHECK",
    "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT",
    "CLOUDSDK_CORE_PROJECT", "CLOUDSDK_ACTIVE_CONFIG_NAME",
)  # fmt: skip


@pytest.fixture(autouse=True)
def clean_environment(no_network_settings: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))


@pytest.fixture
def standin_class() -> type[StandIn]:
    return StandIn


@pytest.fixture
def plugin_class() -> type[BigQueryComputePlugin]:
    return BigQueryComputePlugin


@cache
def _account() -> tuple[dict[str, Any], bytes]:
    """Making an RSA key takes a while."""
    return new_account(ACCOUNT, "")


@pytest.fixture
def keyfile(standin: StandIn) -> dict[str, Any]:
    """A key file's content, of an account that the stand-in knows."""
    content, public = _account()
    standin.state.accounts[ACCOUNT] = public
    return {**content, "token_uri": f"{standin.url}/token"}


@pytest.fixture
def keys(standin: StandIn) -> Callable[..., dict[str, Any]]:
    """A target's keys, with a fixed token; arguments replace those of `connection`."""

    def make(credentials: dict[str, str] | None = None, **connection: Any) -> dict[str, Any]:
        base = {
            "method": "oauth-secrets",
            "project": "analytics",
            "dataset": "marts",
            "location": "EU",
            "api_endpoint": standin.url,
        }
        given = {"token": "good"} if credentials is None else credentials
        return target("bigquery", {**base, **connection}, given)

    return make


@pytest.fixture
def probe(
    plugin: BigQueryComputePlugin, keys: Callable[..., dict[str, Any]], within: Any, unhurried: Any
) -> Callable[..., ConnectionResult]:
    """Validate as the daemon does, and hold the result to its deadline."""

    def run(timeout: float | None = None, **changes: Any) -> ConnectionResult:
        config = build_config(plugin, keys(**changes))
        timeout = 5.0 if timeout is None else unhurried(timeout)
        with within(timeout), running_until(Deadline.after(timeout)):
            return plugin.validate_connection(config)

    return run
