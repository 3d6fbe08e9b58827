"""Failures that the conformance kit does not try: within TLS, in the middle of a query, many at once."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING, Any

import pytest

from conformance.snowflake_standin import PASSWORD, StandIn
from floe_monitor.compute import ConnectionStatus, ErrorType
from floe_monitor.testing import silent_names
from floe_monitor.testing.fault_proxy import Fault, FaultProxy
from tests.harness.polling import once, settled

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from floe_monitor.compute import ConnectionResult

    Probe = Callable[..., ConnectionResult]

pytestmark = pytest.mark.slow  # each waits for a deadline

TIMEOUT = 0.6


@pytest.fixture
def proxy(standin: StandIn) -> Iterator[FaultProxy]:
    with FaultProxy(standin.port) as proxy:
        yield proxy


@pytest.mark.parametrize(
    ("fault", "kind", "check"),
    [
        (Fault.HANG, ErrorType.TIMEOUT, "tls"),
        (Fault.HALF_CLOSE, ErrorType.CONNECTION, "tls"),
        (Fault.RESET, ErrorType.CONNECTION, None),
    ],
)
def test_faults_where_tls_is_to_begin(
    plugin: Any,
    probe: Probe,
    proxy: FaultProxy,
    fault: Fault,
    kind: ErrorType,
    check: str | None,
    within: Any,
) -> None:
    """The kit tries them without TLS."""
    probe()  # imports the driver
    proxy.set(fault)
    with within(TIMEOUT):
        result = probe(timeout=TIMEOUT, port=proxy.port, protocol="https")
    assert (result.status, result.error_type) == (ConnectionStatus.UNHEALTHY, kind), result
    # A reset may overtake the end of the connecting.
    assert check is None or result.checks[-1].name == check
    settled(lambda: plugin.driver_threads.abandoned == 0 and not _threads())


@pytest.mark.process
def test_silent_once_tls_is_agreed_on(root: Path, tls: ssl.SSLContext) -> None:
    """In a process of its own: the driver reads its roots once."""
    script = """
        import sys, time
        from floe_monitor.testing.punctuality import Control
        from floe_monitor_snowflake import SnowflakeComputePlugin
        from floe_monitor.compute import Deadline
        from floe_monitor.registry.config_validation import build_config
        from floe_monitor.compute.deadline import running_until
        plugin = SnowflakeComputePlugin()
        connection = dict(account="acme", user="dbt", host="127.0.0.1", port=int(sys.argv[1]),
                          database="analytics", schema="marts")
        target = dict(plugin="snowflake", connection=connection, credentials={"password": "secret"})
        config = build_config(plugin, target)
        plugin.prepare(config)
        with Control() as control, control.within(0.6), running_until(Deadline.after(0.6)):
            result = plugin.validate_connection(config)
        names = [check.name for check in result.checks]
        print(result.error_type.value, *names)
        until = time.monotonic() + 60
        while plugin.driver_threads.abandoned and time.monotonic() < until:
            time.sleep(0.02)
        print(plugin.driver_threads.abandoned)
    """
    with StandIn(tls=tls) as silent:
        silent.account.slow = 5.0
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script), str(silent.port)],
            capture_output=True, text=True, timeout=120, check=False,
            env={**os.environ, "SSL_CERT_FILE": str(root)},
        )  # fmt: skip
    assert done.stdout.splitlines() == ["timeout network tls login", "0"], done


def test_frozen_in_the_middle_of_a_query(
    plugin: Any, probe: Probe, proxy: FaultProxy, standin: StandIn, within: Any, unhurried: Any
) -> None:
    probe()
    timeout, asked = unhurried(1.0), len(standin.requests)
    standin.account.slow = timeout / 5

    def is_queried() -> bool:
        return "/queries/v1/query-request" in standin.requests[asked:]

    with once(is_queried, lambda: proxy.set(Fault.FREEZE)), within(timeout):
        result = probe(timeout=timeout, port=proxy.port)
    assert (result.status, result.error_type) == (ConnectionStatus.UNHEALTHY, ErrorType.TIMEOUT), result
    assert result.checks[-1].name in {"query", "database", "schema"}
    settled(lambda: plugin.driver_threads.abandoned == 0 and not _threads())


def test_a_login_that_comes_too_late_is_closed(plugin: Any, probe: Probe, standin: StandIn) -> None:
    probe()
    standin.account.slow = 0.5
    result = probe(timeout=0.3)
    assert result.error_type is ErrorType.TIMEOUT
    settled(lambda: len(standin.logins) == 2 and standin.sessions == {} and not _threads())


def test_many_at_once_against_a_hang(plugin: Any, probe: Probe, within: Any) -> None:
    probe()
    in_time: list[bool] = []

    def run() -> None:
        with within(TIMEOUT):
            assert probe(timeout=TIMEOUT, port=hang.port).error_type is ErrorType.TIMEOUT
        in_time.append(True)

    with FaultProxy(fault=Fault.HANG) as hang:
        threads = [threading.Thread(target=run) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(in_time) == 16
        settled(lambda: plugin.driver_threads.abandoned == 0 and not _threads())


_TWO_ADDRESSES = f"""
import pathlib, subprocess, tempfile
from conformance.snowflake_standin import StandIn
from floe_monitor.compute import Deadline
from floe_monitor.compute.deadline import running_until
from floe_monitor.registry.config_validation import build_config
from floe_monitor.registry.discovery import discover
from floe_monitor.testing.fault_proxy import Fault, FaultProxy

hosts = pathlib.Path(tempfile.mkdtemp()) / "hosts"
hosts.write_text("127.0.0.9 account.example\\n127.0.0.1 account.example\\n")
subprocess.run(["mount", "--bind", str(hosts), "/etc/hosts"], check=True)
plugin = discover().get("snowflake").plugin

def probe(port, seconds):
    connection = dict(account="acme", user="dbt", host="account.example", port=port, protocol="http",
                      role="transformer", warehouse="transforming", database="analytics", schema="marts")
    target = dict(plugin="snowflake", connection=connection, credentials={{"password": {PASSWORD!r}}})
    config = build_config(plugin, target)
    plugin.prepare(config)
    with running_until(Deadline.after(seconds)):
        result = plugin.validate_connection(config)
    print(result.status.value, *result.warnings)

# The resolver puts the address first that is also the source's.
with StandIn() as standin, FaultProxy(standin.port, host="127.0.0.9") as living:
    probe(living.port, 20)
    with FaultProxy(fault=Fault.BLACKHOLE, host="127.0.0.1", port=living.port):
        probe(living.port, 6)
"""


@pytest.mark.process
def test_a_dead_address_before_a_live_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver too goes on to the next; a silent address costs it half of what time the way has left."""
    if not silent_names.available():
        pytest.skip("this system does not let a network namespace be made (unshare)")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    done = silent_names.run(_TWO_ADDRESSES)
    refusing, silent = done.stdout.splitlines() or [done.stderr, ""]
    assert refusing.startswith("healthy 127.0.0.1 port "), done
    assert refusing.endswith("Connection refused: dbt tries the next one at every connection")
    assert silent.startswith("healthy 127.0.0.1 port "), done
    assert silent.endswith("dbt waits there for 60 s at every connection")


@pytest.mark.process
def test_no_descriptors_left_is_no_fault_of_the_account(standin: StandIn) -> None:
    """The login alone, for dialling would meet the same before it: the driver has words of its own for it."""
    script = f"""
        import os, resource
        from floe_monitor.compute import Deadline, MonitorResourceError
        from floe_monitor.compute.toolkit.driver_thread import DriverThreads
        from floe_monitor.registry.config_validation import build_config
        from floe_monitor.registry.discovery import discover
        from floe_monitor_snowflake.connect import driver_arguments
        from floe_monitor_snowflake.session import Session
        plugin = discover().get("snowflake").plugin
        connection = dict(account="acme", user="dbt", host="127.0.0.1", port={standin.port}, protocol="http",
                          role="transformer", warehouse="transforming", database="analytics", schema="marts")
        target = dict(plugin="snowflake", connection=connection, credentials={{"password": {PASSWORD!r}}})
        config = build_config(plugin, target)
        print(plugin.validate_connection(config).status.value)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
        taken = []
        arguments = driver_arguments(config, None, 10, 10)
        for _ in range(20):  # the validation before may close what it had only after it has returned
            try:
                while True:
                    taken.append(os.dup(0))
            except OSError:
                pass
            try:
                Session.open(arguments, DriverThreads("short"), Deadline.after(10), None)
            except MonitorResourceError as error:
                print(error)
                break
        for descriptor in taken:
            os.close(descriptor)
        print(plugin.validate_connection(config).status.value)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    short = "the monitor has no more file descriptors (the limit of this process)"
    assert done.stdout.splitlines() == ["healthy", short, "healthy"], done


@pytest.mark.process
def test_a_prepared_validation_imports_nothing(standin: StandIn) -> None:
    script = textwrap.dedent(
        f"""
        import sys
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa
        from floe_monitor.registry.config_validation import build_config
        from floe_monitor_snowflake import SnowflakeComputePlugin
        key = rsa.generate_private_key(65537, 2048)
        encoding, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        pem = key.private_bytes(encoding, kind, serialization.NoEncryption()).decode()
        plugin = SnowflakeComputePlugin()
        connection = dict(account="acme", user="dbt", host="127.0.0.1", port={standin.port}, protocol="http",
                          role="transformer", warehouse="transforming", database="analytics", schema="marts")
        target = dict(plugin="snowflake", connection=connection, connection_reuse=True)
        targets = [build_config(plugin, dict(target, credentials=credentials))
                   for credentials in ({{"private_key": pem}}, {{"password": {PASSWORD!r}}})]
        plugin.prepare(targets[0])
        before = set(sys.modules)
        for config in targets * 2:
            print(plugin.validate_connection(config).status.value)
        plugin.shutdown()
        print(sorted(name for name in set(sys.modules) - before if "." in name and "encodings" not in name))
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.splitlines() == ["healthy"] * 4 + ["[]"], done


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("snowflake-session")]
