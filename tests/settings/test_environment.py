"""Variables over files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.settings.environment import EnvironmentSource, place_of_variable
from floe_monitor.settings.models import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

DEV: dict[str, Any] = {
    "targets": {"my-Dev.1": {"plugin": "duckdb", "connection": {"path": "a", "Port": 1}}},
    "profiles": [{"name": "one", "path": "x"}],
}


def over(document: dict[str, Any] | None = None, /, **variables: str) -> EnvironmentSource:
    values = {f"FLOE_MONITOR_{name}": value for name, value in variables.items()}
    return EnvironmentSource(Settings, document or {}, values)


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({"PROBE__INTERVAL": "10s"}, {"probe": {"interval": "10s"}}),
        ({"HISTORY": "5"}, {"history": 5}),
        ({"INCLUDE": '["a.yaml"]'}, {"include": ["a.yaml"]}),
        ({"WORKERS": '{"limit": 3}', "WORKERS__LIMIT": "4"}, {"workers": {"limit": "4"}}),
        ({"LOG__LEVEL": "debug"}, {"log": {"level": "debug"}}),
        (
            {"TARGETS__NEW__PLUGIN": "duckdb", "TARGETS__NEW__LABELS__TIER": "1"},
            {"targets": {"new": {"plugin": "duckdb", "labels": {"tier": "1"}}}},
        ),
    ],
)
def test_a_variable_sets_what_its_name_says(variables: dict[str, str], wanted: dict[str, Any]) -> None:
    overlay = over(None, **variables)
    assert (overlay.document, overlay.problems) == (wanted, [])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5432", 5432),
        ('"5432"', "5432"),
        ("true", True),
        ("", ""),
        ("plain text", "plain text"),
        ('{"a": [1]}', {"a": [1]}),
        ("[not json", "[not json"),
        ("{{ env_var('X') }}", "{{ env_var('X') }}"),
        ("/data/x.duckdb", "/data/x.duckdb"),
    ],
)
def test_a_connection_value_has_the_type_it_would_have_in_the_file(text: str, value: object) -> None:
    overlay = over(DEV, TARGETS__MY_DEV_1__CONNECTION__PATH=text)
    assert overlay.document["targets"]["my-Dev.1"]["connection"] == {"path": value, "Port": 1}


def test_existing_keys_are_found_whatever_their_case_and_signs() -> None:
    overlay = over(DEV, TARGETS__MY_DEV_1__CONNECTION__PORT="2", PROFILES__0__PATH="y")
    assert overlay.document["targets"]["my-Dev.1"]["connection"]["Port"] == 2
    assert overlay.document["profiles"] == [{"name": "one", "path": "y"}]
    assert overlay.place(("profiles", 0, "path")) == place_of_variable("FLOE_MONITOR_PROFILES__0__PATH")
    assert overlay.place(("profiles", 0, "name")) is None
    assert DEV["profiles"][0]["path"] == "x", "the document read is left as it was"


def test_a_variable_that_could_mean_two_targets_is_refused() -> None:
    document: dict[str, Any] = {"targets": {"a-b": {}, "a.b": {}}}
    (problem,) = over(document, TARGETS__A_B__THREADS="2").problems
    assert "could mean 'a-b' or 'a.b'" in str(problem)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("PROB__INTERVAL", "did you mean 'FLOE_MONITOR_PROBE'?"),
        ("HTTP_HOST", "did you mean 'FLOE_MONITOR_HTTP__HOST'?"),
        ("PROBE_INTERVAL", "did you mean 'FLOE_MONITOR_PROBE__INTERVAL'?"),
    ],
)
def test_an_unknown_variable_is_named_with_the_nearest(name: str, hint: str) -> None:
    (problem,) = over(None, **{name: "sesame"}).problems
    assert str(problem) == f"environment variable FLOE_MONITOR_{name}: sets nothing; {hint}"


@pytest.mark.parametrize("name", ["INCLUDE", "PROFILES", "HTTP"])
def test_what_is_no_json_is_refused_without_being_repeated(name: str) -> None:
    (problem,) = over(None, **{name: "[hunter2"}).problems
    assert "must be a list or a mapping in JSON" in str(problem)
    assert "hunter2" not in str(problem)


def test_a_mapping_is_merged_at_every_depth(read: Callable[..., Settings]) -> None:
    text = "targets: {pg: {plugin: x, connection: {host: h, port: 5432, keepalives: {idle: 1, count: 2}}}}"
    value = '{"connection": {"port": 1, "keepalives": {"idle": 3}}, "labels": {"tier": "a"}}'
    pg = read(text, {"FLOE_MONITOR_TARGETS__PG": value}).targets["pg"]
    assert pg.connection == {"host": "h", "port": 1, "keepalives": {"idle": 3, "count": 2}}
    assert (pg.plugin, pg.labels) == ("x", {"tier": "a"})


def test_what_a_merged_mapping_left_alone_keeps_its_place_in_the_file(
    refused: Callable[..., list[str]],
) -> None:
    text = "workers:\n  per_plugin: many\n"
    assert refused(text, {"FLOE_MONITOR_WORKERS": '{"limit": "few"}'}) == [
        "config.yaml:2:3: workers.per_plugin: must be a whole number",
        "environment variable FLOE_MONITOR_WORKERS: workers.limit: must be a whole number",
    ]
    assert refused("profiles: [{name: a, path: b}]\n", {"FLOE_MONITOR_PROFILES": '["c"]'}) == [
        "environment variable FLOE_MONITOR_PROFILES: profiles[0]: must be a mapping"
    ]
    assert refused("history: 1\n", {"FLOE_MONITOR_TARGETS__X": '{"connection": {}}'}) == [
        "environment variable FLOE_MONITOR_TARGETS__X: targets.x.plugin: is required"
    ]


@pytest.mark.parametrize("text", ['{"a":' * 5000 + "1" + "}" * 5000, "[" * 100_000, "[" * 70 + "]" * 70])
def test_deep_json_is_refused_and_no_fault(text: str) -> None:
    for name in ("HTTP", "INCLUDE", "TARGETS__DEV__LABELS"):
        (problem,) = over(DEV, **{name: text}).problems
        assert "must be a list or a mapping in JSON" in str(problem) or "nested more than 64" in str(problem)
    # Under a connection a text may look like anything.
    overlay = over(DEV, TARGETS__MY_DEV_1__CONNECTION__PATH=text)
    said = overlay.document["targets"]["my-Dev.1"]["connection"]["path"]
    assert said == text or (said == "a" and overlay.problems)


def test_empty_parts_are_refused() -> None:
    (problem,) = over(None, TARGETS____THREADS="1").problems
    assert "empty part" in str(problem)


def test_what_kubernetes_sets_for_services_is_no_setting() -> None:
    services = {
        "SERVICE_HOST": "10.0.0.1",
        "SERVICE_PORT": "9464",
        "SERVICE_PORT_METRICS": "9464",
        "PORT": "tcp://10.0.0.1:9464",
        "PORT_9464_TCP": "tcp://10.0.0.1:9464",
        "PORT_9464_TCP_PROTO": "tcp",
        "PORT_9464_TCP_PORT": "9464",
        "PORT_9464_TCP_ADDR": "10.0.0.1",
        "HEADLESS_SERVICE_HOST": "10.0.0.2",
        "HEADLESS_PORT": "udp://10.0.0.2:1",
        "CONFIG": "/etc/x.yaml",
    }
    overlay = over(None, **services)
    assert (overlay.document, overlay.problems) == ({}, [])
    # The settings whose names look alike are settings.
    assert over(None, HTTP__PORT="1").document == {"http": {"port": "1"}}


def test_the_place_of_a_wrong_value_is_its_variable(refused: Callable[..., list[str]]) -> None:
    assert refused("history: 3\n", {"FLOE_MONITOR_PROBE__INTERVALL": "5s", "FLOE_MONITOR_HISTORY": "x"}) == [
        "environment variable FLOE_MONITOR_HISTORY: must be a number, a list or a mapping in JSON",
        (
            "environment variable FLOE_MONITOR_PROBE__INTERVALL: probe.intervall: unknown key; "
            "did you mean 'interval'?"
        ),
    ]
