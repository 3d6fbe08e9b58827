"""Stand-ins for an endpoint and for AWS on free loopback ports, and targets of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from floe_monitor_redshift import RedshiftComputePlugin

from conformance.loopback_server import LOOPBACK
from conformance.redshift_aws_standin import REGION, AwsStandIn
from conformance.redshift_standin import PASSWORD, StandIn
from tests.harness.plugin_targets import target

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path

ENVIRONMENT = (
    "AWS_CA_BUNDLE", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_ENDPOINT_URL",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_ENDPOINT_URL_REDSHIFT",
)  # fmt: skip


@pytest.fixture(autouse=True)
def clean_environment(no_network_settings: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "aws-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def standin_class() -> type[StandIn]:
    return StandIn


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsStandIn]:
    with AwsStandIn() as standin:
        for name, value in standin.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
        yield standin


@pytest.fixture
def root(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the root that the stand-ins' certificates are under, trusted as the system's roots are."""
    monkeypatch.setenv("SSL_CERT_FILE", str(root))
    return root


@pytest.fixture
def tls(encrypt: Callable[..., ssl.SSLContext]) -> ssl.SSLContext:
    return encrypt("localhost")


@pytest.fixture
def plugin_class() -> type[RedshiftComputePlugin]:
    return RedshiftComputePlugin


@pytest.fixture
def keys(standin: StandIn) -> Callable[..., dict[str, Any]]:
    """Arguments replace those of `connection`, one that is None leaves it out."""

    def make(credentials: dict[str, str] | None = None, **connection: Any) -> dict[str, Any]:
        base = {
            "host": LOOPBACK,
            "port": standin.port,
            "user": "dbt",
            "dbname": "analytics",
            "schema": "marts",
            "sslmode": "disable",
        }
        given = {"password": PASSWORD} if credentials is None else credentials
        return target("redshift", {**base, **connection}, given)

    return make
