"""Configurations, the profiles written from them and read back, and what is refused with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from floe_monitor_databricks import DatabricksComputePlugin

from floe_monitor.compute import ComputeConfigurationError
from floe_monitor.compute.toolkit.dbt_outputs import UnknownKeysError
from floe_monitor.registry.config_validation import ConfigProblems, build_config
from tests.harness.dbt_outputs import OutputGenerator

if TYPE_CHECKING:
    from floe_monitor_databricks.config import DatabricksConfig

PLUGIN = DatabricksComputePlugin()
OUTPUTS = OutputGenerator(PLUGIN)
WAREHOUSE, CLUSTER = "/sql/1.0/warehouses/abc123", "sql/protocolv1/o/42/1126-140000-abcdefgh"
BASE = {"host": "acme.cloud.databricks.com", "http_path": WAREHOUSE, "database": "main", "schema": "marts"}
TOKEN = "{{ env_var('DATABRICKS_TOKEN') }}"
SECRET = "{{ env_var('DATABRICKS_SECRET') }}"


def target(credentials: dict[str, str] | None = None, **connection: Any) -> dict[str, Any]:
    given = {**BASE, **connection}
    return {
        "plugin": "databricks",
        "connection": {key: value for key, value in given.items() if value is not None},
        "credentials": {"token": TOKEN} if credentials is None else credentials,
    }


def generated(fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    return OUTPUTS.generate(fields["connection"], fields["credentials"], **more)


def test_a_profile_with_a_token() -> None:
    output = generated(target(), threads=8)
    assert output == {"type": "databricks", **BASE, "token": TOKEN, "threads": 8}


def test_a_whole_profile() -> None:
    more: dict[str, Any] = {
        "auth_type": "oauth",
        "client_id": "{{ env_var('CLIENT') }}",
        "oauth_redirect_url": "http://localhost:8020",
        "oauth_scopes": ["sql"],
        "session_properties": {"STATEMENT_TIMEOUT": "600"},
        "connection_parameters": {"_socket_timeout": 180, "http_headers": {"X-Team": "marts"}},
        "compute": {"large": {"http_path": "/sql/1.0/warehouses/def456"}},
        "query_tags": '{"team": "marts"}',
        "connect_retries": 3,
        "connect_timeout": 10,
        "retry_all": True,
        "connect_max_idle": 60,
    }
    secrets = {"client_secret": SECRET}
    output = generated(target(secrets, **more))
    assert output == {"type": "databricks", **BASE, **more, **secrets, "threads": 4}


@pytest.mark.parametrize(
    ("path", "given", "written"),
    [
        (WAREHOUSE, {"timeout_seconds": 600}, {"STATEMENT_TIMEOUT": "600"}),
        (WAREHOUSE, {}, None),
        (CLUSTER, {"timeout_seconds": 600}, None),
        ("{{ env_var('HTTP_PATH') }}", {"timeout_seconds": 600}, None),
    ],
)
def test_the_limit_of_a_statement(path: str, given: dict[str, Any], written: dict[str, str] | None) -> None:
    """dbt-databricks has no key for it; a warehouse has a session property, a cluster has not."""
    assert generated(target(http_path=path), **given).get("session_properties") == written
    own = {"TIMEZONE": "UTC"}
    assert generated(target(http_path=path, session_properties=own), **given)["session_properties"] == own


@pytest.mark.parametrize(
    "output",
    [
        {"token": TOKEN, "catalog": "main"},
        {"token": TOKEN},
        {"token": TOKEN, "auth_type": "token"},
        {"token": TOKEN, "session_properties": {"databricks.catalog": "main"}},
        {"auth_type": "oauth", "client_id": "id", "client_secret": SECRET, "database": "main"},
        {"auth_type": "oauth", "azure_client_id": "id", "azure_client_secret": SECRET, "database": "main"},
        {
            "auth_type": "file-oidc",
            "client_id": "id",
            "oidc_token_filepath": "/var/token",
            "database": "main",
        },
        {"auth_type": "env-oidc", "client_id": "id", "connection_parameters": {"_socket_timeout": 60}},
    ],
)
def test_import_and_back(output: dict[str, Any]) -> None:
    given = {
        "type": "databricks",
        "host": "h",
        "http_path": CLUSTER,
        "schema": "marts",
        "threads": 2,
        **output,
    }
    assert OUTPUTS.regenerate(PLUGIN.import_dbt_output(given)) == given


def test_keys_that_dbt_ignores_are_named() -> None:
    with pytest.raises(UnknownKeysError) as error:
        PLUGIN.import_dbt_output(
            {"type": "databricks", **BASE, "token": "literal", "port": 443, "method": "x"}
        )
    assert error.value.keys == ("method", "port")


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ({"auth_type": "oauth"}, "no one sits at a daemon"),
        ({"token": "literal"}, "put it in an environment variable"),
    ],
)
def test_what_cannot_be_imported(output: dict[str, Any], reason: str) -> None:
    with pytest.raises(ComputeConfigurationError, match=reason):
        PLUGIN.import_dbt_output({"type": "databricks", **BASE, **output})


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (target({}), r"missing: credentials\.token"),
        (target({}, auth_type="oauth"), "no one sits at a daemon"),
        (target({}, auth_type="pat"), "auth_type is none of oauth, env-oidc, file-oidc"),
        (target({"client_secret": "x"}, auth_type="oauth"), "needs client_id"),
        (target({"azure_client_secret": "x"}, auth_type="oauth"), "go together"),
        (target({}, auth_type="env-oidc"), "env-oidc needs client_id"),
        (target({}, auth_type="file-oidc", client_id="x"), "needs oidc_token_filepath"),
        (target({"password": "x"}), "credentials: password has no use"),
        (target(token="x"), "token belongs under `credentials`"),
        (target(host="https://acme.cloud.databricks.com"), "without https://"),
        (target(host="acme.cloud.databricks.com:8443"), "_connection_uri"),
        (target(http_path="/sql/1.0/somewhere"), "no path of a SQL warehouse"),
        (target(schema="main.marts"), "refuses a dot"),
        (target(catalog="main"), "database and catalog are the same key"),
        (target(session_properties={"databricks.catalog": "main"}), "are the same: give one"),
        (target(connection_parameters={"catalog": "main"}), "sets catalog itself"),
        (target(scheme="x"), "did you mean 'schema'"),
    ],
)
def test_what_cannot_be_a_target(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigProblems, match=reason):
        build_config(PLUGIN, fields)


@pytest.mark.parametrize(
    ("path", "warehouse", "cluster", "workspace"),
    [
        (WAREHOUSE, "abc123", None, None),
        ("sql/1.0/endpoints/abc123/", "abc123", None, None),
        (f"{WAREHOUSE}?o=77", "abc123", None, "77"),
        (CLUSTER, None, "1126-140000-abcdefgh", "42"),
        ("/sql/protocolv1/o/0/1126-140000-abcdefgh", None, "1126-140000-abcdefgh", None),
    ],
)
def test_http_paths(path: str, warehouse: str | None, cluster: str | None, workspace: str | None) -> None:
    config: DatabricksConfig = build_config(PLUGIN, target(http_path=path))
    assert (config.warehouse_id, config.cluster_id, config.workspace_id) == (warehouse, cluster, workspace)
