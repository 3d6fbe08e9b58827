"""What ends at a known time, as a real server shows it: certificates and passwords."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from floe_monitor.compute import ConnectionStatus, ErrorType, ExpiryKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from floe_monitor.compute import ConnectionResult

    Probe = Callable[..., ConnectionResult]

DAY = 86_400.0


def ends(result: ConnectionResult) -> dict[ExpiryKind, float]:
    return {expiry.what: expiry.at for expiry in result.expiries}


def end_of(certificate: Path) -> float:
    return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc.timestamp()


@pytest.fixture
def probe(probe: Callable[..., ConnectionResult]) -> Callable[..., ConnectionResult]:
    """With more time than any machine takes."""
    return partial(probe, timeout=60.0)


@pytest.fixture
def tomorrow(server: Any) -> Iterator[float]:
    """When dbt's password ends, in Unix time."""
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    server.execute(f"ALTER ROLE dbt VALID UNTIL '{until.isoformat()}'")
    yield until.timestamp()
    server.execute("ALTER ROLE dbt VALID UNTIL 'infinity'")


def test_a_role_that_expires_tomorrow(probe: Probe, tomorrow: float) -> None:
    result = probe()
    assert result.status is ConnectionStatus.HEALTHY, result
    assert ends(result)[ExpiryKind.PASSWORD] == tomorrow
    assert "the password of role 'dbt'" in [expiry.of for expiry in result.expiries]
    assert result.server_address == "127.0.0.1"


def test_a_password_without_an_end(probe: Probe) -> None:
    assert ExpiryKind.PASSWORD not in ends(probe())


def test_a_role_that_logs_in_without_its_password(probe: Probe, server: Any, tomorrow: float) -> None:
    result = probe(host=str(server.directory))
    assert result.status is ConnectionStatus.HEALTHY, result
    assert ends(result) == {}
    assert result.server_address == str(server.directory)


def test_one_that_has_ended_refuses_the_login(probe: Probe, server: Any) -> None:
    server.execute("ALTER ROLE dbt VALID UNTIL '2020-01-01'")
    try:
        result = probe()
    finally:
        server.execute("ALTER ROLE dbt VALID UNTIL 'infinity'")
    assert (result.status, result.error_type) == (ConnectionStatus.UNHEALTHY, ErrorType.AUTHENTICATION)
    assert ExpiryKind.PASSWORD not in ends(result)


class TestCertificates:
    @pytest.fixture
    def server(self, tls_server: Any) -> Any:
        return tls_server

    @pytest.mark.parametrize("sslmode", ["prefer", "require", "verify-full"])
    def test_the_servers_whoever_verifies_it(self, probe: Probe, server: Any, tls: Any, sslmode: str) -> None:
        roots = {"sslrootcert": str(tls.root)} if sslmode == "verify-full" else {}
        found = ends(probe(sslmode=sslmode, **roots))
        assert found == {ExpiryKind.SERVER_CERTIFICATE: end_of(server.data / "server.crt")}

    def test_one_of_three_days(
        self, probe: Probe, server: Any, certificates: Any, replaced: Callable[[Any], None]
    ) -> None:
        _, leaf, authority = certificates
        until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
        replaced(authority.issue_cert("localhost", "127.0.0.1", not_after=until))
        found = ends(probe(sslmode="require"))
        assert found[ExpiryKind.SERVER_CERTIFICATE] == until.timestamp()
        assert 2 * DAY < found[ExpiryKind.SERVER_CERTIFICATE] - time.time() <= 3 * DAY
        replaced(leaf)
        assert ends(probe(sslmode="require"))[ExpiryKind.SERVER_CERTIFICATE] > until.timestamp()

    @pytest.fixture
    def replaced(self, server: Any, certificates: Any) -> Iterator[Callable[[Any], None]]:
        """Puts another certificate in place, which sessions from then on see."""

        def replace(leaf: Any) -> None:
            (server.data / "server.crt").write_bytes(leaf.cert_chain_pems[0].bytes())
            (server.data / "server.key").write_bytes(leaf.private_key_pem.bytes())
            # A new session is told of the reload when it is begun by a postmaster that has read the files.
            loaded = server.execute("SELECT pg_conf_load_time()")
            server.run("pg_ctl", "-D", str(server.data), "reload")
            until = time.monotonic() + 60
            while server.execute("SELECT pg_conf_load_time()") == loaded:
                assert time.monotonic() < until, "the server did not read its files again"

        yield replace
        replace(certificates[1])

    @pytest.mark.process
    def test_check_warns_of_both_with_their_times(
        self,
        server: Any,
        tomorrow: float,
        certificates: Any,
        replaced: Callable[[Any], None],
        keys: Callable[..., dict[str, Any]],
        tmp_path: Path,
    ) -> None:
        until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
        replaced(certificates[2].issue_cert("localhost", "127.0.0.1", not_after=until))
        target = keys(sslmode="require")
        password = target["credentials"].pop("password")
        target["credentials"]["password"] = {"env": "PGW"}
        (tmp_path / "floe.yaml").write_text(json.dumps({"targets": {"warehouse": target}}))
        done = subprocess.run(
            [sys.executable, "-m", "floe_monitor", "check", "--config", "floe.yaml", "--format", "json"],
            cwd=tmp_path, env={**os.environ, "PGW": password},
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        [result] = json.loads(done.stdout)["results"]
        assert result["status"] == "healthy"
        first, second = result["warnings"]
        assert first == f"the certificate of 127.0.0.1 expires in 2 days: {until:%Y-%m-%d %H:%M:%S} UTC"
        moment = datetime.fromtimestamp(tomorrow, UTC)
        assert second == f"the password of role 'dbt' expires in 23 hours: {moment:%Y-%m-%d %H:%M:%S} UTC"
        assert [each["at"] for each in result["expiries"]] == [
            f"{each:%Y-%m-%dT%H:%M:%S}.000Z" for each in (until, moment)
        ]

    def test_the_clients(self, probe: Probe, server: Any, tls: Any) -> None:
        login = {"user": "certified", "password": None, "schema": "public"}
        files = {"sslcert": str(tls.client), "sslkey": str(tls.client_key)}
        found = ends(probe(sslmode="require", **login, **files))
        assert found == {
            ExpiryKind.SERVER_CERTIFICATE: end_of(server.data / "server.crt"),
            ExpiryKind.KEY: end_of(tls.client),
        }

    def test_a_kept_session_has_those_it_was_made_with(self, probe: Probe) -> None:
        first = probe(sslmode="require", connection_reuse=True)
        second = probe(sslmode="require", connection_reuse=True)
        assert "kept" in second.checks[0].message
        assert first.expiries == second.expiries != ()

    def test_none_without_tls(self, probe: Probe) -> None:
        assert ends(probe(sslmode="disable")) == {}
