"""Configuration in, dbt-snowflake's output out, and back."""

from __future__ import annotations

import re
from typing import Any

import pytest
from floe_monitor_snowflake import SnowflakeComputePlugin
from packaging.requirements import Requirement

from floe_monitor.compute import ComputeConfigurationError, ConnectionStatus, ErrorType
from floe_monitor.registry.config_validation import ConfigProblems, build_config

PLUGIN = SnowflakeComputePlugin()
BASE = {"account": "acme-analytics", "user": "dbt", "database": "analytics", "schema": "marts"}


def profile(credentials: dict[str, str] | None = None, threads: int = 4, **connection: Any) -> dict[str, Any]:
    given = {key: f"{{{{ env_var('{name}') }}}}" for key, name in (credentials or {}).items()}
    fields = {"plugin": "snowflake", "threads": threads, "connection": {**BASE, **connection}}
    return PLUGIN.generate_dbt_profile(build_config(PLUGIN, {**fields, "credentials": given}))


def test_complete_and_in_dbts_words() -> None:
    assert profile({"password": "PW"}, warehouse="transforming", role="transformer") == {
        "type": "snowflake",
        "account": "acme-analytics",
        "user": "dbt",
        "password": "{{ env_var('PW') }}",
        "role": "transformer",
        "warehouse": "transforming",
        "database": "analytics",
        "schema": "marts",
        "threads": 4,
        "client_session_keep_alive": False,
        "connect_retries": 1,
        "connect_timeout": 10,
    }


def test_keeping_sessions_is_the_monitors_alone() -> None:
    kept = {"connection_reuse": True, "connection_idle_seconds": 60, "connection_max_age_seconds": 300}
    fields = {"plugin": "snowflake", "connection": BASE, "credentials": {"password": "{{ env_var('PW') }}"}}
    assert PLUGIN.generate_dbt_profile(build_config(PLUGIN, {**fields, **kept})) == profile(
        {"password": "PW"}
    )
    assert profile({"password": "PW"}, **kept) == profile({"password": "PW"})
    for key, value in kept.items():
        with pytest.raises(ComputeConfigurationError, match=key):
            PLUGIN.import_dbt_output({"type": "snowflake", **BASE, key: value})


@pytest.mark.parametrize(
    ("credentials", "connection", "words"),
    [
        ({}, {"authenticator": "externalbrowser"}, "no one sits at a daemon"),
        ({"password": "P"}, {"authenticator": "username_password_mfa"}, "second factor"),
        ({"password": "P"}, {"authenticator": "https://acme.okta.com"}, "through Okta"),
        ({}, {"authenticator": "workload_identity"}, "proof from the cloud"),
        ({}, {"workload_identity_provider": "AWS"}, "proof from the cloud"),
        ({"token": "T"}, {"authenticator": "kerberos"}, "one of oauth"),
        ({"token": "T"}, {}, "token needs `authenticator`"),
        ({"password": "P", "token": "T"}, {"authenticator": "oauth"}, "give one"),
        ({"password": "P", "private_key": "K"}, {}, "give one"),
        ({"private_key": "K"}, {"private_key_path": "/k"}, "exclude each other"),
        ({"private_key_passphrase": "K", "password": "P"}, {}, "without a private key"),
        ({"private_key": "K"}, {"authenticator": "oauth"}, "without use"),
        ({"password": "P"}, {"authenticator": "snowflake_jwt"}, "give one"),
        ({}, {"authenticator": "snowflake_jwt"}, "needs a private key"),
        ({"oauth_client_secret": "S"}, {"authenticator": "oauth"}, "use up"),
        ({"token": "T"}, {"authenticator": "oauth", "oauth_client_id": "x"}, "use up"),
        ({"passcode": "S"}, {}, "has no use"),
        ({}, {"password": "x"}, "belongs under `credentials`"),
        ({"password": "P"}, {"user": None}, "missing: user"),
        ({"password": "P"}, {"account": "acme.snowflakecomputing.com"}, "identifier alone"),
        ({"password": "P"}, {"proxy_port": 3128}, "without proxy_host"),
        ({"password": "P"}, {"warehose": "x"}, "warehouse"),
        ({"password": "P"}, {"port": 0}, "port"),
        ({"password": "P"}, {"protocol": "ftp"}, "protocol"),
    ],
)
def test_wrong_combinations_are_refused(
    credentials: dict[str, str], connection: dict[str, Any], words: str
) -> None:
    given = {key: value for key, value in {**BASE, **connection}.items() if value is not None}
    with pytest.raises(ConfigProblems, match=re.escape(words)):
        build_config(PLUGIN, {"plugin": "snowflake", "connection": given, "credentials": credentials})


@pytest.mark.parametrize(
    ("connection", "words"),
    [({}, "no way to log in"), ({"authenticator": "oauth"}, "needs credentials.token")],
)
def test_nothing_to_log_in_with(connection: dict[str, Any], words: str) -> None:
    with pytest.raises(ComputeConfigurationError, match=words):
        profile(**connection)
    given = {"plugin": "snowflake", "connection": {**BASE, **connection, "host": "127.0.0.1", "port": 1}}
    result = PLUGIN.validate_connection(build_config(PLUGIN, given))
    assert (result.status, result.error_type) == (ConnectionStatus.UNHEALTHY, ErrorType.CONFIGURATION)
    assert words in result.message


@pytest.mark.parametrize(
    "output",
    [
        {"password": "{{ env_var('SNOWFLAKE_PASSWORD') }}", "role": "r", "warehouse": "w"},
        {"authenticator": "oauth", "token": "{{ env_var('T') }}"},
        {"authenticator": "snowflake", "private_key": "{{ env_var('K') }}"},
        {"authenticator": "programmatic_access_token", "token": "{{ env_var('T') }}", "query_tag": "x"},
        {"private_key_path": "/keys/k.p8", "private_key_passphrase": "{{ env_var('P') }}"},
        {"private_key": '{{ env_var("K") }}'.replace('"', "'"), "retry_all": True, "connect_retries": 0},
        {"password": "{{ env_var('P') }}", "port": "{{ env_var('PORT') }}", "host": "h", "protocol": "http"},
        {"password": "{{ env_var('P') }}", "client_session_keep_alive": True, "reuse_connections": False},
        {"password": "{{ env_var('P') }}", "connect_timeout": 0, "retry_on_database_errors": False},
    ],
)
def test_imported_and_written_again(output: dict[str, Any]) -> None:
    given = {"type": "snowflake", **BASE, "threads": 8, **output}
    found = PLUGIN.import_dbt_output(given)
    secrets = {key: f"{{{{ env_var('{ref['env']}') }}}}" for key, ref in found.get("credentials", {}).items()}
    again = build_config(PLUGIN, {"plugin": "snowflake", **found, "credentials": secrets})
    assert PLUGIN.generate_dbt_profile(again) == given


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ({"password": "in the open"}, "password is no plain"),
        ({"warehose": "x"}, "warehose"),
        ({"oauth_client_id": "x"}, "refresh token"),
    ],
)
def test_what_cannot_be_imported_is_named(output: dict[str, Any], words: str) -> None:
    with pytest.raises(ComputeConfigurationError, match=words) as raised:
        PLUGIN.import_dbt_output({"type": "snowflake", **BASE, **output})
    assert "in the open" not in str(raised.value)


@pytest.mark.parametrize(
    ("connection", "address"),
    [
        ({"account": "acme-analytics"}, ("acme-analytics.snowflakecomputing.com", 443)),
        ({"account": "acme_x.eu-west-1"}, ("acme-x.eu-west-1.snowflakecomputing.com", 443)),
        ({"account": "acme.cn-north-1"}, ("acme.cn-north-1.snowflakecomputing.cn", 443)),
        ({"host": "sf.example.org", "port": 8443}, ("sf.example.org", 8443)),
    ],
)
def test_addresses(connection: dict[str, Any], address: tuple[str, int]) -> None:
    fields = {"connection": {**BASE, **connection}, "credentials": {"password": "x"}}
    config: Any = build_config(PLUGIN, {"plugin": "snowflake", **fields})
    assert config.address == address


def test_packages_resolve() -> None:
    (found,) = [Requirement(text) for text in PLUGIN.get_required_dbt_packages()]
    assert found.name == "dbt-snowflake"
    assert found.specifier.contains("1.12.3")
