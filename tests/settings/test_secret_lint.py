"""What counts as a literal secret, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from floe_monitor.settings.fields import CredentialReference
from floe_monitor.settings.models import Settings, TargetSettings
from floe_monitor.settings.secret_lint import find_literals
from tests.growth import is_linear

SECRET = "hunter2hunter2"


def found(connection: dict[str, Any]) -> list[tuple[str | int, ...]]:
    findings = list(find_literals({"targets": {"t": {"plugin": "x", "connection": connection}}}))
    assert all(SECRET not in finding.message + finding.hint for finding in findings)
    return [finding.path[3:] for finding in findings]


@pytest.mark.parametrize(
    ("connection", "path"),
    [
        ({"password": SECRET}, ("password",)),
        ({"password": 12345}, ("password",)),
        ({"sslpassword": SECRET}, ("sslpassword",)),
        ({"secrets": [{"type": "s3", "secret": SECRET}]}, ("secrets", 0, "secret")),
        ({"secrets": [{"type": "iceberg", "client_secret": SECRET}]}, ("secrets", 0, "client_secret")),
        ({"attach": [{"path": "x", "options": {"token": SECRET}}]}, ("attach", 0, "options", "token")),
        ({"attach": [{"path": "x", "secret": "not/an/identifier=="}]}, ("attach", 0, "secret")),
        ({"attach": [{"alias": "x", "secret": SECRET}]}, ("attach", 0, "secret")),
        ({"attach": {"path": "x", "secret": SECRET}}, ("attach", "secret")),
        ({"token": [{"path": {"env": "X"}, "secret": SECRET}]}, ("token", 0, "secret")),
        ({"path": "x", "secret": SECRET}, ("secret",)),
        ({"attach": [{"path": "x", "password": SECRET}]}, ("attach", 0, "password")),
        ({"filesystems": [{"fs": "s3", "key": "k", "secret": SECRET}]}, ("filesystems", 0, "secret")),
        ({"plugins": [{"module": "m", "config": {"secret": SECRET}}]}, ("plugins", 0, "config", "secret")),
        ({"keyfile_json": {"private_key": SECRET}}, ("keyfile_json", "private_key")),
        ({"private_key": SECRET, "private_key_path": "/k"}, ("private_key",)),
        ({"token": [SECRET]}, ("token", 0)),
        ({"http_headers": {"X-Api-Key": SECRET}}, ("http_headers", "X-Api-Key")),
        ({"path": f"md:db?motherduck_token={SECRET}"}, ("path",)),
        ({"dsn": f"host=h password={SECRET}"}, ("dsn",)),
        ({"dsn": f"host=h password = '{SECRET}'"}, ("dsn",)),
        ({"url": f"postgresql://u:{SECRET}@h/db"}, ("url",)),
        ({"any": f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}"}, ("any",)),
        ({"password": "{{ env_var('X', 'hunter2hunter2') }}"}, ("password",)),
        ({"password": "{{ 'hunter2hunter2' }}"}, ("password",)),
        ({"url": "{{ env_var('X', 'postgresql://u:hunter2hunter2@h') }}"}, ("url",)),
        ({"url": "postgresql://u:hunter2hunter2@{{ env_var('H') }}/db"}, ("url",)),
    ],
)
def test_refused(connection: dict[str, Any], path: tuple[str | int, ...]) -> None:
    assert found(connection) == [path]


@pytest.mark.parametrize(
    "connection",
    [
        {"password": ""},
        {"password": None, "use_token": True},
        {"password": "{{ env_var('X') }}"},
        {"password": "{{ env_var('X', '') }}"},
        {"password": {"env": "X"}, "token": {"file": "/run/x"}},
        {"credential": "{{ env_var('ID') }}:{{ env_var('SECRET') }}"},
        {"secret_name": "mine", "token_uri": "https://h/token", "password_file": "/x", "key_id": "AKIA"},
        {"attach": [{"path": "x", "secret": "my_secret", "options": {"secret": "my_secret"}}]},
        {"volumes": [{"path": "x", "secret": "my_secret"}]},
        {"secrets": [{"type": "s3", "provider": "credential_chain", "secret": {"env": "X"}}]},
        {"url": "postgresql://u:{{ env_var('PW') }}@h/db"},
        {"url": "postgresql://u@h/db", "uri": "http://h:8181/a@b"},
        {"dsn": "host=h password={{ env_var('PW') }} user=u"},
        {"options": "-c statement_timeout=5s", "search_path": "a,b"},
        {"settings": {"s3_url_style": "path"}, "path": "s3://bucket/x=1/y"},
        {"authenticator": "oauth", "primary_key": "id", "private_key_path": "/k"},
    ],
)
def test_free(connection: dict[str, Any]) -> None:
    assert found(connection) == []


def test_the_name_of_a_target_hides_nothing() -> None:
    assert not list(find_literals({"targets": {"token": {"plugin": "duckdb", "threads": 4}}}))


def test_expressions_that_cannot_work_are_told() -> None:
    def said(text: str) -> str:
        document = {"targets": {"t": {"connection": {"host": text}}}}
        return " ".join(finding.message for finding in find_literals(document))

    assert said("{{ target.name }}") == "only env_var() can be used here, not target"
    assert "not a valid expression" in said("{{ env_var('A'")
    assert "one DBT_ENV_SECRET variable" in said(
        "{{ env_var('DBT_ENV_SECRET_A') }}{{ env_var('DBT_ENV_SECRET_B') }}"
    )
    assert said("{{ env_var('A') }}:{{ env_var('DBT_ENV_SECRET_B') }}") == ""


def test_every_place_of_references_in_the_models_is_known_here() -> None:
    """`find_literals` knows them by path; the models by type."""
    places = set()
    for owner, path in ((TargetSettings, ("targets", "t")), (Settings, ())):
        for name, field in owner.model_fields.items():
            inner = [(name, field.annotation)]
            for key, annotation in inner:
                if annotation == dict[str, CredentialReference]:
                    places.add((*path, key))
                for model in (annotation, *getattr(annotation, "__args__", ())):
                    if owner is TargetSettings or name == "otlp":
                        for sub, subfield in getattr(model, "model_fields", {}).items():
                            if subfield.annotation == dict[str, CredentialReference]:
                                places.add((*path, key, sub))
    assert places == {
        ("targets", "t", "credentials"),
        ("targets", "t", "catalog", "credentials"),
        ("otlp", "headers"),
    }
    for place in places:
        document: Any = {"key": "plain"}
        for part in reversed(place):
            document = {part: document}
        assert [finding.path for finding in find_literals(document)] == [(*place, "key")]


@pytest.mark.parametrize("key", ["path", "password", "a" * 30_000])
@pytest.mark.parametrize("shape", ["a_", "password =", "{{", "{{ env_var('A') }}", "a.a://b:", "='"])
@pytest.mark.slow
def test_the_work_is_in_proportion_to_the_value(key: str, shape: str) -> None:
    def work(value: str) -> None:
        list(find_literals({"targets": {"t": {"connection": {key: value}}}}))

    assert is_linear(work, lambda size: shape * (size // len(shape)), 30_000)
