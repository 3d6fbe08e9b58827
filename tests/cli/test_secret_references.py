"""Variables for literals: what a probe of the file as it stands finds in them."""

from __future__ import annotations

from typing import Any

import pytest

from floe_monitor.cli.secret_references import SecretReferences


def references(
    environ: dict[str, str] | None = None, profiles: dict[str, Any] | None = None
) -> SecretReferences:
    return SecretReferences(profiles or {}, environ or {})


def test_a_literal_is_what_its_variable_comes_to() -> None:
    secrets, environ = references({"A": "x"}), {"A": "x"}
    output = {
        "password": "plain",
        "token": "{{ env_var('A') }}-tail",
        "url": "s3://u:pw99@{{ env_var('A') }}/",
    }
    replaced = secrets.replaced(output, "dev")
    assert replaced == {
        "password": "{{ env_var('DBT_ENV_SECRET_DEV_PASSWORD') }}",
        "token": "{{ env_var('DBT_ENV_SECRET_DEV_TOKEN') }}",
        "url": "s3://u:{{ env_var('DBT_ENV_SECRET_DEV_URL') }}@{{ env_var('A') }}/",
    }
    assert output["password"] == "plain"
    secrets.set_in(environ)
    assert environ == {
        "A": "x",
        "DBT_ENV_SECRET_DEV_PASSWORD": "plain",
        "DBT_ENV_SECRET_DEV_TOKEN": "x-tail",
        "DBT_ENV_SECRET_DEV_URL": "pw99",
    }


def test_a_default_is_used_where_the_variable_is_not_set() -> None:
    secrets = references()
    output = {"password": "{{ env_var('PW', 'default') }}"}
    assert secrets.replaced(output, "dev") == {"password": "{{ env_var('PW') }}"}
    environ, given = dict[str, str](), {"PW": "set"}
    secrets.set_in(environ)
    secrets.set_in(given)
    assert (environ, given) == ({"PW": "default"}, {"PW": "set"})
    assert list(secrets.made) == ["PW"]


def test_what_is_unknown_is_asked_for_and_not_made_up() -> None:
    secrets, environ = references(), dict[str, str]()
    secrets.replaced({"password": "{{ env_var('UNSET') }}-tail"}, "dev")
    secrets.set_in(environ)
    assert environ == {}
    assert list(secrets.made) == ["DBT_ENV_SECRET_DEV_PASSWORD"]


def test_names_that_look_alike_stay_apart() -> None:
    secrets = references()
    first = secrets.replaced({"password": "one"}, "a-b")
    second = secrets.replaced({"password": "two"}, "a.b")
    assert first != second
    assert sorted(secrets.values.values()) == ["one", "two"]


@pytest.mark.parametrize(
    "call",
    [
        "env_var('DBT_ENV_SECRET_DEV_PASSWORD')",
        'env_var( "DBT_ENV_SECRET_DEV_PASSWORD" )',
        "env_var(var='DBT_ENV_SECRET_DEV_PASSWORD')",
        "env_var(default='x', var='DBT_ENV_SECRET_DEV_PASSWORD')",
        "env_var('DBT_ENV_SECRET_DEV_' 'PASSWORD')",
        "env_var(var='DBT_ENV_SECRET_DEV_PASSWORD') | no_such_filter",
    ],
)
def test_a_variable_that_the_file_names_stands_for_no_literal(call: str) -> None:
    """However the call is written, and in whichever profile: two secrets would share one variable."""
    output = {"password": "plain", "token": "{{ " + call + " }}"}
    secrets = references(profiles={"p": {"outputs": {"dev": output}, "list": [output]}})
    assert secrets.replaced({"password": "plain"}, "dev") == {
        "password": "{{ env_var('DBT_ENV_SECRET_DEV_PASSWORD_') }}"
    }
    assert secrets.values == {"DBT_ENV_SECRET_DEV_PASSWORD_": "plain"}
