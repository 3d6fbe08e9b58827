from __future__ import annotations

from typing import Any

import pytest

from floe_monitor.credentials.masking import redacted
from tests.growth import is_linear

CANARY = "c4nary"


@pytest.mark.parametrize(
    "value",
    [
        {"password": CANARY},
        {"PGPASSWORD": CANARY},
        {"secrets": [{"type": "s3", "secret": CANARY, "session_token": CANARY}]},
        {"private_key": {"pem": [CANARY]}},
        {"credentials": {"anything": CANARY}},
        {"dsn": f"host=h password={CANARY}"},
        {"attach": [{"path": f"postgres://u:{CANARY}@h/d"}]},
        {"path": f"md:db?motherduck_token={CANARY}"},
        {"path": "{{ env_var('P', '" + CANARY + "') }}"},
        {"password": '{{ env_var("P", "' + CANARY + '") }}'},
        {"password": "{{ env_var('P') }}" + CANARY},
        {"options": f"--x password = '{CANARY}'"},
        {"path": "{{ env_var(var='P', default='" + CANARY + "') }}"},
        {"path": "{{ env_var('P', '" + CANARY},
        {"password": "{{ env_var('P') | default('" + CANARY + "') }}"},
        {"password": "{# " + CANARY + " #}{{ env_var('P') }}"},
    ],
)
def test_no_secret_is_left(value: dict[str, Any]) -> None:
    assert CANARY not in str(redacted(value))


def test_what_is_no_secret_stays() -> None:
    value = {
        "path": ":memory:",
        "threads": 4,
        "password": "{{ env_var('PASSWORD') }}",
        "credentials": {"password": {"env": "PASSWORD"}, "token": {"file": "/run/token"}},
        "token": '{{- env_var(var="TOKEN") | as_text }}',
        "keepalives": True,
        "secret_name": "s3",
        "settings": {"memory_limit": "4GB"},
    }
    assert redacted(value) == value


def test_what_is_said_openly_elsewhere_is_no_secret() -> None:
    value = {"password": "open", "port": 5432, "token": 5432, "secret": "hidden"}
    assert redacted(value, said={"open", "5432"}) == {**value, "secret": "***"}


@pytest.mark.parametrize("shape", ["password=x{} ", "a://u:x{}@h ", "{{{{ env_var('A', 'x{}') }}}}"])
@pytest.mark.slow
def test_the_work_is_in_proportion_to_the_text(shape: str) -> None:
    assert is_linear(redacted, lambda size: "".join(shape.format(n) for n in range(size)), 4_000)


@pytest.mark.parametrize("key", ["authenticator", "user", "host", "role", "client_id", "lake.region"])
def test_who_and_where_is_no_secret(key: str) -> None:
    value: dict[str, Any] = {"credentials": {key: "{{ env_var('X', 'snowflake') }}", "password": CANARY}}
    shown = redacted(value)
    assert shown["credentials"] == {**value["credentials"], "password": "***"}
    assert redacted({key: "dbt"}) == {key: "dbt"}
    assert CANARY not in str(redacted({key: f"postgres://u:{CANARY}@h"}))
    assert CANARY not in str(redacted({key: f"{{{{ env_var('DBT_ENV_SECRET_X', '{CANARY}') }}}}"}))
