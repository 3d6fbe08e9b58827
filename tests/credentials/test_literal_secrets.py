"""Where a value of a profiles.yml holds a literal secret."""

from __future__ import annotations

from typing import Any

import pytest

from floe_monitor.credentials.literal_secrets import literal_secrets


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"password": "x"}, ("password",)),
        ({"password": 12}, ("password",)),
        ({"password": ["x"]}, ("password", 0)),
        ({"password": "{{ env_var('A', 'x') }}"}, ("password",)),
        ({"password": "{{ env_var('A') }}x"}, ("password",)),
        ({"password": "{{ broken"}, ("password",)),
        ({"path": "postgresql://u:hunter22@{{ env_var('H') }}/db"}, ("path",)),
        ({"path": "{{ env_var('U', 'postgresql://u:hunter22@h/db') }}"}, ("path",)),
        ({"path": "postgresql://u:{{ env_var('P', 'hunter22') }}@h/db"}, ("path",)),
        ({"path": "x?{{ env_var('DB_PASSWORD', 'hunter22') }}"}, ("path",)),
        ({"secrets": [{"type": "s3", "secret": "x"}]}, ("secrets", 0, "secret")),
        ({"attach": [{"path": "x", "secret": "two words"}]}, ("attach", 0, "secret")),
        (
            {"attach": [{"path": "x", "options": {"client_secret": "word"}}]},
            ("attach", 0, "options", "client_secret"),
        ),
        ({"keyfile": "{{ env_var('APP_CREDENTIALS', 'hunter22') }}"}, ("keyfile",)),
        ({"password": "{{ env_var('A', '/run/x.json') }}"}, ("password",)),
        ({"keyfile_json": "eyJ0eXBlIjogInNlcnZpY2UifQ=="}, ("keyfile_json",)),
    ],
)
def test_found(value: Any, path: tuple[str | int, ...]) -> None:
    ((found, text),) = literal_secrets(value)
    assert found == path
    for part in path:
        value = value[part]
    assert text == value


@pytest.mark.parametrize(
    "value",
    [
        {"password": ""},
        {"password": None},
        {"password": False},
        {"password": "{{ env_var('A') }}"},
        {"password": "{{ env_var('A', '') }}"},
        {"user": "{{ env_var('A', 'x') }}", "port": 5432},
        {"path": "postgresql://u:{{ env_var('PW') }}@h/db"},
        {"attach": [{"path": "x", "secret": "store"}]},
        {"attach": [{"path": "x", "options": {"META_SECRET": "store", "data_path": "s3://b"}}]},
        {"keyfile": "{{ env_var('GOOGLE_APPLICATION_CREDENTIALS', '../keys/sa.json') }}"},
        {"keyfile_json": {"type": "service_account", "private_key": "{{ env_var('K') }}"}},
        {"authenticator": "snowflake", "secret_name": "x"},
    ],
)
def test_none(value: Any) -> None:
    assert list(literal_secrets(value)) == []
