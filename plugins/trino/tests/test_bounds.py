"""Waits that Trino's protocol has of its own, and what is left behind where they are given up."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from floe_monitor_trino.certificates import roots

from conformance.trino_standin import PASSWORD, StandIn
from floe_monitor.compute import ConnectionStatus, ErrorType

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    import trustme

    from floe_monitor.compute import ConnectionResult

    Probe = Callable[..., ConnectionResult]

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus


def names(result: ConnectionResult) -> list[str]:
    return [check.name for check in result.checks]


# ---------------------------------------------------------------- statements that do not end


@pytest.mark.parametrize(("queued", "says"), [(True, "still queued"), (False, "waits for workers")])
def test_a_statement_that_waits_is_a_limitation(
    probe: Probe, standin: StandIn, queued: bool, says: str
) -> None:
    standin.state.stuck, standin.state.queued = "QUEUED", queued
    result = probe(timeout=3)
    assert (result.status, result.error_type, names(result)[-1]) == (DEGRADED, ErrorType.TIMEOUT, "query")
    assert says in result.message
    assert standin.state.cancelled == ["select 1 as id"]


@pytest.mark.parametrize("state", ["RUNNING", "PLANNING"])
def test_a_statement_that_does_not_end_is_a_failure(probe: Probe, standin: StandIn, state: str) -> None:
    standin.state.stuck = state
    result = probe(timeout=3)
    assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.TIMEOUT)
    assert f"in state {state}" in result.message
    assert standin.state.cancelled == ["select 1 as id"]


def test_a_moment_in_the_queue_says_nothing_of_a_server_gone_silent(probe: Probe, standin: StandIn) -> None:
    """Each statement is queued at first: only one that the server has called so for some time waits."""
    standin.state.stuck = "QUEUED"
    result = probe(timeout=0.6)
    assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.TIMEOUT)


def test_a_statement_given_up_later_is_cancelled_too(probe: Probe, standin: StandIn) -> None:
    class Later(dict[str, tuple[str, str, str]]):
        """From the second statement on nothing ends."""

        def items(self) -> Any:
            if len(standin.state.statements) > 1:
                standin.state.stuck = "RUNNING"
            return super().items()

    standin.state.refused = Later()
    result = probe(timeout=3)
    assert (result.status, names(result)[-1]) == (UNHEALTHY, "workers")
    assert standin.state.cancelled == standin.state.statements[1:]


def test_a_server_that_holds_no_answer_back_is_not_stormed(
    probe: Probe, standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conformance.trino_standin._HELD_SECONDS", 0.0)
    standin.state.stuck = "RUNNING"
    began = time.monotonic()
    probe(timeout=2)
    assert len(standin.state.paths) < 60 + 20 * (time.monotonic() - began)


# ---------------------------------------------------------------- where answers lead


def test_a_login_is_not_sent_in_the_clear(
    probe: Probe, launch: Callable[..., StandIn], tls: ssl.SSLContext, root: Path, standin: StandIn
) -> None:
    unaware = launch(tls=tls, next_site=f"http://127.0.0.1:{standin.port}")
    result = probe(
        credentials={"password": PASSWORD}, method="ldap", host="localhost", port=unaware.port, cert=str(root)
    )
    assert (result.status, result.error_type) == (DEGRADED, ErrorType.CONFIGURATION)
    assert "process-forwarded" in result.message
    assert standin.state.paths == []


def test_answers_are_followed_to_another_address_as_dbt_does(
    probe: Probe, launch: Callable[..., StandIn], standin: StandIn
) -> None:
    leading = launch(next_site=f"http://127.0.0.1:{standin.port}")
    standin.queries = leading.queries
    assert probe(port=leading.port).status is HEALTHY
    assert all(path.startswith("GET /v1/statement") for path in standin.state.paths)
    assert len(standin.state.paths) == 2 * 6


@pytest.mark.parametrize(("status", "verdict"), [(307, HEALTHY), (308, HEALTHY), (302, UNHEALTHY)])
def test_redirects_that_keep_the_method_are_followed_as_dbt_does(
    probe: Probe, launch: Callable[..., StandIn], standin: StandIn, status: int, verdict: ConnectionStatus
) -> None:
    """As of an ingress that leads from one port to another."""
    before = launch(moved=(status, f"http://127.0.0.1:{standin.port}/v1/statement"))
    assert probe(port=before.port).status is verdict
    assert len(standin.state.statements) == (6 if verdict is HEALTHY else 0)


def test_a_redirect_takes_no_login_to_another_address(
    probe: Probe, launch: Callable[..., StandIn], tls: ssl.SSLContext, root: Path, standin: StandIn
) -> None:
    elsewhere = launch(tls=tls)
    before = launch(tls=tls, moved=(308, f"https://localhost:{elsewhere.port}/v1/statement"))
    target = {"method": "ldap", "host": "localhost", "port": before.port, "cert": str(root)}
    probe(credentials={"password": PASSWORD}, **target)
    assert elsewhere.state.headers
    assert all("authorization" not in headers for headers in elsewhere.state.headers)
    before.state.moved = (308, f"http://127.0.0.1:{standin.port}/v1/statement")
    assert probe(credentials={"password": PASSWORD}, **target).status is DEGRADED
    before.state.moved = (308, "/v1/statement")
    assert probe(credentials={"password": PASSWORD}, **target).status is UNHEALTHY
    assert standin.state.paths == []


@pytest.mark.parametrize("site", ["http://nowhere.invalid", "ftp://127.0.0.1", "http://"])
def test_answers_that_lead_nowhere(probe: Probe, standin: StandIn, site: str) -> None:
    standin.state.next_site = site
    assert probe().status is UNHEALTHY


# ---------------------------------------------------------------- the files of TLS


@pytest.fixture
def client(client_files: Callable[..., tuple[str, str]]) -> dict[str, str]:
    return dict(zip(("client_certificate", "client_private_key"), client_files(), strict=True))


@pytest.fixture
def place(launch: Callable[..., StandIn], tls: ssl.SSLContext, root: Path, authority: trustme.CA) -> Any:
    """Of a stand-in that lets in whoever shows a certificate."""
    import ssl

    authority.configure_trust(tls)
    tls.verify_mode = ssl.CERT_REQUIRED
    server = launch(tls=tls)
    return {
        "method": "certificate",
        "user": None,
        "host": "localhost",
        "port": server.port,
        "cert": str(root),
    }


def test_a_clients_certificate(probe: Probe, place: dict[str, Any], client: dict[str, str]) -> None:
    assert probe(**place, **client).status is HEALTHY
    unverified = probe(**{**place, "cert": False}, **client)
    assert (unverified.status, len(unverified.warnings)) == (HEALTHY, 1)


def test_files_that_do_not_fit(
    probe: Probe, place: dict[str, Any], client: dict[str, str], root: Path, tmp_path: Path
) -> None:
    from cryptography.hazmat.primitives import serialization

    plain = serialization.load_pem_private_key(Path(client["client_private_key"]).read_bytes(), None)
    encrypted = tmp_path / "encrypted.key"
    encrypted.write_bytes(
        plain.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"passphrase"),
        )
    )
    for changes, says in (
        ({"client_private_key": str(encrypted)}, "is encrypted"),
        ({"client_private_key": str(tmp_path / "none.key")}, "No such file"),
        ({"client_certificate": str(root)}, "do not belong together"),
        ({"client_certificate": client["client_private_key"]}, "no PEM of both"),
        ({"cert": str(tmp_path / "none.pem")}, "No such file"),
        ({"cert": client["client_private_key"]}, "no certificates in PEM form"),
    ):
        result = probe(**{**place, **client, **changes})
        assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.CONFIGURATION), changes
        assert says in result.message, result.message


def test_a_changed_certificate_is_read_again(
    probe: Probe, place: dict[str, Any], client: dict[str, str], root: Path, tmp_path: Path
) -> None:
    roots_here = tmp_path / "roots.pem"
    target = {**place, **client, "cert": str(roots_here)}
    roots_here.write_bytes(root.read_bytes())
    assert probe(**target, connection_reuse=True).status is HEALTHY
    roots_here.write_text("no certificate any more")
    assert probe(**target, connection_reuse=True).error_type is ErrorType.CONFIGURATION


def test_whose_roots_count(monkeypatch: pytest.MonkeyPatch) -> None:
    assert roots(cert=None) is None
    assert roots(cert=False) is None
    assert roots(cert="/own.pem") == "/own.pem"
    assert str(roots(cert=True)).endswith("cacert.pem")
    monkeypatch.setenv("CURL_CA_BUNDLE", "/curl.pem")
    assert {roots(cert=cert) for cert in (None, False, True, "/own.pem")} == {"/curl.pem"}
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/requests.pem")
    assert roots(cert=False) == "/requests.pem"


# ---------------------------------------------------------------- proxies


def test_a_socks_proxy_is_named(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOCKS_PROXY", "127.0.0.1:1080")
    result = probe()
    assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.CONFIGURATION)
    assert "SOCKS_PROXY" in result.message


def test_a_proxy_that_is_closed(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert probe(host="localhost").error_type is ErrorType.CONNECTION


def test_by_a_proxy(probe: Probe, standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in is a poor proxy, which answers for whatever host it is asked for."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{standin.port}")
    probe(host="coordinator.example", port=8080)
    assert standin.state.paths[0] == "GET http://coordinator.example:8080/v1/info"
