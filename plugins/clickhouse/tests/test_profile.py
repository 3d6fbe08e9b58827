"""Configurations, the profiles written from them and read back, and what is refused with a reason."""

from __future__ import annotations

from typing import Any

import pytest
from floe_monitor_clickhouse import ClickHouseComputePlugin
from floe_monitor_clickhouse.config import ClickHouseConfig
from floe_monitor_clickhouse.errors import SettingError
from floe_monitor_clickhouse.session_settings import dbt_settings, http_parameters, native_settings
from floe_monitor_clickhouse.sql import identifier, literal

from floe_monitor.compute import ComputeConfigurationError
from floe_monitor.compute.toolkit.dbt_outputs import UnknownKeysError
from floe_monitor.registry.config_validation import ConfigProblems, build_config
from tests.harness.dbt_outputs import OutputGenerator

PLUGIN = ClickHouseComputePlugin()
OUTPUTS = OutputGenerator(PLUGIN)
BASE = {"host": "ch.example", "user": "dbt", "schema": "marts"}
PASSWORD = "{{ env_var('CLICKHOUSE_PASSWORD') }}"
SERVICE = {
    "cloud_organization_id": "2e2124ca-c5ac-459d-a6f2-abc123549d2a",
    "cloud_service_id": "123abcd0-e9b5-4f55-9e42-0fb04392445c",
    "cloud_key_id": "key",
}


def target(credentials: dict[str, str] | None = None, **connection: Any) -> dict[str, Any]:
    given = {**BASE, **connection}
    return {
        "plugin": "clickhouse",
        "connection": {key: value for key, value in given.items() if value is not None},
        "credentials": credentials or {},
    }


def generated(fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    return OUTPUTS.generate(fields["connection"], fields["credentials"], **more)


def test_a_small_profile() -> None:
    assert generated(target(), threads=8, timeout_seconds=900) == {
        "type": "clickhouse",
        "host": "ch.example",
        "user": "dbt",
        "schema": "marts",
        "threads": 8,
        "send_receive_timeout": 900,
    }


def test_a_whole_profile() -> None:
    more: dict[str, Any] = {
        "driver": "native", "port": 9440, "cluster": "main", "cluster_mode": False, "database": "marts",
        "database_engine": "Replicated('/x', '{shard}')", "secure": True, "verify": False,
        "client_cert": "/c.pem", "client_cert_key": "/c.key", "server_host_name": "ch", "connect_timeout": 5,
        "send_receive_timeout": 60, "sync_request_timeout": 3, "retries": 0, "compression": "lz4",
        "compress_block_size": 65536, "check_exchange": False, "custom_settings": {"max_threads": 2},
        "use_lw_deletes": True, "allow_automatic_deduplication": True, "tcp_keepalive": [1, 2, 3],
        "reuse_connections": False, "local_suffix": "l", "local_db_prefix": "p",
    }  # fmt: skip
    fields = target({"password": PASSWORD}, **more)
    found = generated(fields)
    assert found == {
        "type": "clickhouse", **BASE, **more, "password": PASSWORD, "threads": 4,
    }  # fmt: skip
    back = PLUGIN.import_dbt_output(found)
    assert back["credentials"] == {"password": {"env": "CLICKHOUSE_PASSWORD"}}
    assert generated(target({"password": PASSWORD}, **back["connection"]), threads=4) == found


def test_an_imported_profile_without_a_limit_stays_without() -> None:
    output = {"type": "clickhouse", "schema": "marts", "threads": 1}
    back = PLUGIN.import_dbt_output(output)
    assert OUTPUTS.generate(back["connection"], {}, threads=1) == output


def test_what_only_the_monitor_reads_is_not_in_a_profile() -> None:
    fields = target({"cloud_key_secret": "{{ env_var('S') }}"}, **SERVICE, connection_reuse=True)
    assert not {"cloud_key_secret", *SERVICE, "connection_reuse", "cloud_api"} & set(generated(fields))


@pytest.mark.parametrize(
    ("output", "error", "says"),
    [
        ({"password": "literal"}, ComputeConfigurationError, "environment variable"),
        ({"warehouse": "x"}, UnknownKeysError, "warehouse"),
        ({"wake_service": True}, UnknownKeysError, "wake_service"),
        ({"cloud_key_secret": PASSWORD}, UnknownKeysError, "cloud_key_secret"),
    ],
)
def test_what_cannot_be_imported(output: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says) as raised:
        PLUGIN.import_dbt_output({"type": "clickhouse", **output})
    assert "literal" not in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "credentials", "says"),
    [
        ({"host": "https://ch.example"}, {}, "a name or an address alone"),
        ({"database": "other"}, {}, "the same as schema"),
        ({"password": "x"}, {}, "belongs under `credentials`"),
        ({}, {"token": "x"}, "token has no use"),
        ({"client_cert_key": "/k"}, {}, "without client_cert"),
        ({"client_cert": "/c"}, {}, "without secure"),
        ({"tcp_keepalive": [1, 2]}, {}, "three numbers"),
        ({"cloud_service_id": SERVICE["cloud_service_id"]}, {}, "cloud_organization_id, cloud_key_id"),
        ({**SERVICE}, {}, "cloud_key_secret"),
        ({**SERVICE, "cloud_api": "http://api.example"}, {"cloud_key_secret": "x"}, "https"),
        ({**SERVICE, "cloud_service_id": "mine"}, {"cloud_key_secret": "x"}, "cloud_service_id"),
        ({"port": 0}, {}, "port"),
        ({"driver": "odbc"}, {}, "driver"),
        ({"shcema": "x"}, {}, "shcema"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], credentials: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigProblems) as raised:
        build_config(PLUGIN, target(credentials, **changes))
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "protocol", "port"),
    [
        ({}, "http", 8123),
        ({"secure": True}, "http", 8443),
        ({"driver": "native"}, "native", 9000),
        ({"driver": "native", "secure": True}, "native", 9440),
        ({"port": 9000}, "native", 9000),
        ({"port": 9440}, "native", 9440),
        ({"port": 9000, "driver": "http"}, "http", 9000),
        ({"port": 443}, "http", 443),
    ],
)
def test_protocol_and_port_as_dbt_chooses_them(changes: dict[str, Any], protocol: str, port: int) -> None:
    config = build_config(PLUGIN, target(**changes))
    assert isinstance(config, ClickHouseConfig)
    assert (config.protocol, config.server_port) == (protocol, port)


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({}, {}),
        ({"custom_settings": {"alter_sync": 0, "max_threads": 2}}, {"alter_sync": 0, "max_threads": 2}),
        (
            {"cluster_mode": True},
            {"database_replicated_enforce_synchronous_settings": "1", "insert_quorum": "auto"},
        ),
        ({"database_engine": "Shared"}, {"select_sequential_consistency": "1"}),
    ],
)
def test_the_session_is_dbts(changes: dict[str, Any], more: dict[str, Any]) -> None:
    config = build_config(PLUGIN, target(**changes))
    assert isinstance(config, ClickHouseConfig)
    usual = {
        "mutations_sync": "3", "lightweight_deletes_sync": "3", "alter_sync": "3",
        "insert_distributed_sync": "1",
    }  # fmt: skip
    assert dbt_settings(config) == {**usual, **more}


def test_settings_as_the_http_driver_writes_them() -> None:
    given = {"a": True, "m": {"k": "it's"}, "l": ["x", 1], "n": 2, "role": "r"}
    assert http_parameters(given, {}) == {
        "a": "True", "m": "{'k': 'it\\'s'}", "l": "['x', 1]", "n": "2", "role": "r",
    }  # fmt: skip
    assert native_settings({"a": True, "n": 2}) == {"a": "True", "n": "2"}
    # Read-only and as wanted already: nothing is sent. So the driver does it for settings of HTTP alone.
    assert http_parameters({"a": True, "n": 2}, {"a": ("1", True), "n": ("1", False)}) == {"n": "2"}
    assert http_parameters({"enable_http_compression": 1}, {}) == {}


@pytest.mark.parametrize(
    ("given", "known", "says"),
    [
        ({"n": 2}, {"n": ("1", True)}, "may not change setting n"),
        ({"password": "hunter2"}, {}, "password is a parameter"),
        ({"param_x": 1}, {}, "param_x is a parameter"),
    ],
)
def test_settings_that_the_http_driver_refuses(
    given: dict[str, Any], known: dict[str, tuple[str, bool]], says: str
) -> None:
    with pytest.raises(SettingError, match=says) as raised:
        http_parameters(given, known)
    assert "hunter2" not in str(raised.value)


def test_names_and_texts_are_quoted() -> None:
    assert identifier("mar`ts\\") == "`mar\\`ts\\\\`"
    assert identifier('"quoted"') == '"quoted"'
    assert identifier("`") == "`\\``"
    assert literal("it's \\") == "'it\\'s \\\\'"
