"""Stand-ins for an endpoint and for AWS on free loopback ports, and targets of them."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from floe_monitor_redshift import RedshiftComputePlugin

from conformance.redshift_aws_standin import REGION, AwsStandIn
from conformance.redshift_standin import PASSWORD, StandIn
from floe_monitor.compute import Deadline
from floe_monitor.compute.deadline import running_until
from floe_monitor.registry.config_validation import build_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from floe_monitor.compute import ConnectionResult

LOOPBACK = "127.0.0.1"
ENVIRONMENT = (
    "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "REQUESTS_CA_BUNDLE", "ALL_PROXY", "all_proxy",
    "AWS_CA_BUNDLE", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_ENDPOINT_URL",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_ENDPOINT_URL_REDSHIFT",
)  # fmt: skip


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "aws-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def launch() -> Iterator[Callable[..., StandIn]]:
    started: list[StandIn] = []

    def make(**options: Any) -> StandIn:
        started.append(StandIn(**options))
        return started[-1]

    yield make
    for standin in started:
        standin.close()


@pytest.fixture
def standin(launch: Callable[..., StandIn]) -> StandIn:
    return launch()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsStandIn]:
    with AwsStandIn() as standin:
        for name, value in standin.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
        yield standin


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def root_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("tls") / "root.pem"
    authority.cert_pem.write_to_path(place)
    return place


@pytest.fixture
def root(root_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the root that the stand-ins' certificates are under, trusted as the system's roots are."""
    monkeypatch.setenv("SSL_CERT_FILE", str(root_file))
    return root_file


@pytest.fixture(scope="session")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def plugin() -> Iterator[RedshiftComputePlugin]:
    plugin = RedshiftComputePlugin()
    yield plugin
    plugin.shutdown()


@pytest.fixture
def keys(standin: StandIn) -> Callable[..., dict[str, Any]]:
    """A target's keys; arguments replace those of `connection`, one that is None leaves it out."""

    def make(credentials: dict[str, str] | None = None, **connection: Any) -> dict[str, Any]:
        base = {
            "host": LOOPBACK,
            "port": standin.port,
            "user": "dbt",
            "dbname": "analytics",
            "schema": "marts",
            "sslmode": "disable",
        }
        return {
            "plugin": "redshift",
            "connection": {key: value for key, value in {**base, **connection}.items() if value is not None},
            "credentials": {"password": PASSWORD} if credentials is None else credentials,
        }

    return make


@pytest.fixture
def probe(
    plugin: RedshiftComputePlugin, keys: Callable[..., dict[str, Any]], within: Any, unhurried: Any
) -> Callable[..., ConnectionResult]:
    """Validate as the daemon does, with the result held to its deadline."""

    def run(timeout: float | None = None, **changes: Any) -> ConnectionResult:
        config = build_config(plugin, keys(**changes))
        timeout = unhurried(5.0) if timeout is None else timeout
        with within(timeout), running_until(Deadline.after(timeout)):
            return plugin.validate_connection(config)

    return run
