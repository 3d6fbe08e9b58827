"""Configuration in, dbt's output out, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from floe_monitor.compute import ComputeConfigurationError
from floe_monitor.registry.config_validation import ConfigProblems, build_config
from tests.harness.dbt_outputs import OutputGenerator

if TYPE_CHECKING:
    from pathlib import Path

from floe_monitor_postgres import PostgresComputePlugin

PLUGIN = PostgresComputePlugin()
SECRET = "{{ env_var('WAREHOUSE_PASSWORD') }}"
LEAST = {"host": "db.example.internal", "user": "dbt", "dbname": "analytics", "schema": "public"}
FILES = {"sslcert": "/tls/c.pem", "sslkey": "/tls/c.key"}
OUTPUTS = OutputGenerator(PLUGIN)
generate, regenerate = OUTPUTS.generate, OUTPUTS.regenerate


def test_the_designs_example() -> None:
    assert generate({**LEAST, "port": 5432}, {"password": SECRET}) == {
        "type": "postgres",
        "host": "db.example.internal",
        "user": "dbt",
        "password": SECRET,
        "port": 5432,
        "dbname": "analytics",
        "schema": "public",
        "threads": 4,
        "connect_timeout": 10,
        "retries": 1,
    }


def test_without_a_password_dbt_still_gets_its_key() -> None:
    assert generate({**LEAST, **FILES, "sslmode": "require"})["password"] == ""


def test_expressions_stand_as_they_are() -> None:
    port = "{{ env_var('PGPORT', '5432') | as_number }}"
    assert generate({**LEAST, "port": port, "host": "{{ env_var('PGHOST') }}"})["port"] == port


def test_what_the_monitor_alone_reads_is_not_written() -> None:
    output = generate(LEAST, connection_reuse=True, connection_idle_seconds=5)
    assert not [key for key in output if key.startswith("connection_")]


DOCUMENTED = """
type: postgres
host: db.example.com
user: alice
password: "{{ env_var('DBT_PASSWORD') }}"
port: 5432
dbname: warehouse
schema: dbt_alice
threads: 4
keepalives_idle: 0
connect_timeout: 10
retries: 1
search_path: "dbt_alice, public"
role: transformer
sslmode: verify-full
sslcert: /etc/tls/client.pem
sslkey: /etc/tls/client.key
sslrootcert: /etc/tls/root.pem
"""


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"dbname": None, "database": "warehouse"},
        {"password": None, "pass": "{{env_var('P')}}"},
        {"connect_timeout": None, "retries": None, "keepalives_idle": None},
        {"port": "5432", "retries": "{{ env_var('RETRIES', '3') | int }}"},
        {"application_name": "nightly", "autocommit": True, "threads": 12},
        {"password": ""},
    ],
)
def test_an_imported_output_generates_itself(changes: dict[str, Any]) -> None:
    output = {
        key: value for key, value in {**yaml.safe_load(DOCUMENTED), **changes}.items() if value is not None
    }
    expected = dict(output)
    if "pass" in expected:
        expected["pass"] = "{{ env_var('P') }}"
    assert regenerate(PLUGIN.import_dbt_output(output)) == expected


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"password": "hunter2"}, "password"),
        ({"password": "{{ env_var('P', 'fallback') }}"}, "password"),
        ({"service": "warehouse"}, "service"),
        ({"sslpassword": "hunter2"}, "sslpassword"),
    ],
)
def test_what_cannot_be_carried_over_is_named(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ComputeConfigurationError, match=named) as caught:
        PLUGIN.import_dbt_output({**yaml.safe_load(DOCUMENTED), **changes})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"host": None}, "missing: host"),
        ({"user": None, "dbname": None}, "missing: user, dbname"),
        ({"database": "other"}, "give one"),
        ({"password": "hunter2"}, "under `credentials`"),
        ({"sslmode": "verify"}, "sslmode"),
        ({"sslcert": "/c.pem"}, "go together"),
        ({"sslmode": "disable", "sslrootcert": "/r.pem"}, "without use"),
        ({"sslmode": "require", "sslrootcert": "system"}, "verify-full alone"),
        ({"role": "a; drop table b"}, "double quotes"),
        ({"role": "my-role"}, "double quotes"),
        ({"port": 70000}, "port"),
        ({"connect_timeout": 0}, "connect_timeout"),
        ({"search_path": "a\nb"}, "search_path"),
        ({"shema": "x"}, "did you mean 'schema'"),
    ],
)
def test_wrong_combinations_are_refused(changes: dict[str, Any], says: str) -> None:
    connection = {key: value for key, value in {**LEAST, **changes}.items() if value is not None}
    with pytest.raises(ConfigProblems) as caught:
        build_config(PLUGIN, {"plugin": "postgres", "connection": connection})
    assert says in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("credentials", [{"token": "x"}, {"password": "a", "pass": "b"}])
def test_credentials_that_have_no_use_are_refused(credentials: dict[str, str]) -> None:
    with pytest.raises(ConfigProblems, match="credentials"):
        build_config(PLUGIN, {"plugin": "postgres", "connection": LEAST, "credentials": credentials})


# ------------------------------------------------------------ services


@pytest.fixture
def service_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "pg_service.conf"
    monkeypatch.setenv("PGSERVICEFILE", str(path))
    monkeypatch.setenv("PGSYSCONFDIR", str(tmp_path / "none"))
    return path


def test_a_service_is_written_out_in_full(service_file: Path) -> None:
    service_file.write_text(
        "# ours\n[wh]\nhost=db.internal\nport=6432\nuser=dbt\ndbname=a\nsslmode=require\n"
    )
    output = generate({"service": "wh", "schema": "s", "user": "mine"}, {"password": SECRET})
    assert output == {
        "type": "postgres",
        "host": "db.internal",
        "user": "mine",
        "password": SECRET,
        "port": 6432,
        "dbname": "a",
        "schema": "s",
        "threads": 4,
        "connect_timeout": 10,
        "retries": 1,
        "sslmode": "require",
    }


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[other]\nhost=x\n", "is in none of"),
        ("[wh]\nhost=x\npassword=hunter2\n", "holds a password"),
        ("[wh]\nhost=x\ntarget_session_attrs=read-write\n", "target_session_attrs"),
        ("[wh]\nhost=x\nuser=u\ndbname=d\nport=many\n", "port is no number"),
        ("[wh]\nhost=x\n", "gives: user, dbname"),
        ("hunter2\n", "cannot read"),
    ],
)
def test_a_service_that_cannot_serve(service_file: Path, content: str, says: str) -> None:
    service_file.write_text(content)
    with pytest.raises(ComputeConfigurationError, match=says) as caught:
        generate({"service": "wh", "schema": "s"})
    assert "hunter2" not in str(caught.value)


def test_a_missing_service_is_a_failed_check(service_file: Path) -> None:
    config = build_config(PLUGIN, {"plugin": "postgres", "connection": {"service": "wh", "schema": "s"}})
    result = PLUGIN.validate_connection(config)
    assert [(check.name, check.error_type) for check in result.checks] == [("service", "configuration")]


# ------------------------------------------------------------ what libpq is told


@given(st.dictionaries(st.sampled_from(["host", "user", "dbname"]), st.text(st.characters(
    codec="utf-8", exclude_characters="\0")), min_size=1))  # fmt: skip
def test_connection_strings_mean_what_they_say(parameters: dict[str, str]) -> None:
    from floe_monitor_postgres.libpq import conninfo
    from psycopg import pq

    parsed = {
        option.keyword.decode(): option.val.decode()
        for option in pq.Conninfo.parse(conninfo(parameters))
        if option.val is not None
    }
    assert parsed == parameters
