from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import yaml

from floe_monitor.credentials.hashing import PasswordHash, token_hash

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest


def test_a_token_is_printed_once_and_its_hash_suits_the_configuration(call: Any, place: Path) -> None:
    done = call("token", "ci-token", "--scope", "read", "--scope", "act", "--expires-in", "90d")
    assert done.code == 0
    made = done.out.strip()
    assert done.out == f"{made}\n"
    assert made.startswith("floe_")
    assert made not in done.err
    head, _, lines = done.err.partition("\n")
    assert "shown this once" in head
    (place / "floe-monitor.yaml").write_text(lines)
    entry = yaml.safe_load(lines)["http"]["tokens"]["ci-token"]
    assert entry["hash"] == token_hash(made)
    assert entry["scopes"] == ["read", "act"]
    assert call("config", "check").code == 0
    shown = call("config", "show", "--format", "json")
    token = json.loads(shown.out)["http"]["tokens"]["ci-token"]
    assert (token["hash"], token["scopes"]) == ("***", ["read", "act"])
    assert token_hash(made) not in shown.out


def test_a_token_reads_unless_more_is_asked_for(call: Any) -> None:
    assert "scopes: [read]}" in call("token", "ci").err


def test_the_check_names_a_token_that_has_ended(call: Any, place: Path) -> None:
    entry = f'{{hash: "{token_hash("any")}", scopes: [read], expires: 2026-01-31}}'
    (place / "floe-monitor.yaml").write_text(f"http: {{tokens: {{ci: {entry}}}}}\n")
    done = call("config", "check")
    assert done.code == 0
    assert done.err == "warning: the token 'ci' ended at 2026-01-31 00:00:00+00:00 and opens nothing\n"


def test_what_is_no_token_is_refused(call: Any) -> None:
    for words, problem in (
        (("a b",), "'a b' is no name"),
        (("ci", "--scope", "write"), "no scope 'write'; there are read, metrics, act"),
        (("ci", "--expires-in", "soon"), "is not a duration"),
    ):
        done = call("token", *words)
        assert (done.code, done.out) == (2, "")
        assert problem in done.err


def test_a_passwords_hash_is_printed_and_nothing_else(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse\nand more"))
    done = call("password")
    assert (done.code, done.err) == (0, "")
    assert PasswordHash.parse(done.out).verify("correct horse")


def test_too_short_and_too_long_a_password_is_refused(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for given, problem in (
        ("", "8 characters or more"),
        ("hunter2", "8 characters"),
        ("x" * 1025, "1024 bytes"),
    ):
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{given}\n"))
        done = call("password")
        assert (done.code, done.out) == (2, "")
        assert problem in done.err
        assert "hunter2" not in done.err


def test_users_are_shown_by_reference(call: Any, configure: Callable[..., Path]) -> None:
    configure({}, http={"users": {"anna": {"password_hash": {"file": "/run/anna"}, "scopes": ["read"]}}})
    shown = json.loads(call("config", "show", "--format", "json").out)
    assert shown["http"]["users"] == {"anna": {"password_hash": {"file": "/run/anna"}, "scopes": ["read"]}}
