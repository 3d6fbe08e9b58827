"""The SQL that attaches a catalog: every text arrives as it is."""

from __future__ import annotations

import duckdb
import pytest
from floe_monitor_duckdb import sql
from floe_monitor_duckdb.iceberg.catalog_config import attachment_sql
from hypothesis import given, settings
from hypothesis import strategies as st

from floe_monitor.compute import CatalogConfig, ComputeConfigurationError

TEXT = st.text(alphabet=st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=40)


@pytest.fixture(scope="module")
def connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(":memory:")


@settings(deadline=None)  # a busy machine is no failure
@given(TEXT)
def test_a_literal_is_read_as_written(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    assert connection.execute(f"SELECT {sql.literal(text)}").fetchall() == [(text,)]


@settings(deadline=None)  # a busy machine is no failure
@given(TEXT)
def test_an_identifier_is_read_as_written(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    relation = connection.execute(f"SELECT 1 AS {sql.identifier(text)}")
    assert [column[0] for column in relation.description] == [text]


@settings(deadline=None)  # a busy machine is no failure
@given(uri=st.just("http://127.0.0.1:1"), name=TEXT, secret=TEXT, scope=TEXT)
def test_every_statement_parses_as_one(uri: str, name: str, secret: str, scope: str) -> None:
    statements = attachment_sql(
        CatalogConfig.model_validate(
            {
                "catalog_uri": uri,
                "catalog_name": name,
                "scope": scope,
                "credentials": {"client_id": "me", "client_secret": secret},
            }
        )
    )
    for statement in statements:
        assert len(duckdb.extract_statements(statement)) == 1


def test_bounds_come_before_what_connects() -> None:
    statements = attachment_sql(
        CatalogConfig.model_validate(
            {
                "catalog_uri": "http://127.0.0.1:8181",
                "catalog_name": "lake",
                "alias": "iceberg_catalog",
                "credentials": {"credential": "me:it's"},
                "oauth_server_uri": "http://127.0.0.1:8181/v1/oauth/tokens",
                "scope": "PRINCIPAL_ROLE:ALL",
            }
        )
    )
    assert statements == [
        "INSTALL avro",
        "LOAD avro",
        "INSTALL httpfs",
        "LOAD httpfs",
        "INSTALL iceberg",
        "LOAD iceberg",
        "SET http_timeout = 5",
        "SET http_retries = 0",
        (
            "CREATE OR REPLACE SECRET \"iceberg_catalog_catalog\" (TYPE 'iceberg', CLIENT_ID 'me', "
            "CLIENT_SECRET 'it''s', OAUTH2_SERVER_URI 'http://127.0.0.1:8181/v1/oauth/tokens', "
            "OAUTH2_SCOPE 'PRINCIPAL_ROLE:ALL')"
        ),
        (
            "ATTACH 'lake' AS \"iceberg_catalog\" (TYPE 'iceberg', ENDPOINT 'http://127.0.0.1:8181', "
            'SECRET "iceberg_catalog_catalog")'
        ),
    ]


def test_what_cannot_be_attached_is_refused() -> None:
    with pytest.raises(ComputeConfigurationError, match="rest only"):
        attachment_sql(CatalogConfig(catalog_type="hive", catalog_uri="http://127.0.0.1", catalog_name="x"))
