"""A literal secret in the file is not replaced by a variable that nobody has set."""

from __future__ import annotations

from typing import Any

import pytest

from floe_monitor.profiles import diff, write

CANARY = "canary-91fc"
LITERAL = f"""\
ours:
  target: dev
  outputs:
    dev:
      type: plain
      threads: 4
      password: {CANARY}
"""
REFUSED = "output 'dev', password: PW. Set it, to the value that the file has"


@pytest.fixture
def targets(made: Any) -> Any:
    return made.targets(made.target(credentials={"password": {"env": "PW"}}))


def test_a_write_refuses_names_the_variable_and_leaves_the_file(made: Any, targets: Any) -> None:
    made.path.write_text(LITERAL)
    for environ in ({}, {"PW": ""}):
        (done,) = write([made.profile()], targets, environ)
        assert done.outcome.result == "refused"
        assert REFUSED in done.outcome.message
        assert CANARY not in done.outcome.text
        assert made.path.read_text() == LITERAL
        assert [path.name for path in made.path.parent.iterdir() if "before" in path.name] == []
    (found,) = diff([made.profile()], targets, {})
    assert REFUSED in found.problem
    assert "+      password: " in found.text
    assert CANARY not in found.text + found.problem


def test_it_is_written_once_the_variable_is_set_with_a_copy(made: Any, targets: Any) -> None:
    made.path.write_text(LITERAL)
    (done,) = write([made.profile()], targets, {"PW": CANARY})
    assert done.outcome.result == "written"
    assert done.outcome.copy is not None
    assert done.outcome.copy.read_text() == LITERAL
    assert made.path.read_text() == LITERAL.replace(CANARY, "\"{{ env_var('PW') }}\"")


@pytest.mark.parametrize(
    "old",
    [
        "password: 12345678",
        "password: \"{{ env_var('PW', 'canary-91fc') }}\"",
        "password: \"{{ env_var('A') }}canary-91fc\"",
        "pass: canary-91fc",
        "password: [canary-91fc]",
    ],
)
def test_whatever_form_the_literal_has(made: Any, targets: Any, old: str) -> None:
    text = LITERAL.replace(f"password: {CANARY}", old)
    made.path.write_text(text)
    (done,) = write([made.profile()], targets, {"A": "x"})
    assert (done.outcome.result, made.path.read_text()) == ("refused", text)
    assert ": PW. Set it" in done.outcome.message


@pytest.mark.parametrize(
    "old",
    ["password: ''", "password: \"{{ env_var('PW', '') }}\"", "password: \"{{ env_var('OLD') }}\"", "a: b"],
)
def test_what_is_no_literal_secret_is_replaced_without_one(made: Any, targets: Any, old: str) -> None:
    made.path.write_text(LITERAL.replace(f"password: {CANARY}", old))
    (done,) = write([made.profile()], targets, {})
    assert done.outcome.result == "written"


def test_a_literal_beside_the_change_is_in_nobodys_way(made: Any) -> None:
    text = LITERAL.replace("threads: 4", "threads: 9")
    made.path.write_text(text)
    targets = made.targets(
        made.target(connection={"password": CANARY, "path": "{{ env_var('UNSET', 'x') }}"})
    )
    (done,) = write([made.profile()], targets, {})
    assert done.outcome.result == "written"
    assert f"password: {CANARY}" in made.path.read_text()
