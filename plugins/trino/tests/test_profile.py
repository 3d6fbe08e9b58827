"""Configurations, the profiles written from them and read back, and what is refused with a reason."""

from __future__ import annotations

from typing import Any

import pytest
from floe_monitor_trino import TrinoComputePlugin

from floe_monitor.compute import ComputeConfigurationError
from floe_monitor.compute.toolkit.dbt_outputs import UnknownKeysError
from floe_monitor.registry.config_validation import ConfigProblems, build_config
from tests.harness.dbt_outputs import OutputGenerator

PLUGIN = TrinoComputePlugin()
OUTPUTS = OutputGenerator(PLUGIN)
BASE = {"host": "trino.example", "port": 8443, "database": "lake", "schema": "marts"}
LIMIT = {"query_max_run_time": "3600s"}
PASSWORD = "{{ env_var('TRINO_PASSWORD') }}"


def target(credentials: dict[str, str] | None = None, **connection: Any) -> dict[str, Any]:
    given = {**BASE, "user": "dbt", **connection}
    return {
        "plugin": "trino",
        "connection": {key: value for key, value in given.items() if value is not None},
        "credentials": credentials or {},
    }


def generated(fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    return OUTPUTS.generate(fields["connection"], fields["credentials"], **more)


def test_a_profile_without_a_login() -> None:
    assert generated(target(), threads=8) == {
        "type": "trino",
        "method": "none",
        "host": "trino.example",
        "port": 8443,
        "user": "dbt",
        "database": "lake",
        "schema": "marts",
        "threads": 8,
        "session_properties": LIMIT,
    }


def test_a_whole_profile() -> None:
    more: dict[str, Any] = {
        "method": "ldap",
        "impersonation_user": "team",
        "roles": {"lake": "builder"},
        "cert": "/etc/ssl/trino.pem",
        "http_headers": {"X-Team": "{{ env_var('TEAM') }}"},
        "client_tags": ["dbt", "nightly"],
        "session_properties": {"query_max_run_time": "1h", "lake.compression_codec": "ZSTD"},
        "prepared_statements_enabled": False,
        "retries": 5,
        "timezone": "Europe/Berlin",
        "suppress_cert_warning": True,
        "starburst_url": "https://galaxy.example",
        "starburst_client_id": "client",
        "starburst_metadata_failure_strategy": "continue_on_error",
        "starburst_max_column_batch_size": 50,
    }
    secrets = {"password": PASSWORD, "starburst_secret_key": "{{ env_var('STARBURST') }}"}
    output = generated(target(secrets, **more))
    assert output == {"type": "trino", **BASE, "user": "dbt", **more, **secrets, "threads": 4}


@pytest.mark.parametrize(
    ("secrets", "login"),
    [
        ({"jwt_token": "{{ env_var('JWT') }}"}, {"method": "jwt"}),
        ({}, {"method": "certificate", "client_certificate": "/c.pem", "client_private_key": "/k.pem"}),
        ({"password": PASSWORD}, {"method": "ldap", "user": "dbt"}),
    ],
)
def test_a_new_target_has_the_certificate_verified(secrets: dict[str, str], login: dict[str, Any]) -> None:
    output = generated(target(secrets, **{"user": None, **login}))
    more = {"cert": True, "session_properties": LIMIT, "threads": 4}
    assert output == {"type": "trino", **BASE, **login, **secrets, **more}


def test_the_limit_of_a_query_is_a_session_property() -> None:
    """dbt-trino has no key for it. Whoever gives session properties gives it there."""
    assert generated(target(), timeout_seconds=600)["session_properties"] == {"query_max_run_time": "600s"}
    own = {"join_max_broadcast_table_size": "1GB"}
    assert generated(target(session_properties=own), timeout_seconds=600)["session_properties"] == own
    none = target()
    none["connection"]["session_properties"] = None
    assert "session_properties" not in generated(none)


def test_session_properties_that_are_one_expression() -> None:
    whole = "{{ env_var('PROPERTIES') | as_native }}"
    assert generated(target(session_properties=whole))["session_properties"] == whole


@pytest.mark.parametrize(
    "output",
    [
        {"user": "dbt", "catalog": "lake"},
        {"method": "ldap", "user": "dbt", "password": PASSWORD, "database": "lake"},
        {"method": "jwt", "jwt_token": PASSWORD, "database": "lake", "cert": False},
        {"method": "none", "http_scheme": "https", "user": "dbt", "database": "lake", "retries": 1},
        {
            "user": "dbt",
            "database": "lake",
            "session_properties": {"query_max_run_time": "10m"},
            "roles": {"system": "ALL"},
        },
    ],
)
def test_import_and_back(output: dict[str, Any]) -> None:
    given = {"type": "trino", "host": "h", "port": 443, "schema": "marts", "threads": 2, **output}
    again = OUTPUTS.regenerate(PLUGIN.import_dbt_output(given))
    assert again == {"method": "none", **given}


@pytest.mark.parametrize(
    ("output", "keys"),
    [
        ({"method": "ldap", "user": "u", "password": PASSWORD, "http_scheme": "https"}, ("http_scheme",)),
        ({"user": "u", "password": "literal", "sslmode": "require"}, ("password", "sslmode")),
        ({"method": "jwt", "jwt_token": PASSWORD, "keytab": "k"}, ("keytab",)),
    ],
)
def test_keys_that_dbt_ignores_are_named(output: dict[str, Any], keys: tuple[str, ...]) -> None:
    with pytest.raises(UnknownKeysError) as error:
        PLUGIN.import_dbt_output({"type": "trino", **BASE, **output})
    assert error.value.keys == keys


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ({"method": "kerberos", "keytab": "k"}, "Kerberos library"),
        ({"method": "gssapi"}, "nothing bounds"),
        ({"method": "oauth"}, "opens a browser"),
        ({"method": "oauth_console"}, "no one sits at a daemon"),
        ({"method": "ldap", "user": "u", "password": "literal"}, "put it in an environment variable"),
    ],
)
def test_what_cannot_be_imported(output: dict[str, Any], reason: str) -> None:
    with pytest.raises(ComputeConfigurationError, match=reason):
        PLUGIN.import_dbt_output({"type": "trino", **BASE, **output})


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (target(method="kerberos"), "a probe cannot use it"),
        (target(method="oauth"), "use jwt"),
        (target(method="ldap"), r"needs credentials\.password"),
        (target({"password": "x"}, method="jwt"), "password: of no use with method: jwt"),
        (target(method="jwt"), r"needs credentials\.jwt_token"),
        (target(method="certificate", client_certificate="/c.pem"), "needs client_private_key"),
        (target(user=None), "method: none needs user"),
        (target({"password": "x"}), "password: of no use with method: none"),
        (target({"password": "x"}, method="ldap", http_scheme="http"), "which always uses TLS"),
        (target({"token": "x"}), "credentials: token has no use"),
        (target(database=None), "missing: database"),
        (target(catalog="lake"), "database and catalog are the same key"),
        (target(password="x"), "password belongs under `credentials`"),
        (target(host="https://trino.example"), "a name or an address alone"),
        (target(port=0), "port"),
        (target(http_headers={"x-trino-USER": "root"}), "dbt's driver sets x-trino-USER itself"),
        (target(catlog="lake"), "did you mean 'catalog'"),
    ],
)
def test_what_cannot_be_a_target(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigProblems, match=reason):
        build_config(PLUGIN, fields)
