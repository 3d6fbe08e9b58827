"""What looks like a secret."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from floe_monitor.compute.redaction.detection import (
    holds_encoded_key,
    is_public_key,
    is_secret_key,
    is_secret_variable,
    secrets_in,
)
from tests.growth import is_linear

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET_KEYS = """
    password passwd pwd pass passphrase secret client_secret clientSecret client-secret private_key privateKey
    sslpassword token access_token authtoken api_key X-Api-Key apikey Authorization credential credentials
    PGPASSWORD aws_secret_access_key secret_key account_key private_key_passphrase motherduck_token jwt
    sas_token
"""
FREE_KEYS = """
    secret_name token_uri password_file secrets key key_id access_key_id keyfile private_key_path bypass
    compass
    auth provider use_ssl scope primary_key monkey passport tokenizer method schema database
"""


@pytest.mark.parametrize("key", SECRET_KEYS.split())
def test_keys_that_hold_a_secret(key: str) -> None:
    assert is_secret_key(key)


@pytest.mark.parametrize("key", FREE_KEYS.split())
def test_keys_that_do_not(key: str) -> None:
    assert not is_secret_key(key)


@pytest.mark.parametrize("key", ["user", "lake.user", "clientId", "client_email", "authenticator", "DB_HOST"])
def test_keys_that_say_who_or_where(key: str) -> None:
    assert is_public_key(key)
    assert not is_secret_key(key)


@pytest.mark.parametrize("key", ["password", "key_id", "path", "anything", "", "user_password"])
def test_keys_that_say_neither(key: str) -> None:
    assert not is_public_key(key)


def test_variables() -> None:
    assert is_secret_variable("DBT_ENV_SECRET_X")
    assert is_secret_variable("PGPASSWORD")
    assert not is_secret_variable("PGHOST")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("postgresql://u:hunter2@h/db", ["hunter2"]),
        ("postgresql://u:p%40ss@h/db?sslpassword=x2", ["p%40ss", "x2"]),
        ("host=x password=hunter2 user=y", ["hunter2"]),
        ("password = 'hunt er' user=y", ["hunt er"]),
        ("md:db?motherduck_token=abc", ["abc"]),
        ("https://h/x?a=b&sig=abc", ["abc"]),
        ("AccountName=a;AccountKey=abc==;X=y", ["abc=="]),
        ("-----BEGIN PRIVATE KEY-----\nx", ["-----BEGIN PRIVATE KEY-----\nx"]),
        ("postgresql://u:{{ env_var('X') }}@h", []),
        ("host=x password={{ env_var('X') }}", []),
        ("password='{{ env_var('X') }}'", []),
        ("postgresql://{{ env_var('U') }}:hunter2@h/db", ["hunter2"]),
        ("postgresql://u:{{ env_var('X') }}hunter2@h", ["hunter2"]),
        ("password={{ env_var('X') }}hunter2 a=b", ["hunter2"]),
        ("password={{ env_var('X') }}. {{ env_var('Y') }}", []),
        ("{{ 'password=hunter2' }}", ["hunter2"]),
        ("{{ env_var('A') ~ ':p@x' }} password={{ env_var('B')", ["{{"]),
        ("http://h:8080/a@b", []),
        ("s3://bucket/a:b@c", []),
        ("-c statement_timeout=5 search_path=public", []),
        ("postgresql://u@h/db", []),
        ("plain", []),
    ],
)
def test_secrets_written_out(text: str, found: list[str]) -> None:
    assert secrets_in(text) == found


@given(st.text("ab:/@=&? {}'\"\\;passwordtoken", max_size=200))
def test_no_text_is_slow_or_breaks_it(text: str) -> None:
    secrets_in(text)


SHAPES = [
    *("a", "a_", "-", "a.", "password", "password =", "password='", 'password="', "password='\\\\'"),
    *("password={{;", "password={{\n", "x=", "token=", "a=b;", "= ", " ", "a://", "a.a://", "://"),
    *("a://b:", "a://b:c@", "a://{{:", "a://b:c:", "{{", "}}", "{{}}", "{{ x }}", "@", "-----BEGIN "),
    *("-----BEGIN A PRIVATE KEY", "?sig=", "\\\\'"),
]


@pytest.mark.parametrize("end", ["", "=", "'", "}}", "://u:p@h", "PRIVATE KEY-----"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.slow
def test_the_work_is_in_proportion_to_the_text(shape: str, end: str) -> None:
    assert is_linear(secrets_in, lambda size: shape * (size // len(shape)) + end, 60_000)


@pytest.mark.parametrize("shape", ["aB", "a_", "__", "password", "key_", "é"])
@pytest.mark.slow
def test_so_it_is_for_keys(shape: str) -> None:
    assert is_linear(is_secret_key, lambda size: shape * (size // len(shape)) + "_password", 200_000)
    assert is_secret_key(shape * 100_000 + "_password")


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode, base64.encodebytes])
def test_a_key_file_is_found_in_base64(encode: Callable[[bytes], bytes]) -> None:
    key = b"-----BEGIN PRIVATE KEY-----\nMIIabc\n-----END PRIVATE KEY-----\n"
    assert holds_encoded_key(encode(key).decode())
    assert holds_encoded_key(encode(b'{"private_key": "' + key + b'"}').decode())
    assert not holds_encoded_key(encode(b"a certificate that everybody may see").decode())
    assert not holds_encoded_key(key.decode())
