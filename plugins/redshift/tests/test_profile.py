"""Configurations, the outputs that they make, and outputs that become configurations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from floe_monitor_redshift.endpoints import parts_of

from floe_monitor.compute import ComputeConfigurationError
from floe_monitor.compute.toolkit.dbt_outputs import UnknownKeysError
from floe_monitor.registry.config_validation import ConfigProblems, build_config

if TYPE_CHECKING:
    from collections.abc import Callable

    from floe_monitor_redshift import RedshiftComputePlugin

    Keys = Callable[..., dict[str, Any]]

KEYS = {"access_key_id": "{{ env_var('AWS_ID') }}", "secret_access_key": "{{ env_var('AWS_SECRET') }}"}


def test_an_output(plugin: RedshiftComputePlugin, keys: Keys) -> None:
    config = build_config(
        plugin, keys({"password": "{{ env_var('PW') }}"}, port=5439, ra3_node=True, retries=2)
    )
    assert plugin.generate_dbt_profile(config) == {
        "type": "redshift",
        "method": "database",
        "host": "127.0.0.1",
        "port": 5439,
        "user": "dbt",
        "password": "{{ env_var('PW') }}",
        "dbname": "analytics",
        "schema": "marts",
        "threads": 4,
        "sslmode": "disable",
        "ra3_node": True,
        "retries": 2,
    }


def test_nothing_of_the_monitors_own_gets_into_an_output(plugin: RedshiftComputePlugin, keys: Keys) -> None:
    config = build_config(plugin, keys(wake_workgroup=True, connection_reuse=True))
    assert not {"wake_workgroup", "connection_reuse"} & plugin.generate_dbt_profile(config).keys()


@pytest.mark.parametrize(
    ("credentials", "changes", "says"),
    [
        (None, {"method": "browser_identity_center"}, "opens a browser"),
        (None, {"method": "oauth_token_identity_center"}, "refresh token"),
        ({}, {}, "needs credentials.password"),
        (None, {"user": None}, "needs user"),
        (None, {"dbname": None}, "missing: dbname"),
        (None, {"database": "other"}, "same key"),
        ({"password": "a", "pass": "b"}, {}, "same key"),
        ({"token": "abcd"}, {}, "token has no use"),
        (None, {"password": "literal"}, "belongs under `credentials`"),
        (None, {"host": "redshift://host/db"}, "a name or an address alone"),
        (None, {"role": "my-role"}, "double quotes"),
        (None, {"autocreate": True}, "of no use with method: database"),
        ({}, {"method": "iam", "sslmode": None}, "needs cluster_id"),
        ({}, {"method": "iam", "cluster_id": "marts"}, "logs in over TLS alone"),
        ({}, {"method": "iam_role", "sslmode": None, "cluster_id": "marts"}, "user: of no use"),
        ({"access_key_id": "AKID"}, {"method": "iam", "sslmode": None, "cluster_id": "marts"}, "go together"),
        (KEYS, {"method": "iam", "sslmode": None, "cluster_id": "marts", "iam_profile": "x"}, "give one"),
        ({"password": "abcd"}, {"method": "iam", "sslmode": None, "cluster_id": "marts"}, "of no use"),
        (None, {"sslmode": "strict"}, "sslmode"),
        (None, {"connect_timeout": 0}, "connect_timeout"),
    ],
)
def test_configurations_that_cannot_work(
    plugin: RedshiftComputePlugin,
    keys: Keys,
    credentials: dict[str, str] | None,
    changes: dict[str, Any],
    says: str,
) -> None:
    with pytest.raises(ConfigProblems) as caught:
        build_config(plugin, keys(credentials, **changes))
    assert says in str(caught.value)
    assert "literal" not in str(caught.value).replace("literal_error", "")


@pytest.mark.parametrize(
    "output",
    [
        {"user": "dbt", "password": "{{ env_var('PW') }}", "dbname": "analytics", "sslmode": "require"},
        {"user": "dbt", "pass": "{{ env_var('PW') }}", "database": "analytics", "autocreate": False},
        {
            "method": "iam",
            "user": "dbt",
            "cluster_id": "marts",
            "dbname": "analytics",
            "db_groups": ["a"],
            **KEYS,
        },
        {"method": "iam_role", "cluster_id": "marts", "iam_profile": "team", "dbname": "analytics"},
        {"method": "iam_role", "is_serverless": True, "serverless_work_group": "wg", "dbname": "analytics"},
    ],
)
def test_there_and_back(plugin: RedshiftComputePlugin, output: dict[str, Any]) -> None:
    whole = {"type": "redshift", "host": "h.example", "port": 5439, "schema": "marts", "threads": 3, **output}
    fields = plugin.import_dbt_output(dict(whole))
    references = fields.pop("credentials", {})
    credentials = {name: f"{{{{ env_var('{each['env']}') }}}}" for name, each in references.items()}
    config = build_config(plugin, {"plugin": "redshift", "credentials": credentials, **fields})
    assert plugin.generate_dbt_profile(config) == {"method": "database", **whole}


def test_outputs_that_cannot_be_imported(plugin: RedshiftComputePlugin) -> None:
    base = {"type": "redshift", "host": "h", "port": 5439, "schema": "s", "dbname": "d", "user": "u"}
    with pytest.raises(ComputeConfigurationError, match="opens a browser"):
        plugin.import_dbt_output({**base, "method": "browser_identity_center"})
    with pytest.raises(ComputeConfigurationError, match="password is no plain"):
        plugin.import_dbt_output({**base, "password": "literal"})
    with pytest.raises(UnknownKeysError) as caught:
        plugin.import_dbt_output({**base, "method": "iam_role", "search_path": "x", "issuer_url": "y"})
    assert caught.value.keys == ("issuer_url", "search_path", "user")


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("marts.abc123xyz.eu-west-1.redshift.amazonaws.com", ("marts", None, "eu-west-1")),
        ("marts.abc123xyz.cn-north-1.redshift.amazonaws.com.cn", ("marts", None, "cn-north-1")),
        ("wg.123456789012.us-east-2.redshift-serverless.amazonaws.com", (None, "wg", "us-east-2")),
        ("123456789012.us-east-2.redshift-serverless.amazonaws.com", (None, None, "us-east-2")),
        ("warehouse.example.com", (None, None, None)),
        ("127.0.0.1", (None, None, None)),
    ],
)
def test_what_a_host_says(host: str, found: tuple[str | None, ...]) -> None:
    parts = parts_of(host)
    assert (parts.cluster, parts.workgroup, parts.region) == found
