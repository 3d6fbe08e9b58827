"""From targets to a profile, whatever the plugins do."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from floe_monitor.domain.events import ProfileGenerated
from floe_monitor.profiles.reconcile import Assignment, render_with_secrets
from floe_monitor.profiles.render import OutputError, Rendered, render

if TYPE_CHECKING:
    from collections.abc import Callable

    from floe_monitor.compute import ComputeConfig

CANARY = "canary-3f9c-value"


class Word(StrEnum):
    ONE = "one"


def rendered(made: Any, *targets: Any, secrets: tuple[str, ...] = (), **profile: Any) -> Rendered:
    given = made.targets(*targets)
    return render(made.profile(**profile), given, publish=made.publish, secrets=dict.fromkeys(given, secrets))


def returning(value: Any) -> Callable[[ComputeConfig], Any]:
    def generate(config: ComputeConfig) -> Any:
        return value

    return generate


def test_outputs_in_the_order_of_the_configuration_the_first_is_the_default(made: Any) -> None:
    result = rendered(made, made.target("b"), made.target("a", connection={"path": "x"}, threads=8))
    profile = result.over(None)
    assert profile == {
        "target": "b",
        "outputs": {"b": {"type": "plain", "threads": 4}, "a": {"type": "plain", "threads": 8, "path": "x"}},
    }
    assert list(profile["outputs"]) == ["b", "a"]
    assert [type(event) for event in made.events] == [ProfileGenerated] * 2
    assert made.events[0].plugin == "plain"
    assert made.events[0].duration >= 0


def test_chosen_targets_and_default(made: Any) -> None:
    result = rendered(made, made.target("a"), made.target("b"), targets=["b", "ghost"], target="b")
    assert list(result.over(None)["outputs"]) == ["b"]
    assert "ghost" in result.problem_text(None)


def test_an_output_is_called_as_its_target_says(made: Any) -> None:
    targets = made.targets(
        made.target("shop-dev", output="生产"), made.target("gone", problem="no plugin", output="b")
    )
    rendered = render(
        made.profile(target="生产"), targets, publish=made.publish, secrets={"shop-dev": ("x",)}
    )
    assert rendered.order == ("生产", "b")
    assert rendered.outputs == {"生产": {"type": "plain", "threads": 4}}
    assert rendered.problems == {"b": "no plugin"}
    assert rendered.default == "生产"


def test_an_output_differs_from_what_the_plugin_writes_as_its_target_says(made: Any) -> None:
    target = made.target(
        connection={"path": "x", "role": "r"},
        output_keys={"threads": 100, "colour": None, "path": "y"},
        output_without=["role", "ghost"],
    )
    output = rendered(made, target).outputs["dev"]
    assert output == {"type": "plain", "threads": 100, "path": "y", "colour": None}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"output_without": ["type"]}, "no `type`"),
        ({"output_keys": {"type": 3}}, "no `type`"),
        ({"output_keys": {"a": "b**********"}}, "a holds a masked secret"),
    ],
)
def test_what_its_target_says_may_stand_in_a_profile(made: Any, settings: Any, says: str) -> None:
    assert says in rendered(made, made.target(**settings)).problems["dev"]


def test_a_credential_stands_there_as_env_var(made: Any) -> None:
    target = made.target(credentials={"password": {"env": "PW"}})
    output = rendered(made, target, secrets=(CANARY,)).outputs["dev"]
    assert output["password"] == "{{ env_var('PW') }}"


def test_values_become_plain_yaml(made: Any) -> None:
    value = {"type": Word.ONE, "list": (1, 2.5, None), "map": {Word.ONE: True}}
    output = rendered(made, made.target(generate=returning(value))).outputs["dev"]
    assert output == {"type": "one", "list": [1, 2.5, None], "map": {"one": True}}
    assert type(output["type"]) is str
    assert type(next(iter(output["map"]))) is str


def raising(error: BaseException) -> Callable[[ComputeConfig], Any]:
    def generate(config: ComputeConfig) -> Any:
        raise error

    return generate


def leaving(config: ComputeConfig) -> Any:
    sys.exit(3)


def endless() -> dict[str, Any]:
    value: dict[str, Any] = {"type": "x"}
    value["self"] = value
    return value


@pytest.mark.parametrize(
    ("generate", "says"),
    [
        (raising(ValueError("broken " + CANARY)), "ValueError: broken \\*\\*\\*"),
        (leaving, "SystemExit"),
        (raising(KeyboardInterrupt()), "KeyboardInterrupt"),
        (returning(None), "no mapping"),
        (returning([]), "no mapping"),
        (returning({}), "no mapping"),
        (returning({"path": "x"}), "no `type`"),
        (returning({"type": "x", "pw": SecretStr(CANARY)}), "pw is a SecretStr"),
        (returning({"type": "x", "pw": str(SecretStr(CANARY))}), "pw holds a masked secret"),
        (returning({"type": "x", "a": {"b": [Path("/x")]}}), r"a\.b\[0\] is a PosixPath"),
        (returning({"type": "x", "n": Decimal(1)}), "n is a Decimal"),
        (returning({"type": "x", "n": float("nan")}), "n is a float"),
        (returning({"type": "x", 1: 2}), "a key that is not text"),
        (returning({"type": "x", "t": "\ud800"}), "t is not valid Unicode"),
        (returning(endless()), "nested too deeply"),
        (returning({"type": "x", "pw": CANARY}), "pw would hold a credential"),
        (
            returning({"type": "x", "deep": [{"dsn": f"postgres://u:{CANARY}@h"}]}),
            r"deep\[0\]\.dsn would hold",
        ),
    ],
)
def test_a_bad_output_is_a_problem_of_its_target_alone(
    made: Any, generate: Callable[[ComputeConfig], Any], says: str
) -> None:
    result = rendered(made, made.target("bad", generate), made.target("good"), secrets=(CANARY,))
    assert list(result.outputs) == ["good"]
    with pytest.raises(AssertionError, match=says):
        raise AssertionError(result.problems["bad"])
    assert CANARY not in repr(result)
    assert len(made.events) == 2


def test_a_short_password_equal_to_what_the_configuration_says_openly_is_no_leak(made: Any) -> None:
    target = made.target(connection={"user": "dbt", "port": 5432}, credentials={"password": {"env": "PW"}})
    assert rendered(made, target, secrets=("dbt",)).problems == {}
    assert rendered(made, target, secrets=("plain",)).problems == {}
    assert rendered(made, target, secrets=("5432",)).problems == {}


@pytest.mark.parametrize(
    ("settings", "environ", "secret"),
    [
        ({"credentials": {"pw": {"env": "V"}}}, {"V": CANARY}, CANARY),
        ({"credentials": {"pw": {"env": "V", "file": "KEY"}}}, {"V": "other-3f9c"}, f"{CANARY}-file"),
        ({"connection": {"args": [{"env": "V", "file": "KEY"}]}}, {}, f"{CANARY}-file"),
        ({"connection": {"password": "{{ env_var('V') }}"}}, {"V": CANARY}, CANARY),
        ({"connection": {"password": "{{ env_var(var='V') }}"}}, {"V": CANARY}, CANARY),
        ({"connection": {"password": '{{- env_var ( "V" , "x" ) }}'}}, {"V": CANARY}, CANARY),
        (
            {"connection": {"url": "u:{{ env_var(var='DBT_ENV_SECRET_V') }}"}},
            {"DBT_ENV_SECRET_V": CANARY},
            CANARY,
        ),
    ],
)
def test_a_plugin_that_resolves_a_reference_itself_is_refused(
    made: Any, tmp_path: Path, settings: Any, environ: dict[str, str], secret: str
) -> None:
    (tmp_path / "key").write_bytes(f"{CANARY}-file\r\n".encode())
    given = json.loads(json.dumps(settings).replace('"KEY"', json.dumps(str(tmp_path / "key"))))
    target = made.target(generate=lambda _: {"type": "x", "leaks": secret}, **given)
    result = render_with_secrets(Assignment(made.profile(), made.targets(target)), made.publish, environ)
    assert result.problems == {"dev": "leaks would hold a credential's value instead of its env_var"}


def test_a_plugin_cannot_change_the_configuration(made: Any) -> None:
    def generate(config: ComputeConfig) -> Any:
        config.connection["path"] = "changed"
        return {"type": "x"}

    target = made.target(generate=generate, connection={"path": "x"})
    rendered(made, target)
    assert target.profile_config.connection == {"path": "x"}


def test_without_a_plugin_the_output_of_the_file_stays_and_is_named(made: Any) -> None:
    result = rendered(made, made.target("a"), made.target("b", problem="no plugin 'b' is installed"))
    there = {"target": "x", "outputs": {"b": {"type": "kept"}, "c": {"type": "gone"}}}
    assert result.over(there)["outputs"] == {"a": {"type": "plain", "threads": 4}, "b": {"type": "kept"}}
    assert result.problem_text(there) == "output 'b' kept as the file has it: no plugin 'b' is installed"
    assert "left out" in result.problem_text(None)


def test_nothing_to_write_is_not_written(made: Any) -> None:
    with pytest.raises(OutputError, match="not installed"):
        rendered(made, made.target(problem="not installed")).over({"outputs": "odd"})
