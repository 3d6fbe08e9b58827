"""Iceberg catalogs: real ones on loopback, and a stand-in for what only Polaris has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import duckdb
import pytest
from floe_monitor_duckdb import DuckDBComputePlugin, extensions
from floe_monitor_duckdb.iceberg.attachment import secret_sql
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.lakehouse import CLIENT_ID, CLIENT_SECRET
from conformance.polaris_standin import BASE, PolarisStandIn
from floe_monitor.compute import (
    CatalogConfig,
    ComputeConfigurationError,
    ConnectionResult,
    ConnectionStatus,
    Deadline,
    ErrorType,
    deadline,
)
from floe_monitor.registry.config_validation import build_config
from floe_monitor.testing.fault_proxy import Fault, FaultProxy
from tests.harness.polling import settled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from conformance.lakehouse import Lakehouse

pytestmark = pytest.mark.slow  # together: each loads 60 MB of extensions

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def polaris() -> Iterator[PolarisStandIn]:
    with PolarisStandIn() as standin:
        yield standin


@pytest.fixture
def plugin() -> DuckDBComputePlugin:
    return DuckDBComputePlugin()


@pytest.fixture
def probe(plugin: DuckDBComputePlugin, extension_directory: str) -> Callable[..., ConnectionResult]:
    """Validate a target that attaches one catalog with these options."""

    def run(
        options: Mapping[str, Any],
        *,
        path: str = "iceberg:floe",
        secrets: tuple[Mapping[str, Any], ...] = (),
        seconds: float = 30.0,
        **entry: Any,
    ) -> ConnectionResult:
        attach = {"path": path, "alias": "lake", "type": "iceberg", "options": dict(options), **entry}
        connection = {
            "attach": [attach],
            "secrets": list(secrets),
            "config_options": {"extension_directory": extension_directory},
        }
        with deadline.running_until(Deadline.after(seconds)):
            return plugin.validate_connection(
                build_config(plugin, {"plugin": "duckdb", "connection": connection})
            )

    return run


def checks_of(result: ConnectionResult) -> dict[str, ConnectionStatus]:
    return {check.name: check.status for check in result.checks}


class TestARealCatalog:
    def test_every_step_is_a_check(
        self, lakehouse: Lakehouse, probe: Callable[..., ConnectionResult]
    ) -> None:
        result = probe(lakehouse.options(), secrets=(lakehouse.storage_secret(),), probe_table="shop.orders")
        assert result.status is HEALTHY, result
        assert list(checks_of(result)) == [
            "connect",
            "query",
            "extension:avro",
            "extension:httpfs",
            "extension:iceberg",
            "secret:store",
            "token:lake",
            "catalog:lake",
            "warehouse:lake",
            "attach:lake",
            "table:lake",
        ]

    @pytest.mark.parametrize(
        ("changes", "entry", "failing", "error_type", "text"),
        [
            (
                {"client_secret": "wrong"},
                {},
                "token",
                ErrorType.AUTHENTICATION,
                "refuses the credentials: 401",
            ),
            ({"client_id": "nobody"}, {}, "token", ErrorType.AUTHENTICATION, "refuses the credentials: 401"),
            ({}, {"path": "iceberg:nope"}, "warehouse", ErrorType.CATALOG, "no warehouse 'nope' (404)"),
            (
                {"client_id": None, "client_secret": None, "oauth2_server_uri": None, "token": "junk"},
                {},
                "warehouse",
                ErrorType.AUTHENTICATION,
                "wrong or expired (401)",
            ),
            (
                {"client_id": None, "client_secret": None, "oauth2_server_uri": None}
                | {"authorization_type": "none"},
                {},
                "warehouse",
                ErrorType.PERMISSION,
                "may not list",
            ),
            ({}, {"probe_table": "shop.nothing"}, "table", ErrorType.CONFIGURATION, "does not exist"),
        ],
        ids=["secret", "client", "warehouse", "token", "none", "no table"],
    )
    def test_what_fails_is_named(
        self,
        lakehouse: Lakehouse,
        probe: Callable[..., ConnectionResult],
        changes: dict[str, Any],
        entry: dict[str, Any],
        failing: str,
        error_type: ErrorType,
        text: str,
    ) -> None:
        result = probe(lakehouse.options(**changes), **entry)
        assert result.status is DEGRADED
        assert text in result.message
        assert result.message.startswith("lake: ")
        failed = [name for name, status in checks_of(result).items() if status is not HEALTHY]
        assert failed == [f"{failing}:lake"]
        assert result.error_type is error_type
        assert CLIENT_SECRET not in result.message

    @pytest.mark.parametrize(
        ("options", "entry"),
        [({"client_secret": "wrong"}, {}), ({}, {"path": "nope"}), ({}, {"probe_table": "shop.nothing"})],
    )
    def test_what_is_required_makes_it_unhealthy(
        self,
        lakehouse: Lakehouse,
        probe: Callable[..., ConnectionResult],
        options: dict[str, Any],
        entry: dict[str, Any],
    ) -> None:
        assert probe(lakehouse.options(**options), required=True, **entry).status is UNHEALTHY

    def test_a_client_without_rights(
        self, lakehouse: Lakehouse, probe: Callable[..., ConnectionResult]
    ) -> None:
        lakehouse.add_client("limitedkey", "limitedsecret")
        result = probe(lakehouse.options(client_id="limitedkey", client_secret="limitedsecret"))
        assert (result.status, result.error_type) == (DEGRADED, ErrorType.CATALOG)
        assert "shows these credentials no warehouse" in result.message

    def test_the_platforms_spelling(
        self, lakehouse: Lakehouse, probe: Callable[..., ConnectionResult]
    ) -> None:
        options = {
            "catalog_uri": lakehouse.catalog_uri,
            "catalog_name": "floe",
            "oauth_server_uri": f"{lakehouse.catalog_uri}/v1/oauth/tokens",
            "credential": f"{CLIENT_ID}:{CLIENT_SECRET}",
        }
        assert probe(options, path="iceberg:catalog_name").status is HEALTHY

    def test_an_extension_that_is_missing(
        self,
        lakehouse: Lakehouse,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        plugin: DuckDBComputePlugin,
    ) -> None:
        monkeypatch.setattr(extensions, "packaged", lambda _: ())
        attach = {"path": "floe", "alias": "lake", "type": "iceberg", "options": lakehouse.options()}
        connection = {"attach": [attach], "config_options": {"extension_directory": str(tmp_path)}}
        result = plugin.validate_connection(
            build_config(plugin, {"plugin": "duckdb", "connection": connection})
        )
        assert (result.status, result.error_type) == (DEGRADED, ErrorType.EXTENSION)
        assert checks_of(result)["warehouse:lake"] is HEALTHY
        assert checks_of(result)["attach:lake"] is DEGRADED


class TestStatements:
    def config(self, lakehouse: Lakehouse, **changes: Any) -> CatalogConfig:
        return CatalogConfig.model_validate(
            {
                "catalog_uri": lakehouse.catalog_uri,
                "catalog_name": "floe",
                "alias": "lake",
                "oauth_server_uri": f"{lakehouse.catalog_uri}/v1/oauth/tokens",
                "scope": "PRINCIPAL_ROLE:ALL",
                "credentials": {
                    "client_id": CLIENT_ID,
                    "client_secret": CLIENT_SECRET,
                    "key_id": CLIENT_ID,
                    "secret": CLIENT_SECRET,
                    "region": "us-east-1",
                },
                "options": {
                    "s3_endpoint": lakehouse.store,
                    "s3_use_ssl": False,
                    "s3_url_style": "path",
                    "support_nested_namespaces": True,
                },
                **changes,
            }
        )

    @pytest.fixture
    def connection(self, extension_directory: str) -> Iterator[duckdb.DuckDBPyConnection]:
        with duckdb.connect(":memory:", config={"extension_directory": extension_directory}) as made:
            for name in ("avro", "httpfs", "iceberg"):
                extensions.load(made, name)
            yield made

    def test_they_run_as_they_are_and_serve(
        self,
        lakehouse: Lakehouse,
        plugin: DuckDBComputePlugin,
        connection: duckdb.DuckDBPyConnection,
    ) -> None:
        for statement in plugin.get_catalog_attachment_sql(self.config(lakehouse)):
            connection.execute(statement)
        connection.execute("CREATE TABLE lake.shop.made (a INTEGER)")
        connection.execute("INSERT INTO lake.shop.made VALUES (42)")
        assert connection.execute("SELECT * FROM lake.shop.made").fetchall() == [(42,)]
        connection.execute("DROP TABLE lake.shop.made")

    def test_one_string_with_semicolons_serves_as_well(
        self,
        lakehouse: Lakehouse,
        plugin: DuckDBComputePlugin,
        connection: duckdb.DuckDBPyConnection,
    ) -> None:
        connection.execute(";\n".join(plugin.get_catalog_attachment_sql(self.config(lakehouse))) + ";")
        assert connection.execute("SELECT count(*) FROM lake.shop.orders").fetchone() == (2,)

    text = st.one_of(
        st.sampled_from(
            ["'); CREATE TABLE memory.main.pwned (a INT); --", '"; DROP TABLE witness; --', "''"]
        ),
        st.text(alphabet=st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=30),
    )

    @pytest.mark.slow
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_nothing_injected_is_executed(
        self,
        data: st.DataObject,
        polaris: PolarisStandIn,
        plugin: DuckDBComputePlugin,
        connection: duckdb.DuckDBPyConnection,
    ) -> None:
        """Every field holds hostile text; what runs is two secrets and one ATTACH, of just these names."""
        client, secret = data.draw(self.text), data.draw(self.text)
        warehouse, alias, scope = data.draw(self.text), data.draw(self.text), data.draw(self.text)
        path = data.draw(self.text)
        polaris.client, polaris.roles = (client.replace(":", ""), secret), {scope}
        polaris.warehouses = {warehouse}
        config = CatalogConfig.model_validate(
            {
                "catalog_uri": f"{polaris.uri}",
                "catalog_name": warehouse,
                "alias": alias,
                "scope": scope,
                "credentials": {
                    "client_id": client.replace(":", "") or "x",
                    "client_secret": secret,
                    "key_id": client,
                    "secret": secret,
                    "session_token": path,
                },
                "options": {"s3_endpoint": path, "s3_url_style": path, "default_region": path},
            }
        )
        polaris.client = (client.replace(":", "") or "x", secret)
        try:
            statements = plugin.get_catalog_attachment_sql(config)
        except ComputeConfigurationError:
            return
        connection.execute("CREATE OR REPLACE TABLE witness AS SELECT 1 AS a")
        tables, before = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'memory'", ["witness"]
        for statement in statements:
            assert len(duckdb.extract_statements(statement)) == 1
            try:
                connection.execute(statement)
            except duckdb.Error as error:
                # A name that DuckDB itself reserves, or a server's refusal; never a parser led astray.
                assert not isinstance(error, duckdb.ParserException), statement  # noqa: PT017
        assert [name for (name,) in connection.execute(tables).fetchall()] == before
        for (name,) in connection.execute("SELECT name FROM duckdb_secrets()").fetchall():
            assert name.lower() in {f"{alias}_catalog".lower(), f"{alias}_storage".lower()}
            connection.execute('DROP SECRET "' + name.replace('"', '""') + '"')
        attached = (
            "SELECT database_name FROM duckdb_databases() WHERE NOT internal AND database_name <> 'memory'"
        )
        for (name,) in connection.execute(attached).fetchall():
            assert name == alias
            connection.execute('DETACH "' + name.replace('"', '""') + '"')


@pytest.mark.gate
class TestPolarisByItsSpecification:
    def test_a_catalog_is_only_read(
        self, polaris: PolarisStandIn, probe: Callable[..., ConnectionResult]
    ) -> None:
        """Nothing is made, committed or started there, DuckDB's own requests included."""
        assert probe(polaris.options()).status is HEALTHY
        asked = [request for request in polaris.requests if not request.endswith("/oauth/tokens")]
        assert {request.split(" ")[0] for request in asked} <= {"GET", "HEAD"}, polaris.requests
        assert any(request.endswith("/namespaces") for request in asked)

    def test_the_seeds_form(self, polaris: PolarisStandIn, probe: Callable[..., ConnectionResult]) -> None:
        result = probe(polaris.options())
        assert result.status is HEALTHY, result
        assert polaris.requests[0] == "POST /api/catalog/v1/oauth/tokens"

    @pytest.mark.parametrize(
        ("state", "changes", "failing", "error_type", "text"),
        [
            ({"may_list": False}, {}, "warehouse", ErrorType.PERMISSION, "may not list"),
            ({"warehouses": set()}, {}, "warehouse", ErrorType.CATALOG, "no warehouse 'floe' (404)"),
            ({}, {"scope": "catalog"}, "token", ErrorType.AUTHENTICATION, "invalid_scope"),
            (
                {},
                {"scope": "PRINCIPAL_ROLE:nobody"},
                "catalog",
                ErrorType.AUTHENTICATION,
                "refuses the token that its token endpoint gave",
            ),
            (
                {"realm": "prod"},
                {},
                "token",
                ErrorType.CATALOG,
                "it answers 404 (Missing or invalid realm)",
            ),
            ({"redirect_to": "http://127.0.0.1:1"}, {}, "token", ErrorType.CATALOG, "redirects (307)"),
        ],
    )
    def test_what_it_documents(
        self,
        polaris: PolarisStandIn,
        probe: Callable[..., ConnectionResult],
        state: dict[str, Any],
        changes: dict[str, Any],
        failing: str,
        error_type: ErrorType,
        text: str,
    ) -> None:
        for key, value in state.items():
            setattr(polaris, key, value)
        result = probe(polaris.options(**changes))
        assert (result.status, result.error_type) == (DEGRADED, error_type), result
        assert checks_of(result)[f"{failing}:lake"] is DEGRADED
        assert text in result.message

    def test_a_realm_goes_to_the_catalog_and_not_to_the_token_endpoint_as_duckdb_has_it(
        self, polaris: PolarisStandIn, probe: Callable[..., ConnectionResult]
    ) -> None:
        polaris.realm = "prod"
        secret = {
            "type": "iceberg",
            "name": "polaris",
            "oauth2_server_uri": f"{polaris.uri}/v1/oauth/tokens",
            "extra_http_headers": {"Polaris-Realm": "prod"},
        }
        given = {"endpoint": polaris.uri}
        token = {**secret, "token": polaris.issue(60)}
        result = probe(given, path="floe", secret="polaris", secrets=(token,))
        assert result.status is HEALTHY, result
        client = {**secret, "client_id": polaris.client[0], "client_secret": polaris.client[1]}
        result = probe(given, path="floe", secret="polaris", secrets=(client,))
        assert checks_of(result)["token:lake"] is DEGRADED
        assert "DuckDB asks for it without the secret's extra_http_headers" in result.message
        with duckdb.connect() as connection:
            extensions.load(connection, "avro")
            extensions.load(connection, "httpfs")
            extensions.load(connection, "iceberg")
            with pytest.raises(duckdb.Error, match="Missing or invalid realm"):
                connection.execute(secret_sql(client))

    @pytest.mark.parametrize(
        ("told", "options", "path"),
        [
            ({"defaults": {}, "overrides": {}}, {}, "/v1"),
            ({"defaults": {"prefix": "no"}, "overrides": {"prefix": "a/b"}}, {}, "/v1/a/b"),
            ({"defaults": {"prefix": "a%2Fb%3Ac"}, "overrides": {}}, {}, "/v1/a%2Fb%3Ac"),
            ({"defaults": {"prefix": "no"}, "overrides": {"prefix": ""}}, {}, "/v1"),
            ({"defaults": {}, "overrides": {"prefix": "a/b"}}, {"encode_entire_prefix": True}, "/v1/a%2Fb"),
        ],
    )
    def test_the_paths_are_those_that_duckdb_asks_for(
        self,
        polaris: PolarisStandIn,
        probe: Callable[..., ConnectionResult],
        told: dict[str, Any],
        options: dict[str, Any],
        path: str,
    ) -> None:
        polaris.content, polaris.listing = told, f"{path}/namespaces"
        result = probe(polaris.options(**options), probe_table="shop.nothing")
        assert checks_of(result)["warehouse:lake"] is HEALTHY
        assert any(
            unquote(asked) == unquote(f"GET {BASE}{path}/namespaces/shop/tables/nothing")
            and asked.count("/") == path.count("/") + BASE.count("/") + 4
            for asked in polaris.requests
        ), polaris.requests

    def test_vended_credentials(self, lakehouse: Lakehouse, probe: Callable[..., ConnectionResult]) -> None:
        with PolarisStandIn(lakehouse) as polaris:
            result = probe(
                polaris.options(access_delegation_mode="vended_credentials"), probe_table="shop.orders"
            )
        assert result.status is HEALTHY, result

    def test_a_token_serves_until_shortly_before_it_expires(
        self, polaris: PolarisStandIn, probe: Callable[..., ConnectionResult]
    ) -> None:
        for _ in range(3):
            assert probe(polaris.options()).status is HEALTHY
        assert polaris.tokens_issued == 1
        polaris.revoke_all()
        assert probe(polaris.options()).status is HEALTHY
        assert polaris.tokens_issued == 2

    def test_a_short_life_is_heeded(
        self, polaris: PolarisStandIn, probe: Callable[..., ConnectionResult]
    ) -> None:
        polaris.expires_in = 1
        assert probe(polaris.options()).status is HEALTHY
        settled(lambda: probe(polaris.options()).status is HEALTHY and polaris.tokens_issued == 2)

    def test_a_bearer_token_says_when_it_expired(
        self, polaris: PolarisStandIn, probe: Callable[..., ConnectionResult]
    ) -> None:
        expired = "e30.eyJleHAiOjE3MDAwMDAwMDB9.c2ln"
        options = {"endpoint": polaris.uri, "token": expired}
        result = probe(options, path="floe")
        assert (result.status, result.error_type) == (DEGRADED, ErrorType.AUTHENTICATION)
        assert "expired at 2023-11-14 22:13:20 UTC" in result.message
        assert polaris.requests == []


@pytest.mark.parametrize(
    ("empty_pages", "warns"), [(0, ""), (3, ""), (20, "lists no namespace on its first 20 pages")]
)
def test_empty_pages_are_followed_by_their_tokens(
    polaris: PolarisStandIn, probe: Callable[..., ConnectionResult], empty_pages: int, warns: str
) -> None:
    polaris.empty_pages = empty_pages
    result = probe(polaris.options())
    assert result.status is HEALTHY, result
    assert any("lists no namespace" in warning for warning in result.warnings) is bool(warns)
    assert not warns or any(warns in warning for warning in result.warnings)
    asked = [request for request in polaris.requests if request.endswith("/namespaces")]
    assert len(asked) <= 20


class TestHangs:
    @pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.HANG])
    @pytest.mark.parametrize("part", ["token", "catalog"])
    def test_one_that_is_not_required_degrades(
        self,
        polaris: PolarisStandIn,
        probe: Callable[..., ConnectionResult],
        fault: Fault,
        part: str,
        within: Any,
        patience: Any,
    ) -> None:
        """The kit tries every fault of one that is."""
        waits = fault is Fault.HANG
        seconds = patience(lambda: probe(polaris.options()), 1.5) if waits else 10.0
        with FaultProxy(polaris.port, fault, rate=1) as proxy:
            uri = f"http://127.0.0.1:{proxy.port}/api/catalog"
            changes = (
                {"oauth_server_uri": f"{uri}/v1/oauth/tokens"} if part == "token" else {"catalog_uri": uri}
            )
            with within(seconds, margin=1.5):  # closing DuckDB included
                result = probe(polaris.options(**changes), seconds=seconds)
        assert len([check for check in result.checks if check.status is DEGRADED]) == 1
        assert result.status is DEGRADED
        assert checks_of(result)[f"{part}:lake"] is DEGRADED
        assert result.error_type is (ErrorType.TIMEOUT if waits else ErrorType.CONNECTION)

    def test_tls_that_fails(self, polaris: PolarisStandIn, probe: Callable[..., ConnectionResult]) -> None:
        uri = polaris.uri.replace("http:", "https:")
        result = probe(polaris.options(catalog_uri=uri))
        assert (result.status, result.error_type) == (DEGRADED, ErrorType.CONNECTION)
        assert "TLS failed" in result.message

    def test_a_redirected_catalog_is_followed_without_the_token(
        self, polaris: PolarisStandIn, probe: Callable[..., ConnectionResult]
    ) -> None:
        with PolarisStandIn() as front:
            front.redirect_to = f"http://127.0.0.1:{polaris.port}"
            result = probe(polaris.options(catalog_uri=front.uri))
        assert (result.status, result.error_type) == (DEGRADED, ErrorType.AUTHENTICATION)

    @pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.HANG, Fault.DRIP])
    def test_an_object_store_that_is_away(
        self,
        lakehouse: Lakehouse,
        probe: Callable[..., ConnectionResult],
        fault: Fault,
        within: Any,
        patience: Any,
    ) -> None:
        with FaultProxy(lakehouse.store_port, fault, rate=1) as proxy:
            seconds = patience(lambda: probe(lakehouse.options(), probe_table="shop.orders"), 3.0)
            secret = lakehouse.storage_secret(endpoint=f"127.0.0.1:{proxy.port}")
            with within(seconds):
                result = probe(
                    lakehouse.options(), secrets=(secret,), probe_table="shop.orders", seconds=seconds
                )
        assert result.status is DEGRADED
        assert checks_of(result)["attach:lake"] is HEALTHY
        assert checks_of(result)["table:lake"] is DEGRADED

    @pytest.mark.process
    def test_a_process_that_ends_meanwhile_ends_in_order(self, tmp_path: Path) -> None:
        with FaultProxy(None, Fault.HANG) as proxy:
            (tmp_path / "config.yaml").write_text(
                "probe: {timeout: 8s}\ntargets:\n  dev:\n    plugin: duckdb\n    connection:\n      attach:\n"
                "        - path: floe\n          alias: lake\n          type: iceberg\n          options:\n"
                f"            endpoint: http://127.0.0.1:{proxy.port}\n"
                "            authorization_type: none\n"
            )
            done = subprocess.run(
                [sys.executable, "-m", "floe_monitor", "check", "--config", str(tmp_path / "config.yaml")],
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        # The deadline is held elsewhere, against a control: here the process ends, and not by a crash.
        assert (done.returncode in (0, 1), done.stderr) == (True, "")
        assert "1 target: 1 " in done.stdout
