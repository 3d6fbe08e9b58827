"""Secrets in texts, in whatever form they come."""

from __future__ import annotations

import base64
import html
import json
import pickle
import re
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from floe_monitor.credentials.redactor import Redactor
from tests.growth import is_linear

printable = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=4, max_size=40).filter(
    lambda text: text == text.strip() and "\0" not in text and len(text.splitlines()) == 1
)


@given(printable, st.text(max_size=10), st.text(max_size=10))
def test_every_form_is_scrubbed(secret: str, before: str, after: str) -> None:
    redact = Redactor([secret])
    forms = [
        secret,
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), quote(secret, safe="")),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        ascii(secret)[1:-1],
        html.escape(secret),
        secret.replace("'", "''"),
    ]
    for form in forms:
        assert redact(f"{before}\0{form}\0{after}") == f"{redact(before)}\0***\0{redact(after)}"


@given(st.binary(max_size=8), st.text("abcdefXYZ0189+/!?", min_size=9, max_size=40), st.binary(max_size=8))
def test_base64_that_contains_it_shows_no_more_than_its_ends(
    before: bytes, secret: str, after: bytes
) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        encoded = encode(before + secret.encode() + after).decode()
        shown = Redactor([secret])(f"Authorization: Basic {encoded}")
        assert "***" in shown
        assert secret not in base64.urlsafe_b64decode(encoded.encode()).decode("latin-1").replace(secret, "")


def test_basic_authorization_is_scrubbed() -> None:
    token = base64.b64encode(b"user:correct horse battery").decode()
    shown = Redactor(["correct horse battery"])(f"header Basic {token} refused")
    assert shown.startswith("header Basic ")
    assert "***" in shown
    assert base64.b64encode(b"correct horse").decode()[4:12] not in shown


def test_longer_secrets_go_first() -> None:
    assert Redactor(["abcd", "abcdef"])("abcdef abcd") == "*** ***"


def test_the_lines_of_a_key_are_scrubbed_one_by_one() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\nshort\n-----END PRIVATE KEY-----"
    assert Redactor([key])("bad line MIIEvQIBADANBgkqhkiG9w0BAQ in key") == "bad line *** in key"


def test_values_of_one_or_two_characters_are_let_be() -> None:
    assert Redactor(["a", "ab", ""])("a cab") == "a cab"
    assert Redactor(["abc"])("xabcx") == "x***x"


def test_it_crosses_to_another_process_and_shows_nothing_of_itself() -> None:
    redact = pickle.loads(pickle.dumps(Redactor(["hunter2"])))  # noqa: S301 - our own
    assert redact("hunter2") == "***"
    assert "hunter2" not in repr(redact)


def test_a_text_without_a_secret_costs_microseconds() -> None:
    redact = Redactor(["correct horse battery staple", "a/b+c=d&e"])
    text = "connection refused by db.example.internal:5432"
    began = time.process_time()
    for _ in range(10_000):
        assert redact(text) is text
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize(
    ("secret", "shape"),
    [("a" * 16 + "\n" + "a" * 20_000 + "b", "a"), ("ab" * 5000 + "c", "ab"), ("x" * 5000, "x" * 4999 + "y")],
)
def test_the_work_is_in_proportion_to_the_text(secret: str, shape: str) -> None:
    redact = Redactor([secret])
    assert is_linear(redact, lambda size: shape * (size // len(shape)), 400_000)


def test_a_value_of_many_lines_has_a_bounded_number_of_forms() -> None:
    lines = [f"line number {number:10}" for number in range(20_000)]
    redact = Redactor(["\n".join(lines)])
    assert len(redact.__getstate__()) < 10_000
    assert redact(f"said {lines[7]} and {chr(10).join(lines)}") == "said *** and ***"
