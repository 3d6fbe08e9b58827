"""A stand-in for each test that needs one, and one real Spark for the session where there may be one."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from floe_monitor_spark import SparkComputePlugin

from floe_monitor.compute import Deadline
from floe_monitor.compute.configuring import build_config
from floe_monitor.compute.deadline import running_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from floe_monitor.compute import ConnectionResult

LOOPBACK = "127.0.0.1"
ROOT = Path(__file__).parents[3]
ENVIRONMENT = ROOT / ".venvs" / "spark"
PINNED = ROOT / "requirements" / "spark-server.txt"
TOKEN = "dapi-canary-0123456789"
CLUSTER = "0123-456789-abcdefgh"


@pytest.fixture(scope="session")
def lab() -> Any:
    """The module of the stand-in."""
    spec = importlib.util.spec_from_file_location("spark_standin", Path(__file__).with_name("standin.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks its module up.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def launch(lab: Any) -> Iterator[Callable[..., Any]]:
    started: list[Any] = []

    def make(**options: Any) -> Any:
        started.append(lab.StandIn(**options))
        return started[-1]

    yield make
    for standin in started:
        standin.close()


@pytest.fixture
def standin(launch: Callable[..., Any]) -> Any:
    return launch()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS, and the file of the root it is under."""
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    root = tmp_path_factory.mktemp("tls") / "root.pem"
    ca.cert_pem.write_to_path(root)
    return context, root


@pytest.fixture
def databricks(
    launch: Callable[..., Any],
    certificates: tuple[ssl.SSLContext, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Any]:
    """A stand-in that speaks HTTPS, under a root this process trusts."""
    context, root = certificates
    monkeypatch.setenv("SSL_CERT_FILE", str(root))

    def make(state: str = "RUNNING", **options: Any) -> Any:
        api = {"/api/2.0/clusters/get": (200, {"cluster_id": CLUSTER, "state": state})}
        return launch(**{"tls": context, "http": True, "token": TOKEN, "api": api, **options})

    return make


@pytest.fixture
def plugin() -> SparkComputePlugin:
    return SparkComputePlugin()


@pytest.fixture
def keys(standin: Any) -> Callable[..., dict[str, Any]]:
    """Of a Thrift target; arguments replace those of `connection`, `password` is the credential."""

    def make(password: str | None = None, **connection: Any) -> dict[str, Any]:
        base = {"method": "thrift", "host": LOOPBACK, "port": standin.port, "user": "dbt", "schema": "marts"}
        return {
            "plugin": "spark",
            "connection": {key: value for key, value in {**base, **connection}.items() if value is not None},
            "credentials": {} if password is None else {"password": password},
        }

    return make


@pytest.fixture
def http_keys() -> Callable[..., dict[str, Any]]:
    def make(port: int, token: str = TOKEN, **connection: Any) -> dict[str, Any]:
        base = {"method": "http", "host": "localhost", "port": port, "cluster": CLUSTER, "schema": "marts"}
        return {"plugin": "spark", "connection": {**base, **connection}, "credentials": {"token": token}}

    return make


@pytest.fixture
def validate(plugin: SparkComputePlugin) -> Callable[..., ConnectionResult]:
    """As the daemon does, with the result held to its deadline."""

    def run(fields: dict[str, Any], timeout: float = 5.0) -> ConnectionResult:
        config = build_config(plugin, fields)
        started = time.monotonic()
        with running_until(Deadline.after(timeout)):
            result = plugin.validate_connection(config)
        assert time.monotonic() - started < timeout + 0.1
        return result

    return run


@pytest.fixture
def probe(
    validate: Callable[..., ConnectionResult], keys: Callable[..., dict[str, Any]]
) -> Callable[..., ConnectionResult]:
    def run(timeout: float = 5.0, **changes: Any) -> ConnectionResult:
        return validate(keys(**changes), timeout)

    return run


# ------------------------------------------------------------ the real one


def spark_python() -> Path:
    """The interpreter of `.venvs/spark`, made once for each state of its requirements."""
    state = hashlib.sha256(PINNED.read_bytes()).hexdigest()
    stamp = ENVIRONMENT / "made-of"
    wanted = os.environ.get("FLOE_MONITOR_CI") == "1" or os.environ.get("FLOE_MONITOR_SPARK") == "1"
    ENVIRONMENT.parent.mkdir(exist_ok=True)
    with (ENVIRONMENT.parent / "spark.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.is_file() or stamp.read_text() != state:
            if not wanted:
                pytest.skip("a real Spark is a download of 430 MB: set FLOE_MONITOR_SPARK=1 to have it")
            subprocess.run(
                [sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)], check=True, timeout=60
            )
            pip = [str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "-qq"]
            done = subprocess.run(
                [*pip, "install", "--no-deps", "--requirement", str(PINNED)],
                capture_output=True,
                text=True,
                timeout=500,
                check=False,
            )
            if done.returncode:
                pytest.skip(f"pip cannot install requirements/spark-server.txt: {done.stderr.strip()[-200:]}")
            stamp.write_text(state)
    return ENVIRONMENT / "bin" / "python"


@pytest.fixture(scope="session")
def spark_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A Spark Thrift server: one core, 512 MB of heap, loopback alone, SASL with any password."""
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java: apt-get install default-jre-headless")
    home = next((spark_python().parent.parent / "lib").glob("python*")) / "site-packages" / "pyspark"
    directory = tmp_path_factory.mktemp("spark")
    with socket.socket() as free:
        free.bind((LOOPBACK, 0))
        port: int = free.getsockname()[1]
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.host": LOOPBACK,
        "spark.driver.bindAddress": LOOPBACK,
        "spark.sql.warehouse.dir": str(directory / "warehouse"),
        "spark.hadoop.javax.jdo.option.ConnectionURL": "jdbc:derby:memory:metastore;create=true",
    }
    command = [str(home / "bin" / "spark-submit"), "--master", "local[1]", "--driver-memory", "512m"]
    for key, value in settings.items():
        command += ["--conf", f"{key}={value}"]
    command += ["--class", "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2", "spark-internal"]
    for key, value in (("port", str(port)), ("bind.host", LOOPBACK)):
        command += ["--hiveconf", f"hive.server2.thrift.{key}={value}"]
    with (directory / "log").open("wb") as log:
        server = subprocess.Popen(
            command,
            cwd=directory,
            env={**os.environ, "SPARK_HOME": str(home), "SPARK_LOCAL_IP": LOOPBACK},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        until = time.monotonic() + 120
        while "HiveThriftServer2 started" not in (directory / "log").read_text(errors="replace"):
            assert server.poll() is None, (directory / "log").read_text(errors="replace")[-2000:]
            assert time.monotonic() < until, "Spark did not start in two minutes"
            time.sleep(0.1)
        yield port
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(10)
