"""Catalogs that want AWS' signature: two servers that mind it, and a stand-in for a region's endpoint."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
import trustme
from floe_monitor_duckdb import DuckDBComputePlugin, extensions

from conformance.aws_catalogs import ACCOUNT, ARN, MiniStack
from conformance.polaris_standin import PolarisStandIn
from conformance.sigv4_standin import SigV4StandIn
from floe_monitor.compute import ConnectionResult, ConnectionStatus, Deadline, ErrorType, ExpiryKind, deadline
from floe_monitor.registry.config_validation import build_config
from floe_monitor.testing.fault_proxy import Fault, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from conformance.lakehouse import Lakehouse

pytestmark = pytest.mark.slow  # together: each loads 60 MB of extensions

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus
TABLE = "shop.orders"
WAREHOUSES = {"glue": ACCOUNT, "s3tables": ARN}


@pytest.fixture
def glue() -> Iterator[SigV4StandIn]:
    with SigV4StandIn() as standin:
        yield standin


@pytest.fixture
def attach(extension_directory: str) -> Callable[..., ConnectionResult]:
    """Validate a target that attaches one catalog, as `lake`, with this secret."""
    plugin = DuckDBComputePlugin()

    def run(
        path: str,
        options: Mapping[str, Any],
        secret: Mapping[str, Any],
        *,
        seconds: float = 30.0,
        connection: Mapping[str, Any] | None = None,
        named: bool = True,
        **entry: Any,
    ) -> ConnectionResult:
        catalog = {"path": path, "alias": "lake", "type": "iceberg", "options": options}
        if named:
            catalog["secret"] = "store"
        given: dict[str, Any] = {
            **(connection or {}),
            "attach": [{**catalog, **entry}],
            "secrets": [secret, *(connection or {}).get("secrets", ())],
            "config_options": {
                **(connection or {}).get("config_options", {}),
                "extension_directory": extension_directory,
            },
        }
        config = build_config(plugin, {"plugin": "duckdb", "connection": given})
        with deadline.running_until(Deadline.after(seconds)):
            return plugin.validate_connection(config)

    return run


def failing(result: ConnectionResult) -> list[str]:
    return [check.name for check in result.checks if check.status is not HEALTHY]


@pytest.mark.gate
class TestRealServers:
    @pytest.mark.parametrize("service", ["glue", "s3tables"])
    def test_every_step_is_a_check(
        self, ministack: MiniStack, attach: Callable[..., ConnectionResult], service: str
    ) -> None:
        options = ministack.options(service)
        result = attach(WAREHOUSES[service], options, ministack.secret(), probe_table=TABLE)
        assert (result.status, result.warnings) == (HEALTHY, [])
        assert [check.name for check in result.checks if check.name.endswith(":lake")] == [
            "catalog:lake",
            "warehouse:lake",
            "attach:lake",
            "table:lake",
        ]

    @pytest.mark.parametrize("service", ["glue", "s3tables"])
    def test_the_statements_run_as_they_are_and_serve(
        self, ministack: MiniStack, extension_directory: str, service: str
    ) -> None:
        with duckdb.connect(config={"extension_directory": extension_directory}) as connection:
            for name in ("avro", "httpfs", "iceberg"):
                extensions.load(connection, name)
            for statement in ministack.statements(service):
                connection.execute(statement)
            connection.execute(f"CREATE TABLE lake.shop.made_{service} (a INTEGER)")
            connection.execute(f"INSERT INTO lake.shop.made_{service} VALUES (42)")
            assert connection.execute(f"SELECT * FROM lake.shop.made_{service}").fetchall() == [(42,)]

    @pytest.mark.parametrize("service", ["glue", "s3tables"])
    @pytest.mark.parametrize(
        ("changes", "error_type", "text"),
        [
            (
                {"secret": "wrong"},
                ErrorType.AUTHENTICATION,
                "as it is with a wrong secret key (403; signed for ",
            ),
            ({"key_id": "AKIANOBODY"}, ErrorType.AUTHENTICATION, "does not know the key ID"),
            ({"session_token": "junk"}, ErrorType.AUTHENTICATION, "or the session token"),
            ("powerless", ErrorType.PERMISSION, "have no right to it"),
        ],
        ids=["secret", "key", "token", "rights"],
    )
    def test_what_fails_is_named(
        self,
        ministack: MiniStack,
        attach: Callable[..., ConnectionResult],
        service: str,
        changes: Any,
        error_type: ErrorType,
        text: str,
    ) -> None:
        if changes == "powerless":
            changes = dict(zip(("key_id", "secret"), ministack.powerless, strict=True))
        result = attach(WAREHOUSES[service], ministack.options(service), ministack.secret(**changes))
        assert (result.status, result.error_type) == (DEGRADED, error_type)
        assert text in result.message
        assert failing(result) == ["catalog:lake"]
        assert ministack.keys[1] not in result.message

    def test_a_session_has_a_token(
        self, ministack: MiniStack, attach: Callable[..., ConnectionResult]
    ) -> None:
        key_id, secret, token = ministack.session
        given = ministack.secret(key_id=key_id, secret=secret, session_token=token)
        assert attach(ACCOUNT, ministack.options(), given, probe_table=TABLE).status is HEALTHY
        result = attach(ACCOUNT, ministack.options(), {**given, "session_token": "another"}, required=True)
        assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.AUTHENTICATION)

    def test_what_is_not_there(self, ministack: MiniStack, attach: Callable[..., ConnectionResult]) -> None:
        """This server lists nothing for a bucket that it has not: no proof, and so no silence."""
        options, secret = ministack.options("s3tables"), ministack.secret()
        result = attach(f"{ARN}-else", options, secret)
        assert result.status is HEALTHY
        assert "lists no namespace: it is empty, or not the one that is meant" in result.warnings[0]
        assert failing(attach(f"{ARN}-else", options, secret, probe_table=TABLE)) == ["table:lake"]
        assert failing(attach(ARN, options, secret, probe_table="nowhere.orders")) == ["table:lake"]

    def test_the_store_of_another_region(
        self, ministack: MiniStack, attach: Callable[..., ConnectionResult]
    ) -> None:
        elsewhere = ministack.secret(region="eu-west-1")
        result = attach(ACCOUNT, ministack.options(), elsewhere, probe_table=TABLE)
        assert (result.status, result.error_type) == (DEGRADED, ErrorType.CONFIGURATION)
        assert "in region 'eu-west-1' (HTTP 400" in result.message
        elsewhere["endpoint"] = f"127.0.0.1:{ministack.port}"  # where it redirects instead, as AWS may
        result = attach(ACCOUNT, ministack.options(), elsewhere, probe_table=TABLE)
        assert (result.status, result.error_type) == (DEGRADED, ErrorType.CONFIGURATION)
        assert "the store sends no such file (another region?)" in result.message

    @pytest.mark.parametrize(
        ("fault", "error_type"), [(Fault.REFUSE, ErrorType.CONNECTION), (Fault.HANG, ErrorType.TIMEOUT)]
    )
    def test_a_server_that_is_away(
        self,
        ministack: MiniStack,
        attach: Callable[..., ConnectionResult],
        fault: Fault,
        error_type: ErrorType,
        within: Any,
        patience: Any,
    ) -> None:
        well = lambda: attach(ACCOUNT, ministack.options(), ministack.secret())  # noqa: E731
        seconds = patience(well, 3.0) if fault is Fault.HANG else 10.0
        with FaultProxy(ministack.port, fault) as proxy:
            options = ministack.options(endpoint=f"http://127.0.0.1:{proxy.port}/iceberg")
            with within(seconds, margin=1.5):  # closing DuckDB included
                result = attach(ACCOUNT, options, ministack.secret(), seconds=seconds)
        assert (result.status, result.error_type) == (DEGRADED, error_type)
        assert failing(result) == ["catalog:lake"]

    def test_a_third_server(self, lakehouse: Lakehouse, attach: Callable[..., ConnectionResult]) -> None:
        """SeaweedFS takes signatures too, for any service and region."""
        options = {
            "endpoint": lakehouse.catalog_uri,
            "authorization_type": "sigv4",
            "sigv4_service": "s3tables",
            "sigv4_region": "us-east-1",
        }
        secret = lakehouse.storage_secret()
        assert attach("floe", options, secret, probe_table=TABLE).status is HEALTHY
        result = attach("floe", options, {**secret, "secret": "wrong"})
        assert (result.status, result.error_type) == (DEGRADED, ErrorType.AUTHENTICATION)
        result = attach("floe", options, {**secret, "key_id": "nobody"})
        assert (result.status, result.error_type) == (DEGRADED, ErrorType.AUTHENTICATION)
        assert failing(attach("nope", options, secret)) == ["warehouse:lake"]


class TestARegionsOwnEndpoint:
    @pytest.mark.parametrize("key_id", ["AKIDWELL", "ASIDWELL"])
    def test_all_well(self, glue: SigV4StandIn, attach: Callable[..., ConnectionResult], key_id: str) -> None:
        """The stand-in reckons for itself, and DuckDB's signature and ours are both right to it."""
        result = attach(":", glue.options(), glue.secret(key_id))
        assert result.status is HEALTHY, result
        assert glue.requests == [
            "GET /iceberg/v1/config",
            "GET /iceberg/v1/catalogs/123456789012/namespaces",
            "GET /iceberg/v1/config",
        ]

    @pytest.mark.parametrize(
        ("options", "secret", "error_type", "text"),
        [
            ({"sigv4_region": "eu-west-1"}, {}, ErrorType.AUTHENTICATION, "of another service or region"),
            ({"sigv4_service": "s3"}, {}, ErrorType.AUTHENTICATION, "of another service or region"),
            ({}, {"secret": "wrong"}, ErrorType.AUTHENTICATION, "a wrong secret key"),
            ({}, {"key_id": "ASIDOVER"}, ErrorType.AUTHENTICATION, "the session token has expired"),
            ({}, {"key_id": "ASIDWELL", "session_token": ""}, ErrorType.AUTHENTICATION, "the session token"),
            ({}, {"key_id": "AKIDBARRED"}, ErrorType.PERMISSION, "have no right to it"),
        ],
        ids=["region", "service", "secret", "expired", "no token", "barred"],
    )
    def test_what_it_refuses(
        self,
        glue: SigV4StandIn,
        attach: Callable[..., ConnectionResult],
        options: dict[str, Any],
        secret: dict[str, Any],
        error_type: ErrorType,
        text: str,
    ) -> None:
        given = {**glue.secret(secret.get("key_id", "AKIDWELL")), **secret}
        result = attach(ACCOUNT, glue.options(**options), given)
        assert (result.status, result.error_type) == (DEGRADED, error_type)
        assert text in result.message

    @pytest.mark.parametrize("ahead", [-3600.0, 3600.0])
    def test_clocks_that_differ(
        self, glue: SigV4StandIn, attach: Callable[..., ConnectionResult], ahead: float
    ) -> None:
        glue.clock = ahead
        result = attach(ACCOUNT, glue.options(), glue.secret())
        assert (result.status, result.error_type) == (DEGRADED, ErrorType.AUTHENTICATION)
        assert "one of the two clocks is wrong" in result.message

    def test_a_redirect_elsewhere_takes_no_credential_along(
        self, glue: SigV4StandIn, attach: Callable[..., ConnectionResult]
    ) -> None:
        with PolarisStandIn() as front:
            front.redirect_to = f"http://127.0.0.1:{glue.port}"
            options = glue.options(endpoint=f"http://127.0.0.1:{front.port}/iceberg")
            result = attach(ACCOUNT, options, glue.secret("ASIDWELL"))
        assert (result.status, failing(result)) == (DEGRADED, ["catalog:lake"])
        [headers] = glue.headers
        assert headers["Host"] == f"127.0.0.1:{glue.port}"
        assert not {"Authorization", "X-Amz-Security-Token"} & headers.keys()

    def test_a_secret_that_is_not_named(
        self, glue: SigV4StandIn, attach: Callable[..., ConnectionResult]
    ) -> None:
        """The only one is the one; of two, which DuckDB takes is not guessed at."""
        assert attach(ACCOUNT, glue.options(), glue.secret(), named=False).status is HEALTHY
        more = {"secrets": [glue.secret(name="other")]}
        result = attach(ACCOUNT, glue.options(), glue.secret(), named=False, connection=more)
        assert (result.status, failing(result)) == (DEGRADED, ["warehouse:lake"])
        assert "name the `secret`, or a `probe_table`" in result.message

    def test_keys_that_only_duckdb_could_find(
        self, glue: SigV4StandIn, attach: Callable[..., ConnectionResult]
    ) -> None:
        """With nothing to sign by, the listing is DuckDB's to ask for; and its chain needs an extension."""
        secret = {"type": "s3", "name": "store", "provider": "credential_chain"}
        result = attach(ACCOUNT, glue.options(), secret)
        assert (result.status, failing(result)) == (DEGRADED, ["secret:store", "attach:lake"])
        assert glue.requests == []


class TestOverHttps:
    @pytest.fixture
    def secure(self, tls: ssl.SSLContext) -> Iterator[SigV4StandIn]:
        with SigV4StandIn(tls=tls) as standin:
            yield standin

    @pytest.mark.parametrize("scheme", ["", "https://"])
    @pytest.mark.parametrize(
        ("where", "option", "error_type"),
        [
            ("config_options", "ca_cert_file", None),
            ("settings", "ca_cert_file", ErrorType.CONNECTION),
            ("config_options", "enable_curl_server_cert_verification", None),
            ("settings", "enable_curl_server_cert_verification", ErrorType.CONNECTION),
        ],
    )
    def test_trusts_whom_dbt_would_when_it_attaches(
        self,
        authority: trustme.CA,
        secure: SigV4StandIn,
        attach: Callable[..., ConnectionResult],
        tmp_path: Path,
        scheme: str,
        where: str,
        option: str,
        error_type: ErrorType | None,
    ) -> None:
        authority.cert_pem.write_to_path(tmp_path / "root.pem")
        value = str(tmp_path / "root.pem") if option == "ca_cert_file" else False
        options = secure.options(endpoint=f"{scheme}localhost:{secure.port}/iceberg")
        result = attach(":", options, secure.secret(), connection={where: {option: value}})
        assert (result.status, result.error_type) == (DEGRADED if error_type else HEALTHY, error_type)
        assert ("the server's certificate is refused" in result.message) is (error_type is not None)

    def test_a_file_of_certificates_that_is_replaced_is_read_anew(
        self,
        authority: trustme.CA,
        secure: SigV4StandIn,
        attach: Callable[..., ConnectionResult],
        tmp_path: Path,
    ) -> None:
        root = tmp_path / "root.pem"
        trust = {"config_options": {"ca_cert_file": str(root)}}
        statuses = []
        for one in (trustme.CA(), authority):
            one.cert_pem.write_to_path(root)
            statuses.append(attach(":", secure.options(), secure.secret(), connection=trust).status)
        assert statuses == [DEGRADED, HEALTHY]

    @pytest.mark.parametrize("verified", [False, True])
    def test_a_certificate_of_three_days(
        self,
        authority: trustme.CA,
        attach: Callable[..., ConnectionResult],
        tmp_path: Path,
        *,
        verified: bool,
    ) -> None:
        until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost", "127.0.0.1", not_after=until).configure_cert(context)
        authority.cert_pem.write_to_path(tmp_path / "root.pem")
        trust = (
            {"ca_cert_file": str(tmp_path / "root.pem")}
            if verified
            else {"enable_curl_server_cert_verification": False}
        )
        with SigV4StandIn(tls=context) as secure:
            result = attach(":", secure.options(), secure.secret(), connection={"config_options": trust})
        [expiry] = result.expiries
        assert (expiry.what, expiry.at) == (ExpiryKind.SERVER_CERTIFICATE, until.timestamp())
        assert result.server_address in {"localhost", "127.0.0.1"}
