"""References and expressions, as dbt reads them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from floe_monitor.credentials.references import (
    MAX_SECRET_BYTES,
    ExpressionError,
    Reference,
    UnresolvedError,
    as_reference,
    parse_expression,
    read_secret_file,
)

if TYPE_CHECKING:
    from pathlib import Path

ENVIRON = {"A": "1", "S": "x y", "T": "True", "F": "1.5", "L": "[1, 2]", "E": ""}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ env_var('A') }}", "1"),
        ('{{env_var("A")}}', "1"),
        ("{{ env_var('A') }}-{{ env_var('S') }}", "1-x y"),
        ("a {{ env_var('E') }} b", "a  b"),
        ("{{ env_var('E') }}", ""),
        ("{{ env_var('NO', 'default') }}", "default"),
        ("{{ env_var(var='NO', default='d') }}", "d"),
        ("{{ env_var('A', 'default') }}", "1"),
        ("{{ env_var('A') | as_number }}", 1),
        ("{{ env_var('F') | as_number }}", 1.5),
        ("{{ env_var('A') | int }}", 1),
        ("{{ env_var('T') | as_bool }}", True),
        ("{{ env_var('L') | as_native }}", [1, 2]),
        ("{{ env_var('S') | as_native }}", "x y"),
        ("{{ env_var('A') | as_text }}", "1"),
        ("x{{ env_var('A') | as_number }}", "x1"),
        ("{{ env_var('S') | upper }}", "X Y"),
        ("{{ env_var('S') | replace(' ', '') }}", "xy"),
        ("{% if env_var('A') == '1' %}one{% else %}other{% endif %}", "one"),
        ("{# a comment #}x", "x"),
    ],
)
def test_values_are_those_dbt_renders(text: str, value: object) -> None:
    found = parse_expression(text).evaluate(ENVIRON)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ env_var('NO') }}", "environment variable NO is not set"),
        ("{{ env_var('S') | as_number }}", "the expression over S is no number for as_number"),
        ("{{ env_var('T') | as_number }}", "the expression over T is no number for as_number"),
        ("{{ env_var('S') | as_bool }}", "the expression over S is no True or False for as_bool"),
        ("{{ ''.__class__.__mro__ }}", "the expression over nothing fails with SecurityError"),
        ("{{ env_var('S') | int + env_var('A') }}", "the expression over S, A fails with TypeError"),
    ],
)
def test_what_fails_says_which_variable_and_never_its_value(text: str, said: str) -> None:
    with pytest.raises(UnresolvedError) as caught:
        parse_expression(text).evaluate(ENVIRON)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ env_var(name) }}", "only env_var() can be used here, not name"),
        ("{{ target.name }}{{ var('x') }}", "only env_var() can be used here, not target, var"),
        ("{{ range(3) }}", "only env_var() can be used here, not range"),
        ("{{ env_var }}", "env_var is to be called: {{ env_var('NAME') }}"),
        ("{{ [env_var][0]('A') }}", "env_var is to be called: {{ env_var('NAME') }}"),
        ("{{ env_var() }}", "env_var takes a name in quotes, and a default if you like"),
        ("{{ env_var(1) }}", "env_var takes a name in quotes, and a default if you like"),
        ("{{ env_var(env_var('A')) }}", "env_var takes a name in quotes, and a default if you like"),
        ("{{ env_var(*['A']) }}", "env_var takes a name in quotes, and a default if you like"),
        ("{{ env_var('A', 3) }}", "the default of env_var is to be in quotes"),
        ("{{ env_var('A') | nope }}", "this expression uses a filter that is not known"),
        ("{{ env_var('A'", "not a valid expression (TemplateSyntaxError): expected {{ env_var('NAME') }}"),
        ("{% include 'x' %}", "an expression cannot read other templates"),
    ],
)
def test_what_cannot_work_is_refused_beforehand(text: str, said: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_expression(text)
    assert str(caught.value).startswith(said)


def test_the_variables_are_known_without_evaluating() -> None:
    expression = parse_expression("{{ env_var('A') }}{{ env_var('B', 'b') }}")
    assert expression.variables == (("A", None), ("B", "b"))


def test_mappings_that_are_references() -> None:
    assert as_reference({"env": "A"}) == Reference("A", None)
    assert as_reference({"env": "A", "file": "/x"}) == Reference("A", "/x")
    for other in ({}, {"env": ""}, {"env": 1}, {"env": "A", "more": "B"}, ["env"], "env", None):
        assert as_reference(other) is None


@pytest.mark.parametrize(
    ("content", "value"),
    [(b"x", "x"), (b"x\n", "x"), (b"x\r\n", "x"), (b"x\n\n", "x\n"), (b" x ", " x "), ("é\n".encode(), "é")],
)
def test_one_final_newline_is_cut(tmp_path: Path, content: bytes, value: str) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    assert read_secret_file(str(path)) == value
    assert Reference("UNSET", str(path)).read({}) == value


def test_files_that_give_no_secret(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    (tmp_path / "newline").write_text("\n")
    (tmp_path / "binary").write_bytes(b"hunter2\xff")
    (tmp_path / "large").write_bytes(b"a" * (MAX_SECRET_BYTES + 1))
    os.mkfifo(tmp_path / "pipe")
    said = {
        "absent": "no such file or directory",
        "empty": "empty",
        "newline": "empty",
        "binary": "not UTF-8 text",
        "large": "larger than 256 KiB",
        "pipe": "not a regular file",
        ".": "not a regular file",
        "nul\0": "not a usable path",
    }
    for name, reason in said.items():
        path = f"{tmp_path}/{name}"
        with pytest.raises(UnresolvedError) as caught:
            read_secret_file(path)
        assert str(caught.value) == f"file {path}: {reason}"


def test_variables_that_give_no_secret() -> None:
    with pytest.raises(UnresolvedError, match=r"^environment variable X is not set$"):
        Reference("X").read({})
    with pytest.raises(UnresolvedError, match=r"^environment variable X is empty$"):
        Reference("X").read({"X": ""})
