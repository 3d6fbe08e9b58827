"""Ends of web tokens, read from whatever is called one."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from floe_monitor.compute.toolkit.web_tokens import LONGEST, valid_until


def token(claims: Any, header: Any = None) -> str:
    parts = [json.dumps(part).encode() for part in (header or {"alg": "RS256"}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (*parts, b"signed"))


@pytest.mark.parametrize("exp", [1_800_000_000, 1_800_000_000.5, 1])
def test_its_end(exp: float) -> None:
    assert valid_until(token({"sub": "dbt", "exp": exp, "iat": 5})) == exp
    assert valid_until(f" {token({'exp': exp})}\n") == exp


@pytest.mark.parametrize(
    "claims", [{}, {"exp": "soon"}, {"exp": True}, {"exp": None}, {"exp": 10**400}, [1], "exp", None]
)
def test_a_token_without_one(claims: Any) -> None:
    assert valid_until(token(claims)) is None


@pytest.mark.parametrize(
    "text", ["", "dapi0123456789", "a.b.c", "eyJ.e.", "eyJh.!!.x", "eyJh.eyJl.x.y", "db.example.com"]
)
def test_what_is_no_web_token(text: str) -> None:
    assert valid_until(text) is None


def test_one_too_long_for_a_header_is_not_read() -> None:
    assert valid_until(token({"exp": 5, "pad": "x" * LONGEST})) is None


@given(
    st.text()
    | st.binary().map(lambda payload: f"eyJh.{base64.urlsafe_b64encode(payload).decode().rstrip('=')}.x")
)
def test_any_text_has_an_end_or_none(text: str) -> None:
    assert isinstance(valid_until(text), float | None)
