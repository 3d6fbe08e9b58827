"""A stand-in for each test that needs one, and one real Spark for the session where there may be one."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from floe_monitor_spark import SparkComputePlugin

from conformance.loopback_server import LOOPBACK
from floe_monitor.compute import Deadline
from floe_monitor.compute.deadline import running_until
from floe_monitor.registry.config_validation import build_config
from tests.harness.plugin_targets import target

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from floe_monitor.compute import ConnectionResult

TOKEN = "dapi-canary-0123456789"
CLUSTER = "0123-456789-abcdefgh"


def beside(name: str) -> Any:
    """The module of that name in this directory, which is no package."""
    spec = importlib.util.spec_from_file_location(f"spark_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks its module up.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def lab() -> Any:
    """The module of the stand-in."""
    return beside("standin")


@pytest.fixture
def standin_class(lab: Any) -> Callable[..., Any]:
    return lambda **options: closing(lab.StandIn(**options))


@pytest.fixture(scope="session")
def tls(encrypt: Callable[..., ssl.SSLContext]) -> ssl.SSLContext:
    return encrypt("localhost")


@pytest.fixture
def databricks(
    launch: Callable[..., Any], tls: ssl.SSLContext, root: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """A stand-in that speaks HTTPS, under a root this process trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(root))

    def make(state: str = "RUNNING", **options: Any) -> Any:
        api = {"/api/2.0/clusters/get": (200, {"cluster_id": CLUSTER, "state": state})}
        return launch(**{"tls": tls, "http": True, "token": TOKEN, "api": api, **options})

    return make


@pytest.fixture
def plugin_class() -> type[SparkComputePlugin]:
    return SparkComputePlugin


@pytest.fixture
def keys(standin: Any) -> Callable[..., dict[str, Any]]:
    """Of a Thrift target; arguments replace those of `connection`, `password` is the credential."""

    def make(password: str | None = None, **connection: Any) -> dict[str, Any]:
        base = {"method": "thrift", "host": LOOPBACK, "port": standin.port, "user": "dbt", "schema": "marts"}
        given = {} if password is None else {"password": password}
        return target("spark", {**base, **connection}, given)

    return make


@pytest.fixture
def http_keys() -> Callable[..., dict[str, Any]]:
    def make(port: int, token: str = TOKEN, **connection: Any) -> dict[str, Any]:
        base = {"method": "http", "host": "localhost", "port": port, "cluster": CLUSTER, "schema": "marts"}
        return {"plugin": "spark", "connection": {**base, **connection}, "credentials": {"token": token}}

    return make


@pytest.fixture
def serve(
    launch: Callable[..., Any], databricks: Callable[..., Any], tls: ssl.SSLContext
) -> Callable[..., Any]:
    """A stand-in that is spoken to in one of the four ways."""

    def make(way: str, **options: Any) -> Any:
        if way == "HTTPS":
            return databricks(**options)
        usual: dict[str, dict[str, Any]] = {"NOSASL": {"auth": "NOSASL"}, "TLS": {"tls": tls}}
        return launch(**{**usual.get(way, {}), **options})

    return make


@pytest.fixture
def keys_of(keys: Callable[..., dict[str, Any]], http_keys: Callable[..., Any]) -> Callable[..., Any]:
    """Of a target that is spoken to in one of the four ways."""

    def make(way: str, port: int, **changes: Any) -> Any:
        if way == "HTTPS":
            return http_keys(port, **changes)
        usual: dict[str, dict[str, Any]] = {"NOSASL": {"auth": "NOSASL"}, "TLS": {"use_ssl": True}}
        return keys(port=port, **{**usual.get(way, {}), **changes})

    return make


@pytest.fixture
def validate(plugin: SparkComputePlugin, within: Any, unhurried: Any) -> Callable[..., ConnectionResult]:
    """As the daemon does, with the result held to its deadline."""

    def run(fields: dict[str, Any], timeout: float = 5.0) -> ConnectionResult:
        config, timeout = build_config(plugin, fields), unhurried(timeout)
        with within(timeout), running_until(Deadline.after(timeout)):
            return plugin.validate_connection(config)

    return run


@pytest.fixture
def probe(
    validate: Callable[..., ConnectionResult], keys: Callable[..., dict[str, Any]]
) -> Callable[..., ConnectionResult]:
    def run(timeout: float = 5.0, **changes: Any) -> ConnectionResult:
        return validate(keys(**changes), timeout)

    return run


@pytest.fixture(scope="session")
def spark_port(tmp_path_factory: pytest.TempPathFactory, starts_processes: None) -> Iterator[int]:
    """A real Spark Thrift server: SASL with any password. It looks every 3 s for sessions idle for 4 s."""
    real = beside("realserver")
    if reason := real.unavailable():
        pytest.skip(reason)
    impatient = {"idle.session.timeout": "4000", "session.check.interval": "3000"}
    with real.running(tmp_path_factory.mktemp("spark"), impatient) as port:
        warm = SparkComputePlugin()
        target = {"method": "thrift", "host": LOOPBACK, "port": port, "schema": "default"}
        config = build_config(warm, {"plugin": "spark", "connection": target})
        for _ in range(2):
            # The first statements load half of Spark; on a busy machine that takes a minute.
            with running_until(Deadline.after(120)):
                warm.validate_connection(config)
        yield port
