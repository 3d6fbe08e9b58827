"""TLS modes and client certificates against a server that has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.compute import ConnectionStatus, ErrorType
from floe_monitor.testing.fault_proxy import Fault, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from floe_monitor.compute import ConnectionResult

    Probe = Callable[..., ConnectionResult]


@pytest.fixture(scope="session")
def server(tls_server: Any) -> Any:
    return tls_server


@pytest.mark.parametrize("sslmode", ["allow", "prefer", "require", "verify-ca", "verify-full"])
def test_modes_that_fit(probe: Probe, tls: Any, sslmode: str) -> None:
    roots = {"sslrootcert": str(tls.root)} if sslmode.startswith("verify") else {}
    assert probe(sslmode=sslmode, **roots).status is ConnectionStatus.HEALTHY


def test_a_client_certificate_is_enough(probe: Probe, tls: Any) -> None:
    result = probe(
        password=None,
        user="certified",
        schema="public",
        sslmode="verify-full",
        sslrootcert=str(tls.root),
        sslcert=str(tls.client),
        sslkey=str(tls.client_key),
    )
    assert [check.name for check in result.checks][:4] == ["network", "tls", "login", "database"]
    assert result.error_type is ErrorType.PERMISSION, result  # it may log in, not build
    assert result.status is ConnectionStatus.DEGRADED


@pytest.mark.parametrize(
    ("changes", "check", "kind"),
    [
        ({"sslmode": "verify-ca", "sslrootcert": "other_root"}, "tls", ErrorType.CONNECTION),
        ({"sslmode": "verify-full", "sslrootcert": "/nowhere.pem"}, "tls", ErrorType.CONFIGURATION),
        ({"user": "tls_only", "sslmode": "disable"}, "login", ErrorType.AUTHENTICATION),
        ({"user": "tls_only", "password": "wrong"}, "login", ErrorType.AUTHENTICATION),
        ({"user": "certified", "password": None}, "login", ErrorType.AUTHENTICATION),
        (
            {"user": "certified", "password": None, "sslcert": "stranger", "sslkey": "stranger_key"},
            "login",
            ErrorType.AUTHENTICATION,
        ),
        (
            {"user": "certified", "sslmode": "require", "sslcert": "client", "sslkey": "/nowhere.key"},
            "tls",
            ErrorType.CONFIGURATION,
        ),
    ],
)
def test_what_does_not_fit(
    probe: Probe, tls: Any, changes: dict[str, Any], check: str, kind: ErrorType
) -> None:
    paths = {
        key: str(getattr(tls, value, value)) if key.startswith("ssl") and key != "sslmode" else value
        for key, value in changes.items()
    }
    result = probe(**paths)
    assert result.status is ConnectionStatus.UNHEALTHY
    assert (result.checks[-1].name, result.error_type) == (check, kind), result


def test_the_name_on_the_certificate_counts(probe: Probe, tls: Any) -> None:
    for host, fits in (("127.0.0.1", True), ("127.0.0.2", False)):
        result = probe(host=host, sslmode="verify-full", sslrootcert=str(tls.root))
        if fits:
            assert result.status is ConnectionStatus.HEALTHY, result
        else:
            # The server listens on 127.0.0.1 alone; elsewhere nobody answers.
            assert result.checks[-1].name == "network"


def test_tls_asked_of_a_server_without(probe: Probe, plain_server: Any) -> None:
    result = probe(port=plain_server.port, sslmode="require")
    assert (result.checks[-1].name, result.error_type) == ("tls", ErrorType.CONNECTION), result


def test_every_byte_of_the_answers_may_be_the_last(
    probe: Probe, server: Any, unhurried: Callable[[float], float]
) -> None:
    seen, timeout = set(), unhurried(0.15)
    proxy = FaultProxy(server.port)
    for after in (int(1.5**power) for power in range(22)):
        proxy.set(Fault.HANG_AFTER, after=after)
        result = probe(timeout=timeout, port=proxy.port)
        if result.status is not ConnectionStatus.HEALTHY:
            assert result.error_type is ErrorType.TIMEOUT, result
            seen.add(result.checks[-1].name)
    proxy.close()
    assert seen >= {"tls", "login"}
