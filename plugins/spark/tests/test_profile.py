"""Configuration in, dbt's output out, and back."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from floe_monitor_spark import SparkComputePlugin
from hypothesis import given
from hypothesis import strategies as st

from floe_monitor.compute import ComputeConfigurationError
from floe_monitor.registry.config_validation import ConfigProblems
from tests.harness.dbt_outputs import OutputGenerator

PLUGIN = SparkComputePlugin()
SECRET = "{{ env_var('SPARK_SECRET') }}"
THRIFT = {"method": "thrift", "host": "spark.example.internal", "port": 10000, "schema": "marts"}
HTTP = {"method": "http", "host": "org.example.com", "cluster": "0123-456789-abc", "schema": "marts"}
OUTPUTS = OutputGenerator(PLUGIN)
generate, regenerate = OUTPUTS.generate, OUTPUTS.regenerate


def test_a_thrift_server() -> None:
    assert generate({**THRIFT, "user": "dbt", "auth": "LDAP"}, {"password": SECRET}) == {
        "type": "spark",
        "method": "thrift",
        "host": "spark.example.internal",
        "port": 10000,
        "user": "dbt",
        "password": SECRET,
        "schema": "marts",
        "auth": "LDAP",
        "connect_retries": 1,
        "connect_timeout": 10,
        "threads": 4,
    }


def test_a_cluster() -> None:
    assert generate(HTTP, {"token": SECRET}) == {
        "type": "spark",
        "method": "http",
        "host": "org.example.com",
        "port": 443,
        "token": SECRET,
        "schema": "marts",
        "cluster": "0123-456789-abc",
        "connect_retries": 1,
        "connect_timeout": 10,
        "threads": 4,
    }


def test_the_query_timeout_is_written_when_asked_for() -> None:
    """Older adapters refuse the key: a default would break their profile."""
    assert "query_timeout" not in generate(THRIFT)
    assert generate(THRIFT, timeout_seconds=600)["query_timeout"] == 600
    assert generate({**THRIFT, "query_timeout": 60}, timeout_seconds=600)["query_timeout"] == 60


def test_expressions_stand_as_they_are() -> None:
    port = "{{ env_var('SPARK_PORT', '10000') | as_number }}"
    output = generate({**THRIFT, "port": port, "schema": "{{ env_var('SCHEMA') }}"})
    assert (output["port"], output["schema"]) == (port, "{{ env_var('SCHEMA') }}")


def test_what_the_monitor_alone_reads_is_not_written() -> None:
    assert "wake_cluster" not in generate({**HTTP, "wake_cluster": True}, {"token": SECRET})


def test_what_only_the_monitor_reads_stays_out() -> None:
    plain = generate(THRIFT)
    assert plain == generate(
        THRIFT, connection_reuse=True, connection_idle_seconds=5, connection_max_age_seconds=50
    )


DOCUMENTED_THRIFT = """
type: spark
method: thrift
schema: analytics
host: spark.example.com
port: 10001
user: alice
auth: KERBEROS
kerberos_service_name: hive
use_ssl: true
connect_timeout: 60
connect_retries: 5
poll_interval: 5
query_timeout: 600
query_retries: 1
retry_all: true
threads: 4
server_side_parameters:
  "spark.driver.memory": "4g"
  "spark.sql.shuffle.partitions": "8"
"""
DOCUMENTED_HTTP = """
type: spark
method: http
schema: analytics
host: yourorg.sparkhost.com
organization: "1234"
port: 443
token: "{{ env_var('DBT_TOKEN') }}"
cluster: 0123-456789-abc
connect_timeout: 60
connect_retries: 5
threads: 1
"""


@pytest.mark.parametrize(
    ("document", "changes"),
    [
        (DOCUMENTED_THRIFT, {}),
        (DOCUMENTED_THRIFT, {"port": None, "connect_retries": None, "connect_timeout": None}),
        (DOCUMENTED_THRIFT, {"auth": None, "kerberos_service_name": None, "user": None}),
        (DOCUMENTED_THRIFT, {"database": "analytics", "use_ssl": False}),
        (DOCUMENTED_HTTP, {}),
        (DOCUMENTED_HTTP, {"host": "https://yourorg.sparkhost.com/", "organization": None, "port": None}),
        (DOCUMENTED_HTTP, {"port": "{{ env_var('PORT') | int }}", "cluster": "{{ env_var('CLUSTER') }}"}),
    ],
)
def test_an_imported_output_generates_itself(document: str, changes: dict[str, Any]) -> None:
    output = {
        key: value for key, value in {**yaml.safe_load(document), **changes}.items() if value is not None
    }
    assert regenerate(PLUGIN.import_dbt_output(output)) == output


@pytest.mark.parametrize(
    ("document", "changes", "named"),
    [
        (DOCUMENTED_HTTP, {"token": "dapi-hunter2"}, "token"),
        (DOCUMENTED_HTTP, {"endpoint": "abc"}, "endpoint"),
        (DOCUMENTED_HTTP, {"method": "odbc"}, "ODBC"),
        (DOCUMENTED_THRIFT, {"method": "session", "host": "NA"}, "daemon"),
        (DOCUMENTED_THRIFT, {"method": "connect"}, "Spark Connect"),
        (DOCUMENTED_THRIFT, {"hots": "x"}, "hots"),
        (DOCUMENTED_THRIFT, {"connection_reuse": True}, "connection_reuse"),
    ],
)
def test_what_cannot_be_imported_is_named(document: str, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ComputeConfigurationError, match=named) as caught:
        PLUGIN.import_dbt_output({**yaml.safe_load(document), **changes})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("connection", "credentials", "named"),
    [
        ({**THRIFT, "method": "session"}, {}, "daemon"),
        ({**THRIFT, "method": "odbc"}, {}, "ODBC"),
        ({**THRIFT, "method": "connect"}, {}, "Spark Connect"),
        ({**THRIFT, "method": "spark_connect"}, {}, "Spark Connect"),
        ({**THRIFT, "host": "sc://spark"}, {}, "Spark Connect"),
        ({**THRIFT, "method": "other"}, {}, "thrift"),
        ({**THRIFT, "auth": "PLAIN"}, {}, "NONE, LDAP and CUSTOM"),
        ({**THRIFT, "auth": "LDAP"}, {}, "password"),
        ({**THRIFT, "auth": "NONE"}, {"password": SECRET}, "LDAP or CUSTOM"),
        ({**THRIFT, "auth": "KERBEROS"}, {}, "kerberos_service_name"),
        ({**THRIFT, "kerberos_service_name": "hive"}, {}, "KERBEROS"),
        ({**THRIFT, "cluster": "x"}, {}, "cluster"),
        ({**THRIFT, "wake_cluster": True}, {}, "wake_cluster"),
        ({**THRIFT, "database": "other"}, {}, "database"),
        ({**THRIFT, "host": "https://spark"}, {}, "scheme"),
        ({**THRIFT, "password": "hunter2"}, {}, "credentials"),
        ({**THRIFT, "server_side_parameters": {"a": {"b": "c"}}}, {}, "server_side_parameters"),
        ({**THRIFT, "server_side_parameters": {"a": 8}}, {}, "in quotes"),
        ({**THRIFT, "server_side_parameters": {"a": True}}, {}, "in quotes"),
        ({key: value for key, value in THRIFT.items() if key != "port"}, {}, "port"),
        (THRIFT, {"token": SECRET}, "token"),
        (HTTP, {}, "token"),
        ({**HTTP, "use_ssl": True}, {"token": SECRET}, "use_ssl"),
        ({**HTTP, "user": "dbt"}, {"token": SECRET}, "user"),
        ({**HTTP, "host": "http://org.example.com"}, {"token": SECRET}, "HTTPS"),
        ({key: value for key, value in HTTP.items() if key != "cluster"}, {"token": SECRET}, "cluster"),
    ],
)
def test_what_cannot_work_is_refused(
    connection: dict[str, Any], credentials: dict[str, str], named: str
) -> None:
    with pytest.raises(ConfigProblems, match=named) as caught:
        generate(connection, credentials)
    assert "hunter2" not in str(caught.value)


NAMES = st.text("abcdefghijklmnopqrstuvwxyz-.0123456789", min_size=1, max_size=30).filter(
    lambda name: "://" not in name
)


@given(
    host=NAMES,
    port=st.integers(1, 65535),
    schema=NAMES,
    retries=st.none() | st.integers(0, 100),
    use_ssl=st.none() | st.booleans(),
    parameters=st.dictionaries(NAMES, st.text(max_size=10), max_size=3),
)
def test_any_profile_survives_the_way_back(
    host: str, port: int, schema: str, retries: int | None, use_ssl: bool | None, parameters: dict[str, Any]
) -> None:
    given_keys = {
        "method": "thrift",
        "host": host,
        "port": port,
        "schema": schema,
        "connect_retries": retries,
        "server_side_parameters": parameters,
    }
    if use_ssl is not None:
        given_keys["use_ssl"] = use_ssl
    output = generate(given_keys)
    assert yaml.safe_load(yaml.safe_dump(output)) == output
    assert regenerate(PLUGIN.import_dbt_output(output)) == output
