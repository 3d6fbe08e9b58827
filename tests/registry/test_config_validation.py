"""A target's keys against its plugin's model."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from floe_monitor.compute import ComputeConfig, DuckDBComputeConfig
from floe_monitor.registry.config_validation import (
    ConfigProblems,
    build_config,
)

EXPRESSION = "{{ env_var('PORT') }}"


class Attached(BaseModel):
    model_config = ConfigDict(extra="forbid")

    path: str
    alias: str


class Secret(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["s3"]


class Whole(ComputeConfig):
    plugin: Literal["toy"] = "toy"
    host: str
    port: int = 1
    schema_: str = Field(default="main", alias="schema")
    attach: list[Attached | Secret] = Field(default_factory=list)

    @field_validator("host")
    @classmethod
    def _known_host(cls, value: str) -> str:
        if value.startswith("bad"):
            raise ValueError(f"host {value!r} ({value}) is not known")
        return value


class ConnectionOnly(BaseModel):
    host: str
    port: int = 1


def plugin(schema: Any) -> Any:
    return SimpleNamespace(name="toy", get_config_schema=lambda: schema)


def build(schema: Any, connection: Any = None, **others: Any) -> ComputeConfig:
    connection = {"host": "h"} if connection is None else connection
    built: ComputeConfig = build_config(plugin(schema), {"plugin": "toy", "connection": connection, **others})
    return built


def problems(schema: Any, connection: Any = None, **others: Any) -> list[str]:
    with pytest.raises(ConfigProblems) as caught:
        build(schema, connection, **others)
    return [str(problem) for problem in caught.value.problems]


def test_a_model_of_the_whole_gets_the_keys_of_connection() -> None:
    config = build(Whole, {"host": "h", "schema": "s"}, port=7, credentials={"password": "p"})
    assert isinstance(config, Whole)
    assert (config.host, config.port, config.schema_) == ("h", 7, "s")
    assert config.connection == {"host": "h", "schema": "s"}
    assert config.credentials == {"password": SecretStr("p")}


def test_a_model_of_connection_approves_and_the_mapping_stays() -> None:
    config = build(ConnectionOnly, {"host": "h", "port": "7"})
    assert type(config) is ComputeConfig
    assert config.connection == {"host": "h", "port": "7"}


def test_a_plugin_without_a_model_takes_any_connection() -> None:
    assert build(None, {"anything": {"goes": [1]}}).connection == {"anything": {"goes": [1]}}
    bare: Any = SimpleNamespace(name="toy")
    assert type(build_config(bare, {"plugin": "toy"})) is ComputeConfig


def test_the_given_mapping_is_not_shared() -> None:
    given_keys: dict[str, Any] = {"nested": {"list": [1]}}
    build(None, given_keys).connection["nested"]["list"].append(2)
    assert given_keys == {"nested": {"list": [1]}}


@pytest.mark.parametrize("schema", [Whole, ConnectionOnly])
def test_an_unknown_connection_key_is_named_with_the_nearest(schema: Any) -> None:
    assert problems(schema, {"hst": "h"}) == ["connection.hst: unknown key; did you mean 'host'?"]
    assert problems(schema, {"host": "h", "zzz": 1})[0].startswith("connection.zzz: unknown key; known: ")


def test_an_unknown_key_beside_connection_is_named() -> None:
    assert problems(None, thread=3) == ["thread: unknown key; did you mean 'threads'?"]
    assert problems(Whole, prt=3) == ["prt: unknown key; did you mean 'port'?"]
    assert problems(ConnectionOnly, lables={}) == ["lables: unknown key; did you mean 'labels'?"]


def test_a_field_name_is_no_key_where_it_has_an_alias() -> None:
    assert problems(Whole, {"host": "h", "schema_": "s"}) == [
        "connection.schema_: unknown key; did you mean 'schema'?"
    ]


def test_problems_are_located_where_they_were_written() -> None:
    assert problems(Whole, {}) == ["connection.host: is required"]
    assert problems(Whole, {"host": "h", "port": "x"})[0].startswith(
        "connection.port: must be a whole number"
    )
    assert problems(Whole, port="x")[0].startswith("port: must be a whole number")
    assert problems(ConnectionOnly, {"host": []}) == ["connection.host: must be text"]
    assert problems(Whole, threads=65) == ["threads: must be less than or equal to 64"]
    nested = problems(Whole, {"host": "h", "attach": [{"pth": "x", "alias": "a"}]})
    assert "connection.attach[0].pth: unknown key; did you mean 'path'?" in nested
    assert not any("Attached" in text for text in nested)


def test_every_problem_at_once() -> None:
    found = problems(Whole, {"hst": "h", "port": "x"}, threads=0)
    assert len(found) == 3


def test_a_key_given_twice_is_a_problem() -> None:
    assert "given twice" in problems(Whole, {"host": "h", "port": 1}, port=2)[0]


def test_a_connection_that_is_no_mapping() -> None:
    for schema in (None, Whole, ConnectionOnly):
        assert problems(schema, "postgres://user:canary@host")[0].startswith("connection")


@given(value=st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=30))
def test_texts_never_repeat_a_value(value: str) -> None:
    canary = f"bad-{value}"
    for connection in (
        {"host": canary, "port": canary},
        {"host": canary, "nope": canary, "attach": [canary]},
    ):
        assert canary not in "\n".join(problems(Whole, connection, credentials={"k": [canary]}))


def test_short_values_do_not_blot_the_text() -> None:
    class Even(ComputeConfig):
        number: int

        @model_validator(mode="after")
        def _even(self) -> Even:
            if self.number % 2:
                raise ValueError(f"{self.number} is odd, 15 or less is wanted")
            return self

    found = problems(Even, {"number": 5})
    assert found == ["*** is odd, 15 or less is wanted"]


def test_who_and_where_stay_readable() -> None:
    """Or else a message about an authenticator would not say which."""

    class Login(ComputeConfig):
        user: str
        authenticator: str
        key: str

        @model_validator(mode="after")
        def _one_way(self) -> Login:
            raise ValueError(f"authenticator: {self.authenticator} beside {self.key}, user {self.user}")

    connection = {"user": "x://u:hunter2@h", "authenticator": "snowflake", "key": "canary"}
    assert problems(Login, connection) == ["authenticator: snowflake beside ***, user x://u:***@h"]


@pytest.mark.parametrize(
    "expression",
    [EXPRESSION, "1{{ env_var('A', 'b') }}", "{{ 5432 | as_number }}", "{% if true %}1{% endif %}"],
)
@pytest.mark.parametrize("schema", [Whole, ConnectionOnly])
def test_an_expression_stands_for_a_value_of_any_type(schema: Any, expression: str) -> None:
    config = build(schema, {"host": "h", "port": expression})
    assert config.connection["port"] == expression
    assert isinstance(config, schema if issubclass(schema, ComputeConfig) else ComputeConfig)
    if isinstance(config, Whole):
        assert config.port == expression  # type: ignore[comparison-overlap]
    assert len(problems(schema, {"port": expression, "host": 3})) == 1


@pytest.mark.parametrize("value", ["env_var('A')", "{ env_var('A') }", None])
def test_what_dbt_renders_not_is_no_expression(value: Any) -> None:
    assert len(problems(Whole, {"host": "h", "port": value})) == 1


def test_a_model_that_fails_is_a_problem_without_its_text() -> None:
    class Faulty(ComputeConfig):
        host: str

        @field_validator("host")
        @classmethod
        def _fails(cls, value: str) -> str:
            raise KeyError(value)

    assert problems(Faulty, {"host": "canary"}) == ["the plugin's configuration model failed with KeyError"]


def test_a_schema_that_is_none_is_a_problem() -> None:
    assert problems("Whole") == ["get_config_schema returned no pydantic model"]

    def raising() -> None:
        raise RuntimeError("canary")

    broken: Any = SimpleNamespace(name="toy", get_config_schema=raising)
    with pytest.raises(ConfigProblems, match=r"^get_config_schema raised RuntimeError$"):
        build_config(broken, {"plugin": "toy"})


def test_the_seeds_duckdb_configuration() -> None:
    config = build(DuckDBComputeConfig, {"path": "x.duckdb", "extensions": ["httpfs"]}, plugin="duckdb")
    assert isinstance(config, DuckDBComputeConfig)
    assert (config.path, config.memory_limit, config.extensions) == ("x.duckdb", "4GB", ["httpfs"])
