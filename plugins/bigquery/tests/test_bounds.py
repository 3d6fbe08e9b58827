"""Faults that the kit (see test_conformance.py) does not have: in time, and nothing left behind."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conformance.bigquery_standin import StandIn
from floe_monitor.compute import ConnectionStatus, ErrorType
from floe_monitor.registry.config_validation import build_config
from floe_monitor.testing.fault_proxy import Fault, FaultProxy
from tests.harness.polling import once, settled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import trustme

    from floe_monitor.compute import ConnectionResult

    Probe = Callable[..., ConnectionResult]

pytestmark = pytest.mark.slow  # each waits for a deadline

TIMEOUT = 0.6
LOOPBACK = "http://127.0.0.1"


@pytest.fixture(autouse=True)
def prepared(plugin: Any, keys: Callable[..., dict[str, Any]]) -> None:
    """As in the daemon, before the first deadline."""
    plugin.prepare(build_config(plugin, keys(method="oauth", credentials={})))


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """The worker of every fault returned: no thread and no descriptor stays behind."""
    threads, descriptors = threading.active_count(), _descriptors()
    yield
    settled(lambda: threading.active_count() <= threads and _descriptors() <= descriptors)


@pytest.fixture
def proxy(standin: StandIn) -> Iterator[FaultProxy]:
    with FaultProxy(standin.port) as proxy:
        yield proxy


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.BLACKHOLE, Fault.REFUSE, Fault.DRIP])
def test_a_metadata_server_that_is_none(
    probe: Probe, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    """The driver asks it three times, then five more."""
    from google.auth.compute_engine import _metadata

    monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", f"127.0.0.1:{proxy.port}")
    proxy.set(fault)
    result = probe(timeout=TIMEOUT, method="oauth", credentials={})
    _as_expected(result, ErrorType.AUTHENTICATION, {"token"})


@pytest.mark.parametrize("fault", [Fault.FREEZE, Fault.RESET])
def test_broken_in_the_middle_of_a_probe(
    probe: Probe, proxy: FaultProxy, standin: StandIn, keyfile: dict[str, Any], fault: Fault, unhurried: Any
) -> None:
    """While the token endpoint, which is elsewhere, lets the probe wait."""
    credentials = {"private_key": keyfile.pop("private_key")}
    with FaultProxy(standin.port, Fault.FREEZE) as token:
        keyfile["token_uri"] = f"{LOOPBACK}:{token.port}/token"

        def turn() -> None:
            proxy.set(fault)
            token.set(Fault.PASS)

        with once(lambda: token.held, turn):
            result = probe(
                timeout=2 * unhurried(TIMEOUT) if fault is Fault.FREEZE else 60,
                credentials=credentials,
                api_endpoint=f"{LOOPBACK}:{proxy.port}",
                method="service-account-json",
                keyfile_json=keyfile,
            )
    expected = ErrorType.TIMEOUT if fault is Fault.FREEZE else ErrorType.CONNECTION
    _as_expected(result, expected, {"query"})


@pytest.mark.parametrize(
    ("silent", "check"),
    [
        ({"/token": 5}, "token"),
        ({"/jobs": None}, "query"),
        ({"/jobs": 5}, "query"),
        ({"/datasets/": 5}, "dataset"),
    ],
)
def test_no_answer_or_half_of_one_at_a_later_step(
    probe: Probe, standin: StandIn, keyfile: dict[str, Any], silent: dict[str, int | None], check: str
) -> None:
    standin.state.silent = silent
    credentials = {"private_key": keyfile.pop("private_key")}
    result = probe(
        timeout=TIMEOUT, credentials=credentials, method="service-account-json", keyfile_json=keyfile
    )
    _as_expected(result, ErrorType.TIMEOUT, {check})


@pytest.mark.parametrize(("silent", "check"), [({"/": None}, "network"), ({"/jobs": 5}, "query")])
def test_no_answer_after_tls(
    probe: Probe,
    authority: trustme.CA,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    silent: dict[str, int | None],
    check: str,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(root))
    with StandIn(authority=authority) as google:
        monkeypatch.setenv("HTTPS_PROXY", google.url)
        google.state.silent = silent
        _as_expected(probe(timeout=TIMEOUT, api_endpoint=None), ErrorType.TIMEOUT, {check})
        assert google.state.requests, "TLS was agreed on"


@pytest.fixture
def two_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name has 127.0.0.9 before 127.0.0.1."""
    true = socket.getaddrinfo

    def two(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        found = [true(address, port, *args, **kwargs) for address in ("127.0.0.9", "127.0.0.1")]
        return [entry for entries in found for entry in entries]

    monkeypatch.setattr(socket, "getaddrinfo", two)


@pytest.mark.usefixtures("two_addresses")
def test_a_silent_address_before_one_that_answers(probe: Probe, standin: StandIn) -> None:
    """dbt's driver would wait there for as long as the system does, at every connection."""
    with FaultProxy(fault=Fault.BLACKHOLE, host="127.0.0.9", port=standin.port):
        result = probe(timeout=1.5, api_endpoint=f"http://localhost:{standin.port}")
    _as_expected(result, ErrorType.TIMEOUT, {"network"})
    assert "127.0.0.9" in result.message
    assert f"although 127.0.0.1 port {standin.port} answers" in result.message


@pytest.mark.usefixtures("two_addresses")
def test_an_address_that_refuses_before_one_that_answers(
    probe: Probe, standin: StandIn, keyfile: dict[str, Any]
) -> None:
    """It costs dbt nothing; and it is told once, for the API and the token endpoint alike."""
    credentials = {"private_key": keyfile.pop("private_key")}
    keyfile["token_uri"] = f"http://accounts.localhost:{standin.port}/token"
    result = probe(
        credentials=credentials,
        api_endpoint=f"http://api.localhost:{standin.port}",
        method="service-account-json",
        keyfile_json=keyfile,
    )
    assert result.status is ConnectionStatus.HEALTHY, result
    assert standin.accepted == 2
    assert len(result.warnings) == 1, result
    assert "127.0.0.9" in result.warnings[0]
    assert "dbt tries the next one" in result.warnings[0]


def _as_expected(result: ConnectionResult, kind: ErrorType, checks: set[str]) -> None:
    assert result.status is ConnectionStatus.UNHEALTHY, result
    assert result.error_type is kind, result
    assert result.checks[-1].name in checks, result


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0
