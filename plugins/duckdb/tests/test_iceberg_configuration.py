"""What of an Iceberg attach is refused at load, where it stands; and what is written of the rest."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest
from floe_monitor_duckdb import DuckDBComputePlugin
from floe_monitor_duckdb.sql import RESERVED

from floe_monitor.compute import ComputeConfigurationError
from floe_monitor.registry.config_validation import ConfigProblems, build_config

URI = "http://polaris:8181/api/catalog"
ID, SECRET = "{{ env_var('POLARIS_CLIENT_ID') }}", "{{ env_var('POLARIS_CLIENT_SECRET') }}"
PLATFORM = {
    "catalog_uri": URI,
    "catalog_name": "floe",
    "oauth_server_uri": f"{URI}/v1/oauth/tokens",
    "credential": f"{ID}:{SECRET}",
}
SIGNED = {
    "endpoint": "http://127.0.0.1:4566/iceberg",
    "authorization_type": "sigv4",
    "sigv4_service": "glue",
    "sigv4_region": "us-east-1",
}
OAUTH_SECRET = {
    "type": "iceberg",
    "name": "polaris",
    "client_id": ID,
    "client_secret": SECRET,
    "oauth2_server_uri": f"{URI}/v1/oauth/tokens",
}


@pytest.fixture
def plugin() -> DuckDBComputePlugin:
    return DuckDBComputePlugin()


def entry(options: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {
        "path": "iceberg:floe",
        "alias": "lake",
        "type": "iceberg",
        "options": {key: item for key, item in options.items() if item is not None},
        **keys,
    }


@pytest.mark.parametrize(
    ("attach", "path", "text"),
    [
        (entry({**PLATFORM, "catlog_name": "x"}), ("options", "catlog_name"), "did you mean 'catalog_name'"),
        (entry({**PLATFORM, "token": ID}), ("options", "credential"), "two sources"),
        (entry({"catalog_uri": URI, "token": ID, "client_id": ID}), ("options",), "two sources"),
        (entry(PLATFORM, secret="polaris"), ("secret",), "two sources"),
        (entry({"catalog_uri": URI}, secret="nosuch"), ("secret",), "no secret of this name"),
        (
            entry({"catalog_uri": URI}, secret="store"),
            ("options", "catalog_uri"),
            "for DuckDB to sign for: give sigv4_service",
        ),
        (entry({**PLATFORM, "credential": ID}), ("options", "credential"), "must be `ID:SECRET`"),
        (entry({**PLATFORM, "credential": None, "client_id": ID}), ("options",), "client_secret is missing"),
        (entry({"catalog_uri": URI}), ("options",), "no credentials"),
        (entry({**PLATFORM, "catalog_uri": "ftp://polaris"}), ("options", "catalog_uri"), "must be http://"),
        (entry({**PLATFORM, "catalog_uri": "polaris:8181"}), ("options", "catalog_uri"), "must be http://"),
        (
            entry({**PLATFORM, "oauth_server_uri": "file:///etc/passwd"}),
            ("options", "oauth_server_uri"),
            "must be http://",
        ),
        (entry({**PLATFORM, "catalog_uri": None}), ("options",), "is missing"),
        (entry({**PLATFORM, "endpoint": "http://other"}), ("options", "endpoint"), "given twice"),
        (entry({**PLATFORM, "authorization_type": "basic"}), ("options", "authorization_type"), "one of"),
        (
            entry({**PLATFORM, "authorization_type": "none"}),
            ("options", "authorization_type"),
            "does not use",
        ),
        (entry({**PLATFORM, "oauth2_grant_type": "password"}), ("options",), "the only one"),
        (entry({**PLATFORM, "secret": "x"}), ("options", "secret"), "beside `options`"),
        (entry({**PLATFORM, "endpoint_type": "hive"}), ("options", "endpoint_type"), "one of"),
        (
            entry({**PLATFORM, "sigv4_region": "x"}),
            ("options", "sigv4_region"),
            "goes with sigv4, not with oauth2",
        ),
        (
            entry({**SIGNED, "default_region": "x"}, secret="store"),
            ("options", "default_region"),
            "with oauth2",
        ),
        (
            entry({**SIGNED, "sigv4_region": None}, secret="store"),
            ("options", "endpoint"),
            "give sigv4_region",
        ),
        (entry({"endpoint_type": "glue"}, secret="store"), ("path",), "the warehouse of glue must be"),
        (
            entry({"endpoint_type": "glue"}, secret="nowhere", path="123456789012"),
            ("secret",),
            "its secret needs a region",
        ),
        (
            entry({"endpoint_type": "s3_tables"}, secret="store"),
            ("path",),
            "must be the ARN of a table bucket",
        ),
        (
            entry({**SIGNED, "endpoint_type": "glue", "authorization_type": None}, secret="store", path=":"),
            ("options", "endpoint"),
            "already says",
        ),
        (entry(PLATFORM, path="other"), ("path",), "another warehouse"),
        (entry({**PLATFORM, "catalog_name": None}, path="iceberg:"), ("path",), "no warehouse"),
        (entry(PLATFORM, type=None), ("path",), "needs `type: iceberg`"),
        (entry(PLATFORM, alias=None), ("alias",), "needs an alias"),
        (entry(PLATFORM, alias="order"), ("alias",), "reserved word"),
        (entry(PLATFORM, alias="a b"), ("alias",), "pattern"),
        (entry(PLATFORM, probe_table="orders"), ("probe_table",), "pattern"),
        ({"path": "x.db", "required": True}, ("required",), "Iceberg catalogs alone"),
        ({"path": "x.db", "probe_table": "a.b"}, ("probe_table",), "Iceberg catalogs alone"),
    ],
)
def test_what_cannot_work_is_refused_where_it_stands(
    plugin: DuckDBComputePlugin, attach: dict[str, Any], path: tuple[str, ...], text: str
) -> None:
    connection = {
        "secrets": [
            OAUTH_SECRET,
            {"type": "s3", "name": "store", "region": "us-east-1"},
            {"type": "s3", "name": "nowhere"},
        ],
        "attach": [{"path": "/data/other.duckdb"}, attach],
    }
    with pytest.raises(ConfigProblems) as caught:
        build_config(plugin, {"plugin": "duckdb", "connection": connection})
    [problem] = caught.value.problems
    assert problem.path == ("connection", "attach", 1, *path)
    assert text in str(problem)


def test_reserved_words_are_duckdbs() -> None:
    query = "SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category = 'reserved'"
    with duckdb.connect(":memory:") as connection:
        assert {word for (word,) in connection.execute(query).fetchall()} == RESERVED


def test_the_platforms_form_is_written_as_duckdb_takes_it(plugin: DuckDBComputePlugin) -> None:
    connection = {
        "extensions": ["iceberg", "httpfs"],
        "secrets": [{"type": "s3", "region": "us-east-1"}],
        "attach": [
            {**entry(PLATFORM, alias="iceberg_catalog"), "path": "iceberg:catalog_name", "required": True}
        ],
        "retries": {"connect_attempts": 3},
    }
    profile = plugin.generate_dbt_profile(
        build_config(plugin, {"plugin": "duckdb", "connection": connection})
    )
    assert profile["extensions"] == ["avro", "iceberg", "httpfs"]
    assert profile["config_options"] == {"http_timeout": 10, "http_retries": 1}
    assert profile["retries"] == {"connect_attempts": 3}
    assert profile["secrets"] == [
        {"type": "s3", "region": "us-east-1"},
        {
            "type": "iceberg",
            "name": "iceberg_catalog_catalog",
            "client_id": ID,
            "client_secret": SECRET,
            "oauth2_server_uri": f"{URI}/v1/oauth/tokens",
        },
    ]
    assert profile["attach"] == [
        {
            "path": "floe",
            "alias": "iceberg_catalog",
            "type": "iceberg",
            "secret": "iceberg_catalog_catalog",
            "options": {"endpoint": URI},
        }
    ]


def test_duckdbs_own_form_stays_as_it_is(plugin: DuckDBComputePlugin) -> None:
    options = {"endpoint": URI, "support_nested_namespaces": False, "purge_requested": True}
    connection = {
        "secrets": [OAUTH_SECRET],
        "attach": [{**entry(options, secret="polaris", read_only=True), "path": "floe"}],
        "config_options": {"http_timeout": 3, "http_retries": 0},
    }
    profile = plugin.generate_dbt_profile(
        build_config(plugin, {"plugin": "duckdb", "connection": connection})
    )
    assert profile["secrets"] == [OAUTH_SECRET]
    assert profile["config_options"] == {"http_timeout": 3, "http_retries": 0}
    assert profile["attach"] == [
        {
            "path": "floe",
            "alias": "lake",
            "type": "iceberg",
            "secret": "polaris",
            "read_only": True,
            "options": {**options, "support_nested_namespaces": "false"},
        }
    ]


def test_a_target_with_a_catalog_has_a_process_of_its_own(plugin: DuckDBComputePlugin) -> None:
    """Unresolved, as the configuration has it: what loads extensions must not do so in the daemon."""
    for connection, isolation in (
        ({"attach": [entry(PLATFORM)]}, "process"),
        ({"attach": [{"path": "other.duckdb", "alias": "other"}]}, "thread"),
        ({}, "thread"),
    ):
        config = build_config(plugin, {"plugin": "duckdb", "connection": connection})
        assert plugin.get_default_isolation(config) == isolation


def test_credentials_beside_the_connection_serve_an_alias(plugin: DuckDBComputePlugin) -> None:
    attach = entry({**PLATFORM, "credential": None})
    config = build_config(
        plugin,
        {
            "plugin": "duckdb",
            "connection": {"attach": [attach]},
            "credentials": {"lake.client_id": ID, "lake.client_secret": SECRET},
        },
    )
    [secret] = plugin.generate_dbt_profile(config)["secrets"]
    assert (secret["client_id"], secret["client_secret"]) == (ID, SECRET)


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        ({"endpoint_type": "glue"}, {"secret": "store", "path": "123456789012"}),
        ({"endpoint_type": "glue"}, {"secret": "store", "path": ":"}),
        (
            {"endpoint_type": "s3_tables"},
            {"secret": "store", "path": "arn:aws:s3tables:us-east-1:123456789012:bucket/floe"},
        ),
        (SIGNED, {"secret": "store", "path": "123456789012"}),
        ({"endpoint": "glue.eu-west-1.amazonaws.com/iceberg"}, {"secret": "store", "path": "123456789012"}),
        ({"endpoint": URI, "authorization_type": "none"}, {"path": "floe"}),
        ({"endpoint": URI, "token": ID}, {"path": "floe"}),
        ({"endpoint": URI, "warehouse": "floe", "token": ID}, {}),
    ],
)
def test_other_ways_in(plugin: DuckDBComputePlugin, options: dict[str, Any], keys: dict[str, Any]) -> None:
    secrets = [{"type": "s3", "name": "store", "region": "us-east-1"}]
    connection = {"secrets": secrets, "attach": [entry(options, **keys)]}
    config = build_config(plugin, {"plugin": "duckdb", "connection": connection})
    profile = plugin.generate_dbt_profile(config)
    assert "{{" not in str(profile["attach"])
    [catalog] = plugin.get_catalog_configs(config)
    assert plugin.get_catalog_attachment_sql(catalog)[-1].startswith("ATTACH ")


def test_a_credential_of_a_catalog_that_is_none_has_no_use(plugin: DuckDBComputePlugin) -> None:
    config = build_config(
        plugin,
        {
            "plugin": "duckdb",
            "connection": {"attach": [{"path": "x.db", "alias": "lake"}]},
            "credentials": {"lake.client_id": ID},
        },
    )
    with pytest.raises(ComputeConfigurationError, match=r"'lake\.client_id' has no use"):
        plugin.generate_dbt_profile(config)
